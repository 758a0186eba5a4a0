"""ncnn files: networks written in that format by the tests, read back, and compared with ncnn."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from desra.networks import checkpoints
from desra.networks.ncnn import PACKAGE, choose, import_files, package_models, read_ncnn, read_param
from desra.networks.sr_network import SRNetwork
from desra.registry import ARCH_REGISTRY, find
from desra.utils.errors import InputError
from helpers.ncnn_packages import (
    FP16,
    FP32,
    FP32_ALSO,
    INT8,
    TABLE,
    Writer,
    compact,
    make,
    write_compact,
)
from helpers.small import photograph


def write_rrdbnet(net: nn.Module, folder: Path, flag: int, fused: bool = True):
    """As ncnnoptimize leaves it (fused), or as the exporter writes it."""
    w = Writer(flag)

    def conv(layer: nn.Module, x: int, act: bool = False) -> int:
        assert isinstance(layer, nn.Conv2d)
        if act and not fused:
            return w.add("ReLU", [w.conv(layer, x)], "0=0.2")
        return w.conv(layer, x, 0.2 if act else None)

    def residual(y: int, x: int) -> int:
        if fused:
            return w.add("Eltwise", [y, x], "0=1 -23301=2,2.000000e-01,1.000000e+00")
        return w.add("BinaryOp", [w.add("BinaryOp", [y], "0=2 1=1 2=2.000000e-01"), x], "0=0")

    n = dict(net.named_modules())
    first = x = conv(n["conv_first"], 0)
    for block in range(len(net.body)):  # pyright: ignore
        start = x
        for rdb in (f"body.{block}.rdb{i}" for i in (1, 2, 3)):
            parts = [x]
            for k in (1, 2, 3, 4):
                wide = parts[0] if k == 1 else w.add("Concat", list(parts), "0=0")
                parts.append(conv(n[f"{rdb}.conv{k}"], wide, act=True))
            x = residual(conv(n[f"{rdb}.conv5"], w.add("Concat", parts)), x)
        x = residual(x, start)
    x = w.add("BinaryOp", [first, conv(n["conv_body"], x)], "0=0")
    for key in ("conv_up1", "conv_up2"):
        x = conv(n[key], w.add("Interp", [x], "0=1 1=2.0 2=2.000000e+00"), act=True)
    conv(n["conv_last"], conv(n["conv_hr"], x, act=True))
    return w.save(folder)


def rrdbnet(num_feat: int = 5, num_block: int = 2, num_grow_ch: int = 3) -> nn.Module:
    return make("RRDBNet", num_feat=num_feat, num_block=num_block, num_grow_ch=num_grow_ch)


CASES: dict[str, tuple[Callable[[], nn.Module], Callable[..., tuple[Path, Path]]]] = {
    "rrdbnet": (rrdbnet, write_rrdbnet),
    "rrdbnet, one block": (lambda: rrdbnet(4, 1, 4), write_rrdbnet),
    "rrdbnet, not optimised": (rrdbnet, lambda *a: write_rrdbnet(*a, fused=False)),
    "compact": (compact, write_compact),
    "compact, x1": (lambda: compact(1), write_compact),
}


@pytest.mark.parametrize("flag", [FP16, FP32, FP32_ALSO], ids=hex)
@pytest.mark.parametrize("case", CASES)
def test_every_weight_comes_back(case: str, flag: int, tmp_path: Path):
    build, write = CASES[case]
    net = build()
    imported = read_ncnn(*write(net, tmp_path, flag))
    expected = net.state_dict()
    assert imported.tensors.keys() == expected.keys()
    for key, array in imported.tensors.items():
        assert np.array_equal(array.astype(np.float32), expected[key].numpy()), key
        half = flag == FP16 and array.ndim == 4
        assert array.dtype == (np.float16 if half else np.float32)
    # What it says about the architecture builds the same network.
    arguments = {k: v for k, v in imported.network_g.items() if k != "type"}
    again = find(ARCH_REGISTRY, imported.network_g["type"], "")(**arguments)
    again.load_state_dict(expected)
    x = torch.rand(1, 3, 8, 8)
    assert torch.equal(again.eval()(x), net(x))


@pytest.mark.parametrize("keep_fp16", [False, True])
@pytest.mark.parametrize("case", ["rrdbnet", "compact"])
def test_a_checkpoint(case: str, keep_fp16: bool, tmp_path: Path):
    build, write = CASES[case]
    net = build()
    param, binary = write(net, tmp_path, FP16)
    out = tmp_path / "deep" / "n.safetensors"
    imported = import_files(param, binary, out, keep_fp16)
    assert imported.network_g == read_ncnn(param, binary).network_g
    assert [path.name for path in out.parent.iterdir()] == ["n.safetensors"]
    target = build()
    for p in target.parameters():
        nn.init.zeros_(p)
    checkpoints.load_into(target, str(out), "network_g")
    for key, value in net.state_dict().items():
        assert torch.equal(target.state_dict()[key], value), key
    # What the .param says is what network_g in YAML takes.
    spec = read_ncnn(param, binary).network_g
    model = SRNetwork.from_checkpoint(out, spec, device="cpu", precision="fp32")
    image = photograph(0, 12, 10)
    x = torch.from_numpy(image).permute(2, 0, 1)[None] / 255
    sr = (net(x)[0].clamp(0, 1) * 255).round().permute(1, 2, 0).detach().numpy()
    assert np.abs(model(image).astype(float) - sr).max() <= 1


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    return write_rrdbnet(rrdbnet(4, 1, 3), tmp_path, FP16)


@pytest.mark.parametrize("kept", [0, 3, 7, 100, -1, -5])
def test_a_truncated_bin(kept: int, pair: tuple[Path, Path]):
    pair[1].write_bytes(pair[1].read_bytes()[:kept])
    with pytest.raises(InputError, match=r"n\.bin ends within .*incomplete"):
        read_ncnn(*pair)


def test_a_bin_that_is_too_long(pair: tuple[Path, Path]):
    pair[1].write_bytes(pair[1].read_bytes() + b"\0\0\0\0")
    with pytest.raises(InputError, match="do not belong together"):
        read_ncnn(*pair)


@pytest.mark.parametrize(("flag", "said"), [(INT8, "int8"), (TABLE, "0x12345678")])
def test_quantised_weights(flag: int, said: str, pair: tuple[Path, Path]):
    pair[1].write_bytes(np.uint32(flag).tobytes() + pair[1].read_bytes()[4:])
    with pytest.raises(InputError, match=f"conv_first.*{said}"):
        read_ncnn(*pair)


def test_values_that_are_not_finite(pair: tuple[Path, Path]):
    data = pair[1].read_bytes()
    pair[1].write_bytes(data[:4] + np.float16("nan").tobytes() + data[6:])
    with pytest.raises(InputError, match="conv_first holds values that are not finite"):
        read_ncnn(*pair)


def test_a_missing_file(pair: tuple[Path, Path]):
    pair[1].unlink()
    with pytest.raises(InputError, match=r"n\.bin cannot be read"):
        read_ncnn(*pair)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("7767517", "7767518", "not a text .param"),
        ("7767517", "\udcff", "not a text .param"),
        ("\nInput", "\n\nInput L9 0 1 more\nInput", r"promises \d+ layers"),
        ("9=2", "9=x", "line .*: "),
        ("-23310=1,", "-23310=2,", "does not hold 2 values"),
        ("-23310=1,2.0", "-23310=1,nan2.0", "line .*: could not convert"),
        ("2.000000e-01", "inf", "no usable number"),
        ("L1 1 1", "L1 1 x", "a layer needs a type"),
        ("L1 1 1", "L1 9 9", "names fewer than 9 inputs"),
        ("Convolution ", "Deconvolution ", "Deconvolution.*do not have"),
        ("Convolution ", "Input ", "has 1 inputs"),
        ("9=2", "9=2 8=2", "int8"),
        ("9=2", "9=2 77=1", "setting 77"),
        ("9=2", "9=1", "no place in a RRDBNet"),
        ("9=2", "9=2.5", "not a whole number"),
        ("1=3", "1=5", "no place in a RRDBNet of num_feat 4, num_block 1, num_grow_ch 3"),
        ("1=3", "1=3 11=1", "no place"),
        ("1=3", "1=3 13=2", "no place"),
        ("4=1", "4=1 16=0", "no place"),
        ("5=1", "5=0", "no place"),
        ("0=4 ", "0=40 ", "no place"),
        ("-23301=2,2.0", "-23301=2,3.0", "no place"),
        ("0=1 1=2.0", "0=2 1=2.0", "no place"),
        ("1 1 data", "1 1 dat", "'dat' is not made before it"),
        ("1 1 data b1 ", "1 1 data data ", "another layer makes 'data'"),
        ("b1_s0", "b1_s1", "another layer makes 'b1_s1'"),
    ],
)
def test_a_param_that_does_not_fit(old: str, new: str, said: str, pair: tuple[Path, Path]):
    text = pair[0].read_text("utf-8")
    assert old in text
    pair[0].write_bytes(text.replace(old, new, 1).encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match=said):
        read_ncnn(*pair)


def test_lines_that_are_missing(pair: tuple[Path, Path]):
    lines = pair[0].read_text("utf-8").split("\n")
    for kept in (0, 1, 2, 5, len(lines) - 2):
        pair[0].write_text("\n".join(lines[:kept]), "utf-8")
        with pytest.raises(InputError, match="ncnn: "):
            read_ncnn(*pair)


def test_wrong_wiring_is_noticed_where_all_sizes_agree(tmp_path: Path):
    param, binary = write_rrdbnet(rrdbnet(4, 2, 4), tmp_path, FP16)
    text = param.read_text("utf-8")
    rows = [line.split() for line in text.split("\n")]
    eltwise = [row for row in rows if row and row[0] == "Eltwise"]
    concat = [row for row in rows if row and row[0] == "Concat"]
    skip = next(row for row in rows if row and row[0] == "BinaryOp")
    read_ncnn(param, binary)
    for one, other in [
        (concat[0][4], concat[0][5]),  # the order within a concatenation
        (eltwise[-1][5], skip[4]),  # the block's shortcut and the long one
        (eltwise[0][4], eltwise[0][5]),  # which of the two is multiplied
    ]:
        swapped = {one: other, other: one}
        lines = [
            " ".join([*row[:4], *(swapped.get(t, t) for t in row[4:])])
            if row and row[0] in ("Concat", "Eltwise", "BinaryOp")
            else " ".join(row)
            for row in rows
        ]
        param.write_text("\n".join(lines), "utf-8")
        with pytest.raises(InputError, match="no place"):
            read_ncnn(param, binary)


def test_a_blob_is_used_once(pair: tuple[Path, Path]):
    """Anything else is no ncnn graph; Split is there for it."""
    rows = [line.split() for line in pair[0].read_text("utf-8").split("\n")]
    concat = next(row for row in rows if row and row[0] == "Concat")
    concat[5] = concat[4]
    pair[0].write_text("\n".join(map(" ".join, rows)), "utf-8")
    with pytest.raises(InputError, match="is used twice"):
        read_ncnn(*pair)


def test_a_part_of_the_graph_is_not_the_graph(pair: tuple[Path, Path]):
    """Without its end, every layer is in place."""
    lines = pair[0].read_text("utf-8").strip().split("\n")[2:]
    layers, blobs = len(lines) - 1, sum(int(line.split()[3]) for line in lines[:-1])
    pair[0].write_text("\n".join(["7767517", f"{layers} {blobs}", *lines[:-1]]), "utf-8")
    with pytest.raises(InputError, match="make no RRDBNet"):
        read_ncnn(*pair)


def test_a_resize_after_the_network_is_refused(tmp_path: Path):
    """Dropping it would give another scale than the file's."""
    pair = write_compact(compact(4), tmp_path, FP16, tail="0=3 1=5.0e-01 2=5.0e-01")
    with pytest.raises(InputError, match=r"\(Interp\) has no place in a SRVGGNetCompact"):
        read_ncnn(*pair)


