"""SRModel against the network run directly; SRPair."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import photograph, save_compact
from torch import nn

from desra.errors import InputError
from desra.models import SRModel, SRPair
from desra.registry import ARCH_REGISTRY, find
from desra.tiling import Tiles

COMPACT = {"type": "SRVGGNetCompact", "num_feat": 4, "num_conv": 1, "upscale": 2}
CPU = {"device": "cpu", "precision": "fp32"}


def direct(path: Path, image: np.ndarray) -> np.ndarray:
    """The same network without any of our code: float64, then rounded by numpy."""
    net = find(ARCH_REGISTRY, "SRVGGNetCompact", "")(num_feat=4, num_conv=1, upscale=2)
    net.load_state_dict(torch.load(path, weights_only=True)["params"])
    x = torch.from_numpy(image.transpose(2, 0, 1)[None] / 255.0)
    with torch.no_grad():
        y = net.double()(x)[0].numpy().transpose(1, 2, 0)
    return np.clip(y, 0, 1) * 255


@pytest.mark.parametrize("network_g", [None, COMPACT])
@pytest.mark.parametrize("size", [(19, 26), (1, 1), (3, 40)])
def test_against_the_network_itself(network_g, size: tuple[int, int], tmp_path: Path):
    path = save_compact(tmp_path / "n.pth")
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    model = SRModel.from_checkpoint(path, network_g, **CPU)
    assert model.scale == 2
    sr = model(image)
    assert sr.dtype == np.uint8 and sr.shape == (size[0] * 2, size[1] * 2, 3)
    assert np.abs(sr - direct(path, image)).max() <= 0.5 + 1e-3  # rounded to nearest


def test_tiles_change_nothing_beyond_rounding(tmp_path: Path):
    """Two convolutions see two pixels; blending over eight leaves a grey level at the cuts."""
    path, image = save_compact(tmp_path / "n.pth"), photograph(0, 60, 70)
    whole = SRModel.from_checkpoint(path, tiles=Tiles(0, 0), **CPU)(image)
    tiled = SRModel.from_checkpoint(path, tiles=Tiles(32, 8), **CPU)(image)
    assert (whole == tiled).mean() > 0.8
    assert np.abs(whole.astype(int) - tiled).mean() < 0.5


class Ramp(nn.Module):
    """Adds a constant: pixel / 255 + offset."""

    def __init__(self, offset: float):
        super().__init__()
        self.offset = offset

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.offset


@pytest.mark.parametrize("offset", [0.4 / 255, 0.6 / 255, -0.4 / 255, -0.6 / 255, 2, -2])
def test_values_are_rounded_to_nearest_and_clipped(offset: float):
    image = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, -1)
    expected = np.clip(np.rint(image.astype(float) + offset * 255), 0, 255)
    np.testing.assert_array_equal(SRModel(Ramp(offset), 1, **CPU)(image), expected)


def test_views_are_taken_as_they_are():
    image = photograph(0, 12, 10)
    model = SRModel(Ramp(0), 1, **CPU)
    np.testing.assert_array_equal(model(image[::-1, ::2]), image[::-1, ::2])


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
    ],
)
def test_other_arrays_are_refused(image: np.ndarray):
    with pytest.raises(ValueError, match=r"must be uint8 .*\(H, W, 3\)"):
        SRModel(Ramp(0), 1, **CPU)(image)


@pytest.mark.parametrize("network_g", [None, COMPACT])
def test_a_wrong_scale(network_g, tmp_path: Path):
    path = save_compact(tmp_path / "n.pth")
    with pytest.raises(InputError, match="is an x2 network, but scale is 4"):
        SRModel.from_checkpoint(path, network_g, 4, **CPU)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("UNetDiscriminatorSN", {"num_in_ch": 3, "num_feat": 4}),
        ("VGGStyleDiscriminator", {"num_in_ch": 3, "num_feat": 4}),
        ("PatchDiscriminator", {"num_feat": 4}),
    ],
)
def test_a_discriminator_is_recognised(name: str, arguments: dict[str, int], tmp_path: Path):
    net = find(ARCH_REGISTRY, name, "")(**arguments)
    torch.save({"params": net.state_dict()}, tmp_path / "net_d.pth")
    with pytest.raises(InputError, match=r"net_d\.pth (holds no|is a .*, not an) SR network"):
        SRModel.from_checkpoint(tmp_path / "net_d.pth", **CPU)


def test_weights_of_another_width(tmp_path: Path):
    path = save_compact(tmp_path / "n.pth")
    with pytest.raises(InputError, match=r"does not fit SRVGGNetCompact: .*size mismatch"):
        SRModel.from_checkpoint(path, {**COMPACT, "num_feat": 6}, **CPU)


def test_a_pair(tmp_path: Path):
    gan_path = save_compact(tmp_path / "gan.pth", seed=1)
    mse_path = save_compact(tmp_path / "mse.pth", seed=2)
    gan = SRModel.from_checkpoint(gan_path, tiles=Tiles(32, 8), **CPU)
    mse = SRModel.from_checkpoint(mse_path, **CPU)
    image = photograph(0, 20, 24)
    images = SRPair(gan, mse)(image, "a/b")
    assert images.stem == "a/b"
    assert np.abs(images.gan - direct(gan_path, image)).max() <= 0.5 + 1e-3
    assert np.abs(images.mse - direct(mse_path, image)).max() <= 0.5 + 1e-3
    assert mse.tiles == gan.tiles


def test_a_pair_of_two_scales(tmp_path: Path):
    x2, x4 = (
        SRModel.from_checkpoint(save_compact(tmp_path / f"x{s}.pth", scale=s), **CPU)
        for s in (2, 4)
    )
    with pytest.raises(InputError, match="sr_gan is an x2 network and sr_mse x4"):
        SRPair(x2, x4)


class _Nearest(torch.nn.Module):
    """x2 by repetition; fails or spoils what the test asks it to."""

    def __init__(self, largest: int = 10**6, spoil: float | None = None):
        super().__init__()
        self.largest, self.spoil = largest, spoil

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if max(x.shape[-2:]) > self.largest:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 9 bytes")
        if self.spoil is not None and torch.is_autocast_enabled("cpu"):
            x = torch.full_like(x, self.spoil)
        return x.repeat_interleave(2, 2).repeat_interleave(2, 3)


def _doubled(image: np.ndarray) -> np.ndarray:
    return image.repeat(2, 0).repeat(2, 1)


def test_out_of_memory_halves_the_tiles_of_both_networks(caplog: pytest.LogCaptureFixture):
    image = np.random.default_rng(0).integers(0, 256, (150, 170, 3), dtype=np.uint8)
    gan = SRModel(_Nearest(), 2, "cpu", "fp32", Tiles(160, 16))
    mse = SRModel(_Nearest(largest=90), 2, "cpu", "fp32")
    sr = SRPair(gan, mse)(image)
    assert (sr.gan == _doubled(image)).all() and (sr.mse == _doubled(image)).all()
    assert gan.tiles == mse.tiles == Tiles(80, 16)
    assert caplog.text.count("out of memory") == 1


def test_no_memory_at_all_and_other_errors(monkeypatch: pytest.MonkeyPatch):
    image = np.zeros((70, 70, 3), np.uint8)
    model = SRModel(_Nearest(largest=1), 2, "cpu", "fp32")
    with pytest.raises(InputError, match="too little memory"):
        model(image)
    other = SRModel(_Nearest(), 2, "cpu", "fp32")
    monkeypatch.setattr(other.net, "forward", lambda x: x[:, 7])
    with pytest.raises(IndexError):
        other(image)


@pytest.mark.parametrize("spoil", [float("nan"), 0.0])
def test_a_spoilt_tile_is_done_again_in_fp32(spoil: float, caplog: pytest.LogCaptureFixture):
    image = np.random.default_rng(0).integers(1, 256, (20, 20, 3), dtype=np.uint8)
    model = SRModel(_Nearest(spoil=spoil), 2, "cpu", "bf16")
    assert (model(image) == _doubled(image)).all()
    model(image)
    assert caplog.text.count("done in float32") == 1
    assert not model(np.zeros_like(image)).any()  # black in, black out: nothing to repair
