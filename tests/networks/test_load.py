"""Each architecture against basicsr's own class and spandrel's own call; what is refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import save_file
from spandrel import ImageModelDescriptor, ModelLoader
from torch import Tensor, nn

from desra.networks import checkpoints
from desra.networks.load import load_network, network_g_of, padded_to, probe_scale
from desra.networks.sr_network import SRNetwork
from desra.networks.tiling import Tiles
from desra.registry import ARCH_REGISTRY, build, find
from desra.utils.errors import InputError
from helpers.small import SWINIR

RRDB = {"type": "RRDBNet", "num_in_ch": 3, "num_out_ch": 3, "num_feat": 8, "num_block": 2}
SPECS: dict[str, dict[str, Any]] = {
    "RRDBNet x4": {**RRDB, "scale": 4},
    "RRDBNet x2": {**RRDB, "scale": 2},
    "RRDBNet x1": {**RRDB, "scale": 1},
    "RRDBNet narrow": {**RRDB, "scale": 2, "num_grow_ch": 4},
    "SRVGGNetCompact": {"type": "SRVGGNetCompact", "num_feat": 8, "num_conv": 2, "upscale": 4},
    "MSRResNet x4": {"type": "MSRResNet", "num_feat": 8, "num_block": 2, "upscale": 4},
    "MSRResNet x3": {"type": "MSRResNet", "num_feat": 8, "num_block": 2, "upscale": 3},
    "SwinIR classical": {**SWINIR, "upscale": 2, "upsampler": "pixelshuffle"},
    "SwinIR light": {**SWINIR, "upscale": 3, "upsampler": "pixelshuffledirect"},
    "SwinIR real": {**SWINIR, "upscale": 4, "upsampler": "nearest+conv"},
    "SwinIR 3conv": {
        **SWINIR,
        "upscale": 2,
        "upsampler": "pixelshuffle",
        "resi_connection": "3conv",
    },
    "EDSR": {"type": "EDSR", "num_in_ch": 3, "num_out_ch": 3, "num_feat": 8, "num_block": 2},
}
SCALES = {name: spec.get("upscale", spec.get("scale", 4)) for name, spec in SPECS.items()}
UNKNOWN_TO_SPANDREL = {"RRDBNet narrow", "MSRResNet x4", "MSRResNet x3", "EDSR"}
#: What the input must be a multiple of: pixel-unshuffle, or windows.
MULTIPLES = {"RRDBNet x2": 2, "RRDBNet narrow": 2, "RRDBNet x1": 4}
SIZES = [(1, 1), (7, 5), (33, 17), (16, 24)]
CPU: dict[str, Any] = {"device": "cpu", "precision": "fp32", "tiles": Tiles(0, 0)}


def made(spec: dict[str, Any]) -> nn.Module:
    """basicsr's class with weights that make its layers count and keep values near 1."""
    torch.manual_seed(0)
    net = find(ARCH_REGISTRY, spec["type"], "")(**{k: v for k, v in spec.items() if k != "type"})
    for parameter in net.parameters():
        inputs = parameter[0].numel() if parameter.ndim > 1 else 100
        parameter.data += 0.6 * torch.randn_like(parameter) / inputs**0.5
    return net.eval()


def saved(spec: dict[str, Any], folder: Path, name: str = "n.pth") -> Path:
    """With our writer, as training does."""
    params = made(spec).state_dict()
    other = {key: torch.zeros_like(value) for key, value in params.items()}
    checkpoints.save_atomically({"params": other, "params_ema": params}, folder / name)
    return folder / name