def test_shape_hints_are_passed_over(pair: tuple[Path, Path]):
    text = pair[0].read_text("utf-8")
    pair[0].write_text(text.replace(" 9=2", " -23330=4,3,8,8,4 9=2"), "utf-8")
    assert read_ncnn(*pair).network_g["num_block"] == 1


def test_the_checkpoint_is_called_what_it_is(pair: tuple[Path, Path], tmp_path: Path):
    with pytest.raises(InputError, match=r"n\.pth: .* must end in \.safetensors"):
        import_files(*pair, tmp_path / "n.pth")
    assert not (tmp_path / "n.pth").exists()


def test_a_package(package: str):
    models = package_models(package)
    assert list(models) == ["net_other_up3x", "net_x4plus_up4x"]
    assert [choose(models, name) for name in ("x4plus", "OTHER", "net_other_up3x")] == [
        "net_x4plus_up4x",
        "net_other_up3x",
        "net_other_up3x",
    ]
    for name, upscale in (("x4plus", 4), ("OTHER", 3)):
        assert read_ncnn(*models[choose(models, name)]).network_g["upscale"] == upscale
    with pytest.raises(InputError, match="none is none of net_other_up3x, net_x4plus_up4x"):
        choose(models, "none")
    with pytest.raises(InputError, match="fits more than one"):
        choose(models, "net")
    for other in ("no-such-package-of-networks", "torch", ""):
        with pytest.raises(InputError, match="ncnn: the package .*"):
            package_models(other)


