"""ONNX files, run by ONNX Runtime as a user would; what is refused leaves no file."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from desra import export
from desra.networks import load
from desra.networks import onnx as onnx_export
from desra.networks.load import Network, padded_to
from desra.registry import ARCH_REGISTRY, build
from helpers.exports import RRDB, desra_image, refusal, save
from helpers.small import SWINIR, photograph, save_compact

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


def onnx_image(session: Any, image: np.ndarray) -> np.ndarray:
    """As the file's metadata say."""
    lq = image.transpose(2, 0, 1)[None].astype(np.float32) / 255
    (sr,) = session.run(["sr"], {"lq": lq})
    return np.round(255 * sr[0]).astype(np.uint8).transpose(1, 2, 0)


def session_of(path: Path) -> Any:
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def same_images(path: Path, weights: Path | str, sizes: list[tuple[int, int]]) -> None:
    session = session_of(path)
    for height, width in sizes:
        image = photograph(height, height, width)
        found, expected = onnx_image(session, image), desra_image(weights, image)
        # Rounding to 8 bits may fall to the other side: seldom, and by one level.
        difference = np.abs(found.astype(int) - expected)
        assert found.shape == expected.shape and difference.max() <= 1
        assert (difference > 0).mean() < 1e-3
    # Each image of a batch is what it is alone: fresh weights of SwinIR hide more than 1e-6.
    lq = np.random.default_rng(0).random((3, 3, 11, 19), dtype=np.float32)
    (sr,) = session.run(None, {"lq": lq})
    assert sr.min() >= 0 and sr.max() <= 1
    for one, together in zip(lq, sr, strict=True):
        np.testing.assert_allclose(session.run(None, {"lq": one[None]})[0][0], together, atol=1e-6)


SIZES = [(8, 8), (17, 33), (40, 21), (64, 48)]


@pytest.mark.parametrize("scale", [2, 4])
def test_the_same_image_at_every_size(
    scale: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    weights = save_compact(tmp_path / "net.pth", scale)
    assert export.main([str(weights), "-o", str(tmp_path / "ö.onnx")]) == 0
    said = capsys.readouterr()
    assert "ONNX opset 18, any size; ONNX Runtime differs from torch by at most" in said.out
    assert said.err == ""
    same_images(tmp_path / "ö.onnx", weights, SIZES)


REAL_SWINIR = {
    **SWINIR,
    "upscale": 4,
    "upsampler": "nearest+conv",
    "resi_connection": "1conv",
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "network_g",
    [
        {**RRDB, "scale": 4},
        {**RRDB, "scale": 2},  # folds pixels: sizes are padded inside the file
        {**RRDB, "scale": 1},
        REAL_SWINIR,
    ],
    ids=["RRDBNet x4", "RRDBNet x2", "RRDBNet x1", "SwinIR"],
)
def test_other_networks(network_g: dict[str, Any], tmp_path: Path):
    weights = save(tmp_path / "net.pth", network_g)
    export.export(str(weights), tmp_path / "net.onnx")
    same_images(tmp_path / "net.onnx", weights, SIZES)


def test_what_the_file_says_of_itself(tmp_path: Path):
    weights = save_compact(tmp_path / "net.pth")
    export.export(str(weights), tmp_path / "net.onnx")
    model = onnx.load(tmp_path / "net.onnx")
    onnx.checker.check_model(model, full_check=True)
    facts = {entry.key: entry.value for entry in model.metadata_props}
    assert facts["scale"] == "2" and facts["weights"] == "net.pth"
    assert facts["input"].startswith("lq: float32 (batch, 3, height, width), RGB in [0, 1]")
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 18)]
    for value, names in (
        (model.graph.input, ["batch", 3, "height", "width"]),
        (model.graph.output, ["batch", 3, "sr_height", "sr_width"]),
    ):
        tensor = value[0].type.tensor_type
        assert tensor.elem_type == onnx.TensorProto.FLOAT
        assert [dim.dim_param or dim.dim_value for dim in tensor.shape.dim] == names
    content = (tmp_path / "net.onnx").read_bytes()
    assert b".py" not in content and str(Path(torch.__file__).parent).encode() not in content
    # The same network gives the same file.
    export.export(str(weights), tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == content


@pytest.mark.parametrize("multiple", [1, 2, 4, 8])
@pytest.mark.parametrize("minimum", [0, 1, 2, 16])
def test_padding_is_that_of_networks(multiple: int, minimum: int):
    for size in [(1, 1), (1, 7), (5, 3), (9, 18), (16, 16)]:
        lq = torch.rand(2, 3, *size)
        found = lq
        for axis, length in ((2, size[0]), (3, size[1])):
            found = onnx_export._padded(found, axis, length, multiple, minimum)
        assert torch.equal(found, padded_to(lq, multiple, minimum))


# ------------------------------------------------------------------------------ what is refused


@pytest.mark.slow
def test_a_constant_in_place_of_the_batch_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Even with fresh weights, whose outputs hardly differ."""
    monkeypatch.setattr(onnx_export, "_REVERSE", "no such function")
    weights, out = save(tmp_path / "net.pth", REAL_SWINIR), tmp_path / "net.onnx"
    with pytest.raises(ValueError, match=r"SwinIR\) differs from torch by"):
        export.export(str(weights), out)
    assert not out.exists()


def test_a_file_that_differs_is_not_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """The exporter is made to write another network's weights."""
    weights = save_compact(tmp_path / "net.pth")
    other = load.load_network(save_compact(tmp_path / "other.pth", seed=1))
    traced = onnx_export._traced

    def wrongly(_module: torch.nn.Module, name: str) -> Any:
        return traced(onnx_export._AnySize(other).eval(), name)

    out, earlier = tmp_path / "out.onnx", tmp_path / "earlier.onnx"
    export.export(str(weights), earlier)
    content = earlier.read_bytes()
    monkeypatch.setattr(onnx_export, "_traced", wrongly)
    assert "differs from torch by 0." in refusal(capsys, weights, "-o", out)
    assert not out.exists()
    assert "no file is left" in refusal(capsys, weights, "-o", earlier)
    assert earlier.read_bytes() == content


class Baked(torch.nn.Module):
    """Knows one size only, as a network whose code computes with sizes would when traced."""

    def forward(self, lq: torch.Tensor) -> torch.Tensor:
        shift = torch.linspace(0, 1, lq.shape[-1]).numpy().sum()  # a number from a size
        return lq + float(shift)


def test_a_network_that_cannot_be_traced(tmp_path: Path):
    net = Baked().eval()
    network = Network(net, 1, 1, 1, "Baked")
    with pytest.raises(ValueError, match=r"cannot export this network, Baked|differs from torch"):
        onnx_export.to_onnx(network, {})


def test_values_that_are_not_finite(tmp_path: Path):
    net = build(ARCH_REGISTRY, {"type": "SRVGGNetCompact", "num_feat": 4, "num_conv": 1}, "")
    network = load.as_network(net)
    with torch.no_grad():
        net.body[0].weight.fill_(float("nan"))
    with pytest.raises(ValueError, match="differs from torch by nan"):
        onnx_export.to_onnx(dataclasses.replace(network), {})


@pytest.mark.parametrize("module", ["onnx", "onnxruntime", "onnxscript"])
def test_without_the_extra(
    module: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.setitem(sys.modules, module, None)
    weights, out = save_compact(tmp_path / "net.pth"), tmp_path / "out.onnx"
    assert "pip install 'desra[export]'" in refusal(capsys, weights, "-o", out)
    assert not out.exists()
    assert export.main([str(weights), "-o", str(tmp_path / "out.safetensors")]) == 0