def image_of(size: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(size[0]).integers(0, 256, (*size, 3), dtype=np.uint8)


def lq_of(image: np.ndarray) -> Tensor:
    return torch.from_numpy(image.transpose(2, 0, 1)[None].astype(np.float32)) / 255


@torch.no_grad()
def by_basicsr(path: Path, spec: dict[str, Any], image: np.ndarray, multiple: int) -> Tensor:
    """numpy pads, basicsr's class loads the file strictly and runs."""
    net = made(spec)
    net.load_state_dict(torch.load(path, weights_only=True)["params_ema"], strict=True)
    h, w = image.shape[:2]
    pads = [(0, -n % multiple) for n in (h, w)]
    padded = np.pad(image, [*pads, (0, 0)], "reflect")
    scale = spec.get("upscale", spec.get("scale", 4))
    return net(lq_of(padded))[..., : h * scale, : w * scale].clamp(0, 1)


@pytest.mark.parametrize("name", sorted(SPECS.keys() - {"EDSR"}))
def test_what_a_checkpoint_can_be_trained_in(name: str, tmp_path: Path):
    path = saved(SPECS[name], tmp_path)
    found = network_g_of(path)
    net = build(ARCH_REGISTRY, found, "network_g").eval()
    net.load_state_dict(torch.load(path, weights_only=True)["params_ema"], strict=True)
    lq = lq_of(image_of((16, 24)))
    with torch.no_grad():
        torch.testing.assert_close(net(lq), made(SPECS[name])(lq))


def test_an_architecture_that_leaves_no_trace_must_be_named(tmp_path: Path):
    with pytest.raises(InputError, match=r"name it with all its settings.*type: EDSR"):
        network_g_of(saved(SPECS["EDSR"], tmp_path))


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", SPECS)
def test_the_same_image_everywhere(name: str, size: tuple[int, int], tmp_path: Path):
    """The weights alone, network_g, and spandrel's own loader and call: one image."""
    spec = SPECS[name]
    path, image = saved(spec, tmp_path), image_of(size)
    images: dict[str, Tensor] = {}
    ways = {"named": spec} if name == "EDSR" else {"named": spec, "found": None}
    for way, network_g in ways.items():
        with torch.no_grad():
            net = load_network(path, network_g, SCALES[name]).for_any_size()
            images[way] = net(lq_of(image)).clamp(0, 1)
        sr = SRNetwork.from_checkpoint(path, network_g, SCALES[name], **CPU)(image, bits=16)
        assert sr.shape == (size[0] * SCALES[name], size[1] * SCALES[name], 3)
        assert np.abs(sr - images[way][0].permute(1, 2, 0).numpy() * 65535).max() < 1
    if name not in UNKNOWN_TO_SPANDREL:
        theirs = ModelLoader(device="cpu").load_from_file(path)
        assert isinstance(theirs, ImageModelDescriptor) and theirs.scale == SCALES[name]
        images["spandrel"] = theirs(lq_of(image))
    multiple = MULTIPLES.get(name, 8 if "SwinIR" in name else 1)
    # Too small for windows, or spandrel's 4 for pixel-unshuffle by 2: basicsr leaves that open.
    ample = size == (16, 24) or (multiple == 8 and size == (33, 17))
    if ample or (multiple == 1 and size != (1, 1)):
        images["basicsr"] = by_basicsr(path, spec, image, multiple)
    inside = (images["named"] > 0) & (images["named"] < 1)
    assert inside.float().mean() > 0.15  # else black is compared with black
    for other in images.values():
        torch.testing.assert_close(other, images["named"], rtol=0, atol=2e-6)


def test_safetensors_give_the_same(tmp_path: Path):
    spec = SPECS["RRDBNet x2"]
    path, image = saved(spec, tmp_path), image_of((9, 6))
    tensors = checkpoints.tensors_of(path)
    save_file(tensors, tmp_path / "n.safetensors")
    for network_g in (None, spec):
        a, b = (
            SRNetwork.from_checkpoint(tmp_path / f"n.{end}", network_g, **CPU)(image, bits=16)
            for end in ("pth", "safetensors")
        )
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", ["RRDBNet x4", "SwinIR real", "SRVGGNetCompact", "MSRResNet x4"])
def test_half_precision_loads_as_float32(name: str, tmp_path: Path):
    spec, image = SPECS[name], image_of((16, 16))
    params = {
        k: v.half().float() if v.is_floating_point() else v
        for k, v in made(spec).state_dict().items()
    }
    torch.save({"params": params}, tmp_path / "whole.pth")
    torch.save(
        {"params": {k: v.half() if v.is_floating_point() else v for k, v in params.items()}},
        tmp_path / "half.pth",
    )
    for network_g in (None, spec):
        half, whole = (
            SRNetwork.from_checkpoint(tmp_path / f"{n}.pth", network_g, **CPU)
            for n in ("half", "whole")
        )
        assert {p.dtype for p in half.net.parameters()} == {torch.float32}
        np.testing.assert_array_equal(half(image), whole(image))


# --------------------------------------------------------------------------------------- old names


def old_names(params: dict[str, Tensor], blocks: int) -> dict[str, Tensor]:
    """As the first ESRGAN called its layers."""
    plain = {
        "conv_first": "model.0",
        "conv_body": f"model.1.sub.{blocks}",
        "conv_up1": "model.3",
        "conv_up2": "model.6",
        "conv_hr": "model.8",
        "conv_last": "model.10",
    }
    renamed = {}
    for name, value in params.items():
        layer, end = name.rsplit(".", 1)
        if layer in plain:
            renamed[f"{plain[layer]}.{end}"] = value
        else:
            _, block, dense, conv = layer.split(".")
            renamed[f"model.1.sub.{block}.{dense.upper()}.{conv}.0.{end}"] = value
    return renamed


def bsrgan_names(params: dict[str, Tensor], blocks: int) -> dict[str, Tensor]:
    changed = {}
    for name, value in params.items():
        name = re.sub(r"^body\.(\d+)\.rdb", r"RRDB_trunk.\1.RDB", name)
        name = name.replace("conv_body", "trunk_conv").replace("conv_up", "upconv")
        changed[name.replace("conv_hr", "HRconv")] = value
    return changed


@pytest.mark.parametrize("rename", [old_names, bsrgan_names])
@pytest.mark.parametrize("named", [True, False], ids=["network_g", "weights alone"])
def test_older_names(rename: Any, named: bool, tmp_path: Path):
    spec, image = SPECS["RRDBNet x4"], image_of((6, 9))
    params = made(spec).state_dict()
    torch.save(params, tmp_path / "new.pth")
    torch.save(rename(params, 2), tmp_path / "old.pth")
    new, old = (
        SRNetwork.from_checkpoint(tmp_path / f"{n}.pth", spec if named else None, **CPU)(image)
        for n in ("new", "old")
    )
    np.testing.assert_array_equal(new, old)


# ----------------------------------------------------------------------------------------- padding


@pytest.mark.parametrize("size", [(1, 1), (1, 6), (5, 7), (8, 16), (17, 3)])
@pytest.mark.parametrize(("multiple", "minimum"), [(1, 0), (4, 4), (8, 16), (3, 10)])
def test_padding(size: tuple[int, int], multiple: int, minimum: int):
    """By index, one pixel at a time."""
    lq = torch.arange(2 * 3 * size[0] * size[1]).reshape(2, 3, *size).float()

    def source(i: int, n: int) -> int:
        return i if i < n else max(2 * n - 2 - i, 0)

    grown = list(size)
    for axis in (0, 1):
        while grown[axis] < minimum or grown[axis] % multiple:
            grown[axis] += 1
    rows = [source(i, size[0]) for i in range(grown[0])]
    columns = [source(i, size[1]) for i in range(grown[1])]
    expected = lq[:, :, rows][..., columns]
    assert torch.equal(padded_to(lq, multiple, minimum), expected)


def test_what_is_large_enough_is_not_copied():
    lq = torch.zeros(1, 3, 8, 16)
    assert padded_to(lq, 8, 8) is lq


@pytest.mark.parametrize("name", SPECS)
def test_what_a_network_needs_is_found_by_trying(name: str):
    net = made(SPECS[name])
    assert probe_scale(net.train()) == SCALES[name]
    assert not net.training
    assert all(p.device.type == "cpu" for p in net.parameters())  # it was tried on a copy


@pytest.mark.parametrize("window", [7, 12])
def test_windows_of_another_size(window: int, tmp_path: Path):
    spec = {
        **SWINIR,
        "window_size": window,
        "img_size": 2 * window,
        "upscale": 2,
        "upsampler": "pixelshuffledirect",
    }
    network = load_network(saved(spec, tmp_path), spec)
    assert network.multiple_of == window and network.minimum >= 16
    lq = lq_of(image_of((3 * window, 2 * window + 5)))
    padded = torch.nn.functional.pad(lq, (0, window - 5, 0, 0), mode="reflect")
    with torch.no_grad():
        expected = made(spec)(padded)[..., : 2 * (2 * window + 5)]
        torch.testing.assert_close(network.for_any_size()(lq), expected)


@ARCH_REGISTRY.register()
class OddlyStubborn(nn.Module):
    """Looks at values, so it cannot be tried without data; its size must be a multiple of 3."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-1] % 3 or x.max().item() > 2:
            raise RuntimeError("a multiple of 3, please")
        return (x * self.gain).repeat_interleave(2, -1).repeat_interleave(2, -2)


def test_a_network_of_the_users_own(tmp_path: Path):
    torch.save(OddlyStubborn().state_dict(), tmp_path / "n.pth")
    image = image_of((4, 5))
    model = SRNetwork.from_checkpoint(tmp_path / "n.pth", {"type": "OddlyStubborn"}, **CPU)
    np.testing.assert_array_equal(model(image), image.repeat(2, 0).repeat(2, 1))


# ----------------------------------------------------------------------------------- contradictions


def said(path: Path, network_g: dict[str, Any] | None = None, scale: int | None = None) -> str:
    with pytest.raises(InputError) as caught:
        load_network(path, network_g, scale)
    message = str(caught.value)
    assert "\n" not in message and path.name in message and len(message) < 1200
    return message


@pytest.mark.parametrize(
    ("name", "change", "fault"),
    [
        ("RRDBNet x4", {"num_block": 3}, "num_block is 3 instead of 2"),
        ("RRDBNet x4", {"scale": 2}, "scale is 2 instead of 4"),
        ("RRDBNet x2", {"num_grow_ch": 16}, "num_grow_ch is 16 instead of 32"),
        ("SRVGGNetCompact", {"upscale": 2}, "upscale is 2 instead of 4"),
        ("SRVGGNetCompact", {"num_feat": 6}, "num_feat is 6 instead of 8"),
        ("MSRResNet x4", {"upscale": 3}, "upscale is 3 instead of 4"),
        ("SwinIR classical", {"embed_dim": 12}, "embed_dim is 12 instead of 8"),
        ("SwinIR classical", {"upsampler": "pixelshuffledirect"}, "instead of pixelshuffle:"),
        ("MSRResNet x4", {"type": "SRVGGNetCompact", "num_conv": 2}, "type is SRVGGNetCompact"),
    ],
)
def test_network_g_against_the_weights(
    name: str, change: dict[str, Any], fault: str, tmp_path: Path
):
    path, right = saved(SPECS[name], tmp_path), SPECS[name]
    wrong = {**right, **change}
    if "type" in change:
        wrong.pop("num_block")
    message = said(path, wrong)
    assert fault in message and message.startswith("network_g: ")
    # The line that is offered is one that works.
    line = message[message.index("write network_g: ") + 17 : message.index(", or leave it out")]
    offered = yaml.safe_load(line)
    assert all(offered[key] == value for key, value in right.items())
    assert load_network(path, offered).scale == SCALES[name]


def test_the_names_of_mismatches_are_counted(tmp_path: Path):
    params = made(RRDB).state_dict()
    params.pop("conv_last.bias")
    params["extra"] = torch.zeros(1)
    torch.save(params, tmp_path / "n.pth")
    for network_g in (RRDB, None):
        message = said(tmp_path / "n.pth", network_g)
        assert "1 of 72 missing (conv_last.bias), 1 unexpected (extra)" in message


def test_a_compact_network_with_another_activation(tmp_path: Path):
    spec = {**SPECS["SRVGGNetCompact"], "act_type": "relu"}
    path = saved(spec, tmp_path)
    message = said(path)
    offered = yaml.safe_load(message[message.index("network_g: ") + 11 :])
    assert offered == spec
    assert load_network(path, offered).scale == 4


def test_edsr_names_its_line(tmp_path: Path):
    path = saved({**SPECS["EDSR"], "upscale": 2}, tmp_path)
    message = said(path)
    offered = yaml.safe_load(message[message.index("network_g: ") + 11 :])
    assert offered["upscale"] == 2 and offered["num_block"] == 2 and offered["num_feat"] == 8
    assert load_network(path, offered).scale == 2


def test_a_wrong_scale(tmp_path: Path):
    path = saved(SPECS["RRDBNet x2"], tmp_path)
    message = said(path, scale=4)
    assert "is an x2 network, but scale is 4; set scale: 2, or give weights for x4" in message


def test_an_unknown_network(tmp_path: Path):
    torch.save({"a.weight": torch.zeros(2, 2)}, tmp_path / "n.pth")
    message = said(tmp_path / "n.pth")
    assert "holds no SR network that is known" in message and "network_g: {type: " in message


DISCRIMINATORS: dict[str, dict[str, Any]] = {
    "UNetDiscriminatorSN": {"num_in_ch": 3, "num_feat": 4},
    "VGGStyleDiscriminator": {"num_in_ch": 3, "num_feat": 4},
    "PatchDiscriminator": {"num_feat": 4},
}


@pytest.mark.parametrize("name", DISCRIMINATORS)
@pytest.mark.parametrize("network_g", [None, RRDB], ids=["weights alone", "network_g"])
def test_a_discriminator(name: str, network_g: dict[str, Any] | None, tmp_path: Path):
    net = find(ARCH_REGISTRY, name, "")(**DISCRIMINATORS[name])
    path = tmp_path / "net_d_5000.pth"
    torch.save({"params": net.state_dict()}, path)
    message = said(path, network_g)
    assert f"is a discriminator ({name})" in message and "net_g_*.pth" in message
    (tmp_path / "net_g_5000.pth").touch()
    assert str(tmp_path / "net_g_5000.pth") in said(path, network_g)


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_a_discriminator_as_network_g(name: str, tmp_path: Path):
    net = find(ARCH_REGISTRY, name, "")(**DISCRIMINATORS[name])
    torch.save({"params": net.state_dict()}, tmp_path / "n.pth")
    with pytest.raises(InputError, match=f"network_g.type: {name} (is not an|cannot be run)"):
        load_network(tmp_path / "n.pth", {"type": name, **DISCRIMINATORS[name]})


def test_a_grey_network(tmp_path: Path):
    path = saved({**SPECS["SRVGGNetCompact"], "num_in_ch": 1, "num_out_ch": 1}, tmp_path)
    assert "maps 1 channels to 1" in said(path)