def by_ncnn(param: Path, binary: Path, x: np.ndarray) -> np.ndarray:
    """ncnn's own output, in float32 on the CPU; x is (3, h, w)."""
    import ncnn

    net = ncnn.Net()
    net.opt.use_vulkan_compute = False
    net.opt.num_threads = 1
    for option in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
        setattr(net.opt, f"use_{option}", False)
    assert net.load_param(str(param)) == 0
    assert net.load_model(str(binary)) == 0
    extractor = net.create_extractor()
    extractor.input("data", ncnn.Mat(x).clone())
    status, out = extractor.extract("output")
    assert status == 0
    return np.array(out)


def by_us(param: Path, binary: Path, x: np.ndarray) -> np.ndarray:
    imported = read_ncnn(param, binary)
    arguments = {k: v for k, v in imported.network_g.items() if k != "type"}
    net = find(ARCH_REGISTRY, imported.network_g["type"], "")(**arguments)
    tensors = {k: torch.from_numpy(v.astype(np.float32)) for k, v in imported.tensors.items()}
    net.load_state_dict(tensors)
    with torch.inference_mode():
        return net.eval()(torch.from_numpy(x)[None])[0].numpy()


def planes(height: int, width: int) -> np.ndarray:
    image = photograph(1, height, width).transpose(2, 0, 1)
    return np.ascontiguousarray(image, dtype=np.float32) / np.float32(255)


