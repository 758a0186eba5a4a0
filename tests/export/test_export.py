"""What export writes, read back by the programs that it is written for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file
from spandrel import ImageModelDescriptor, ModelLoader

from desra import export, train
from desra.registry import ARCH_REGISTRY, build
from helpers.exports import RRDB, desra_image, refusal, save
from helpers.small import photograph, save_compact, train_settings

COMPACT = {"type": "SRVGGNetCompact", "num_feat": 4, "num_conv": 1, "upscale": 2}
EDSR = {"type": "EDSR", "num_in_ch": 3, "num_out_ch": 3, "num_feat": 8, "num_block": 2}


@pytest.fixture
def both(tmp_path: Path) -> Path:
    """A checkpoint whose averaged weights are others than the last ones."""
    nets = {"params": save_compact(tmp_path / "a.pth"), "params_ema": tmp_path / "b.pth"}
    save_compact(tmp_path / "b.pth", seed=1)
    content = {key: torch.load(path, weights_only=True)["params"] for key, path in nets.items()}
    torch.save(content, tmp_path / "both.pth")
    return tmp_path / "both.pth"


def spandrel_image(path: Path, image: np.ndarray) -> np.ndarray:
    """What spandrel makes of it, as chaiNNer would."""
    model = ModelLoader(device="cpu").load_from_file(path)
    assert isinstance(model, ImageModelDescriptor)
    lq = torch.from_numpy(image.transpose(2, 0, 1)[None].astype(np.float32) / 255)
    with torch.no_grad():
        sr = model(lq)[0].clamp(0, 1).permute(1, 2, 0)
    return (sr * 255).round().numpy().astype(np.uint8)


def exported(capsys: pytest.CaptureFixture[str], *argv: object) -> str:
    assert export.main([str(a) for a in argv]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("kind", ["compact", "RRDBNet x4", "RRDBNet x2"])
def test_spandrel_makes_the_same_image(
    kind: str, suffix: str, both: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    weights, out = both, tmp_path / "für andere" / f"net{suffix}"
    if kind != "compact":
        weights = save(tmp_path / "rrdb.pth", {**RRDB, "scale": int(kind[-1])})
    said = exported(capsys, weights, "-o", out)
    assert said.startswith(f"{out}: ") and "tensors of float32" in said and "but" not in said
    image = photograph(3, 17, 22)
    mine = desra_image(weights, image)
    np.testing.assert_array_equal(spandrel_image(out, image), mine)
    np.testing.assert_array_equal(desra_image(out, image), mine)


def test_real_esrgan_and_basicsr_read_the_pth(both: Path, tmp_path: Path, capsys: Any):
    """They take ``params_ema`` if it is there, else ``params``, strictly."""
    exported(capsys, both, "-o", tmp_path / "out.pth")
    content = torch.load(tmp_path / "out.pth", weights_only=True)
    average = torch.load(both, weights_only=True)["params_ema"]
    assert list(content) == ["params_ema", "params"]
    for tensors in content.values():
        build(ARCH_REGISTRY, COMPACT, "").load_state_dict(tensors, strict=True)
        assert all(torch.equal(tensors[name], average[name]) for name in average)
    # Both keys, once on disk.
    assert (tmp_path / "out.pth").stat().st_size < 1.2 * (tmp_path / "a.pth").stat().st_size + 2000


def test_plain_names_in_safetensors(both: Path, tmp_path: Path, capsys: Any):
    average = torch.load(both, weights_only=True)["params_ema"]
    wrapped = {f"module.{name}": tensor for name, tensor in average.items()}
    torch.save({"state_dict": wrapped}, tmp_path / "wrapped.pth")
    exported(capsys, tmp_path / "wrapped.pth", "-o", tmp_path / "net.safetensors")
    found = load_file(tmp_path / "net.safetensors")
    assert found.keys() == average.keys()
    assert all(torch.equal(found[name], average[name]) for name in average)


def test_a_finetuned_network_of_low_rank(photographs: Path, tmp_path: Path, capsys: Any):
    settings = train_settings(tmp_path / "runs", photographs, gan=False)
    before = save_compact(tmp_path / "g.pth")
    settings["path"]["pretrain_network_g"] = str(before)
    settings["train"].update({"warmup_iter": 0, "scheduler": None, "low_rank": 1})
    settings["train"]["optim_g"]["lr"] = 0.05
    (tmp_path / "t.yml").write_text(yaml.safe_dump(settings))
    assert train.main(["-opt", str(tmp_path / "t.yml")]) == 0
    tuned = tmp_path / "runs/tiny/models/net_g_latest.pth"
    exported(capsys, tuned, "-o", tmp_path / "out.safetensors")
    image = photograph(0, 20, 24)
    found = spandrel_image(tmp_path / "out.safetensors", image)
    np.testing.assert_array_equal(found, desra_image(tuned, image))
    assert (found != desra_image(before, image)).any()


def test_a_network_that_spandrel_does_not_know(tmp_path: Path, capsys: Any):
    weights = save(tmp_path / "edsr.pth", {**EDSR, "upscale": 2, "res_scale": 0.1})
    out = tmp_path / "out.pth"
    assert "network_g: {type: EDSR" in refusal(capsys, weights, "-o", out)
    assert not out.exists()
    settings = yaml.safe_dump({**EDSR, "upscale": 2, "res_scale": 0.1}, default_flow_style=True)
    argv = [weights, "-o", out, "--force_yml", f"network_g={settings.strip()}"]
    assert "spandrel and chaiNNer do not know this one" in exported(capsys, *argv)
    assert torch.load(out, weights_only=True)["params"].keys() >= {"conv_first.weight"}


def test_embedded_networks_by_name(tmp_path: Path, capsys: Any):
    said = exported(capsys, "embedded:gan", "-o", tmp_path / "gan.safetensors")
    assert re.search(r"x4, 1\.1 MB; 41 tensors of float32", said)
    image = photograph(1, 9, 12)
    found = spandrel_image(tmp_path / "gan.safetensors", image)
    np.testing.assert_array_equal(found, desra_image("embedded:gan", image))


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_half_is_half_as_large_and_nearly_the_same(suffix: str, tmp_path: Path, capsys: Any):
    weights = save_compact(tmp_path / "g.pth")
    before = torch.load(weights, weights_only=True)["params"]
    out = tmp_path / f"half{suffix}"
    assert "tensors of float16" in exported(capsys, weights, "-o", out, "--half")
    stored = load_file(out) if suffix == ".safetensors" else torch.load(out, weights_only=True)
    tensors = stored if suffix == ".safetensors" else stored["params_ema"]
    assert all(torch.equal(tensors[name], before[name].half()) for name in before)
    image = photograph(3, 17, 22)
    difference = desra_image(out, image).astype(int) - desra_image(weights, image)
    assert abs(difference).max() <= 1


def test_half_that_cannot_be(tmp_path: Path, capsys: Any):
    weights = save_compact(tmp_path / "g.pth")
    assert "--half: .onnx is written" in refusal(
        capsys, weights, "-o", tmp_path / "a.onnx", "--half"
    )
    content = torch.load(weights, weights_only=True)
    content["params"]["body.0.bias"][0] = 70000.0
    torch.save(content, weights)
    words = refusal(capsys, weights, "-o", tmp_path / "a.pth", "--half")
    assert "body.0.bias holds values beyond float16" in words
    assert not list(tmp_path.glob("a.*"))


def test_an_earlier_file_is_replaced_only_by_a_whole_one(
    both: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
):
    out = tmp_path / "out.pth"
    exported(capsys, both, "-o", out)
    earlier = out.read_bytes()
    discriminator = save(tmp_path / "net_d.pth", {"type": "UNetDiscriminatorSN", "num_in_ch": 3})
    assert "discriminator" in refusal(capsys, discriminator, "-o", out)
    assert out.read_bytes() == earlier
    exported(capsys, both, "-o", out)
    assert set(torch.load(out, weights_only=True)) == {"params_ema", "params"}


@pytest.mark.parametrize("name", ["out.pth", "out.safetensors"])
def test_a_file_that_was_not_exported_is_not_replaced(
    both: Path, tmp_path: Path, capsys: Any, name: str
):
    out = tmp_path / name
    out.write_bytes(b"mine")
    assert f"{out} exists, and desra.export did not write it" in refusal(capsys, both, "-o", out)
    assert out.read_bytes() == b"mine"
    out.unlink()
    exported(capsys, both, "-o", out)
    changed = out.read_bytes() + b"x"
    out.write_bytes(changed)
    assert "changed since; move it away" in refusal(capsys, both, "-o", out)
    assert out.read_bytes() == changed


def test_wrong_arguments(both: Path, tmp_path: Path, capsys: Any):
    before = both.read_bytes()
    said = refusal(capsys, both, "-o", tmp_path / "out.bin")
    assert "must end in .onnx, .safetensors or .pth" in said
    assert "is the file of the weights" in refusal(capsys, both, "-o", both)
    assert both.read_bytes() == before
    assert "none.pth does not exist" in refusal(capsys, "none.pth", "-o", tmp_path / "x.pth")
    said = refusal(capsys, both, "-o", tmp_path / "x.pth", "--force_yml", "netwrk_g=x")
    assert "did you mean 'network_g'?" in said
    assert not (tmp_path / "x.pth").exists()


def test_half_precision_stays_half(both: Path, tmp_path: Path, capsys: Any):
    average = torch.load(both, weights_only=True)["params_ema"]
    torch.save({name: tensor.half() for name, tensor in average.items()}, tmp_path / "half.pth")
    said = exported(capsys, tmp_path / "half.pth", "-o", tmp_path / "out.safetensors")
    assert "tensors of float16" in said
    image = photograph(2, 13, 16)
    found = spandrel_image(tmp_path / "out.safetensors", image)
    np.testing.assert_array_equal(found, desra_image(tmp_path / "half.pth", image))


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda tensor: tensor.fill_(float("nan")), "are no numbers"),
        (lambda tensor: tensor.to(torch.complex64), "has complex64 numbers"),
        (lambda tensor: tensor.to(torch.int64), "has int64 numbers"),
        (lambda tensor: tensor > 0, "has bool numbers"),
    ],
)
def test_weights_that_are_none_are_not_exported(
    suffix: str, change: Any, words: str, tmp_path: Path, capsys: Any
):
    file, out = save_compact(tmp_path / "a.pth"), tmp_path / f"out{suffix}"
    content = torch.load(file, weights_only=True)
    content["params"]["body.0.weight"] = change(content["params"]["body.0.weight"])
    torch.save(content, file)
    assert export.main([str(file), "-o", str(out)]) == 2
    said = capsys.readouterr().err
    assert words in said and "a.pth" in said and "body.0.weight" in said
    assert not out.exists()