@pytest.mark.parametrize("flag", [FP16, FP32, FP32_ALSO], ids=hex)
@pytest.mark.parametrize("case", CASES)
def test_the_same_output_as_ncnn(case: str, flag: int, tmp_path: Path):
    pytest.importorskip("ncnn")
    build, write = CASES[case]
    pair = write(build(), tmp_path, flag)
    x = planes(12, 17)
    theirs, ours = by_ncnn(*pair, x), by_us(*pair, x)
    assert theirs.shape == ours.shape
    assert theirs.std() > 1e-3  # else the comparison shows nothing
    assert np.abs(theirs - ours).max() <= 1e-4 * max(1, np.abs(theirs).max())


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ncnn") is None, reason="needs ncnn")
@pytest.mark.parametrize("name", ["x4plus", "x4plusanime", "realesrgan_animavideov3_up4x"])
def test_the_real_networks(name: str):
    """Measured on 64x48 crops of photographs: at most 0.005 of a grey level."""
    try:
        metadata.distribution(PACKAGE)
    except metadata.PackageNotFoundError:
        pytest.skip(f"needs {PACKAGE}")
    models = package_models()
    pair = models[choose(models, name)]
    x = planes(48, 64)
    theirs, ours = by_ncnn(*pair, x), by_us(*pair, x)
    assert theirs.shape == ours.shape == (3, 192, 256)
    assert 255 * np.abs(theirs - ours).max() <= 0.05
    pixels = [(v.clip(0, 1) * 255).round() for v in (theirs, ours)]
    assert np.abs(pixels[0] - pixels[1]).max() <= 1
    assert np.mean(pixels[0] != pixels[1]) <= 1e-3
    if name == "x4plus":
        assert len(read_param(pair[0])) == 999
