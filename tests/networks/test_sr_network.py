"""SRNetwork against the network run directly; SRPair."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from desra.networks.pair import SRPair
from desra.networks.sr_network import SRNetwork
from desra.networks.tiling import Tiles, spans
from desra.options.detect import DetectOptions
from desra.registry import ARCH_REGISTRY, find
from desra.utils.errors import InputError
from helpers.small import photograph, save_compact

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
    model = SRNetwork.from_checkpoint(path, network_g, **CPU)
    assert model.scale == 2
    sr = model(image)
    assert sr.dtype == np.uint8 and sr.shape == (size[0] * 2, size[1] * 2, 3)
    assert np.abs(sr - direct(path, image)).max() <= 0.5 + 1e-3  # rounded to nearest


def test_tiles_change_nothing_beyond_rounding(tmp_path: Path):
    """Two convolutions see two pixels, less than where tiles with an overlap of 8 change hands."""
    path, image = save_compact(tmp_path / "n.pth"), photograph(0, 60, 70)
    whole = SRNetwork.from_checkpoint(path, tiles=Tiles(0, 0), **CPU)(image)
    tiled = SRNetwork.from_checkpoint(path, tiles=Tiles(32, 8), **CPU)(image)
    assert (whole == tiled).mean() > 0.99
    assert np.abs(whole.astype(int) - tiled).max() <= 1


@pytest.mark.parametrize("weights", ["embedded:gan", "embedded:mse"])
def test_the_default_overlap_leaves_no_seams(weights: str):
    overlap = Tiles().overlap
    assert DetectOptions.model_fields["tile"].default == Tiles()
    image = photograph(1, 80, 120)
    whole = SRNetwork.from_checkpoint(weights, tiles=Tiles(0, 0), **CPU)(image, bits=16)
    tiled = SRNetwork.from_checkpoint(weights, tiles=Tiles(72, overlap), **CPU)(image, bits=16)
    cut = SRNetwork.from_checkpoint(weights, tiles=Tiles(72, 0), **CPU)(image, bits=16)
    assert np.abs(cut.astype(int) - whole).max() > 10 * 257
    assert np.abs(tiled.astype(int) - whole).max() <= 257  # a grey level


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
    np.testing.assert_array_equal(SRNetwork(Ramp(offset), 1, **CPU)(image), expected)


def test_views_are_taken_as_they_are():
    image = photograph(0, 12, 10)
    model = SRNetwork(Ramp(0), 1, **CPU)
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
        SRNetwork(Ramp(0), 1, **CPU)(image)


@pytest.mark.parametrize("network_g", [None, COMPACT])
def test_a_wrong_scale(network_g, tmp_path: Path):
    path = save_compact(tmp_path / "n.pth")
    with pytest.raises(InputError, match="is an x2 network, but scale is 4"):
        SRNetwork.from_checkpoint(path, network_g, 4, **CPU)


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
        SRNetwork.from_checkpoint(tmp_path / "net_d.pth", **CPU)


def test_weights_of_another_width(tmp_path: Path):
    path = save_compact(tmp_path / "n.pth")
    with pytest.raises(InputError, match=r"does not fit SRVGGNetCompact: .*size mismatch"):
        SRNetwork.from_checkpoint(path, {**COMPACT, "num_feat": 6}, **CPU)


def test_a_pair(tmp_path: Path):
    gan_path = save_compact(tmp_path / "gan.pth", seed=1)
    mse_path = save_compact(tmp_path / "mse.pth", seed=2)
    gan = SRNetwork.from_checkpoint(gan_path, tiles=Tiles(32, 8), **CPU)
    mse = SRNetwork.from_checkpoint(mse_path, **CPU)
    image = photograph(0, 20, 24)
    images = SRPair(gan, mse)(image, "a/b")
    assert images.stem == "a/b"
    assert np.abs(images.gan - direct(gan_path, image)).max() <= 0.5 + 1e-3
    assert np.abs(images.mse - direct(mse_path, image)).max() <= 0.5 + 1e-3
    assert mse.tiles == gan.tiles


def test_a_pair_of_two_scales(tmp_path: Path):
    x2, x4 = (
        SRNetwork.from_checkpoint(save_compact(tmp_path / f"x{s}.pth", scale=s), **CPU)
        for s in (2, 4)
    )
    with pytest.raises(InputError, match="GAN-SR network is x2 and its partner sr_mse x4"):
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
    gan = SRNetwork(_Nearest(), 2, "cpu", "fp32", Tiles(160, 16))
    mse = SRNetwork(_Nearest(largest=90), 2, "cpu", "fp32")
    sr = SRPair(gan, mse)(image)
    assert (sr.gan == _doubled(image)).all() and (sr.mse == _doubled(image)).all()
    assert gan.tiles == mse.tiles == Tiles(80, 16)
    assert caplog.text.count("out of memory") == 1


def test_no_memory_at_all_and_other_errors(monkeypatch: pytest.MonkeyPatch):
    image = np.zeros((70, 70, 3), np.uint8)
    model = SRNetwork(_Nearest(largest=1), 2, "cpu", "fp32")
    with pytest.raises(InputError, match="too little memory"):
        model(image)
    other = SRNetwork(_Nearest(), 2, "cpu", "fp32")
    monkeypatch.setattr(other.net, "forward", lambda x: x[:, 7])
    with pytest.raises(IndexError):
        other(image)


@pytest.mark.parametrize("spoil", [float("nan"), 0.0])
def test_a_spoilt_tile_is_done_again_in_fp32(spoil: float, caplog: pytest.LogCaptureFixture):
    image = np.random.default_rng(0).integers(1, 256, (20, 20, 3), dtype=np.uint8)
    model = SRNetwork(_Nearest(spoil=spoil), 2, "cpu", "bf16")
    assert (model(image) == _doubled(image)).all()
    model(image)
    assert caplog.text.count("done in float32") == 1
    assert not model(np.zeros_like(image)).any()  # black in, black out: nothing to repair


# ------------------------------------------------------------------------------------ memory


def no_memory_on_the_cpu() -> None:
    torch.empty(2**50)  # 4 PiB: torch's own error


def no_memory_on_cuda() -> None:
    raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def no_memory_on_mps() -> None:
    raise RuntimeError("MPS backend out of memory (MPS allocated: 1 GB). Tried to allocate 2 GB.")


class Hungry(Ramp):
    """Has memory for tiles up to ``limit`` pixels a side only."""

    def __init__(self, limit: int, fail: Callable[[], None] = no_memory_on_the_cpu):
        super().__init__(0)
        self.limit, self.fail = limit, fail
        self.sides: list[int] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.sides.append(max(x.shape[-2:]))
        if self.sides[-1] > self.limit:
            self.fail()
        return super().forward(x)


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]


@pytest.mark.parametrize("fail", [no_memory_on_the_cpu, no_memory_on_cuda, no_memory_on_mps])
def test_out_of_memory_halves_the_tiles(fail: Callable[[], None], caplog):
    net, image = Hungry(70, fail), photograph(0, 150, 140)
    model = SRNetwork(net, 1, tiles=Tiles(128, 24), **CPU)
    np.testing.assert_array_equal(model(image), image)
    failed = spans(150, Tiles(128, 24))[0][1]
    assert model.tiles == Tiles(64, 24) and net.sides.count(failed) == 1 and failed > 70
    assert said(caplog) == ["out of memory on cpu: tiles of 64 pixels from here on"]
    model(image)  # not tried again, not said again
    assert net.sides.count(failed) == 1 and len(said(caplog)) == 1


def test_an_uncut_image_that_does_not_fit_is_cut():
    net = Hungry(70)
    model = SRNetwork(net, 1, tiles=Tiles(0, 0), **CPU)
    image = photograph(0, 30, 200)
    np.testing.assert_array_equal(model(image), image)
    assert net.sides[:3] == [200, 72, 56]  # none, at most 100, at most 64 pixels, about equal


def test_no_memory_for_the_smallest_tiles():
    net = Hungry(10)
    with pytest.raises(InputError, match=r"cpu has too little memory .*can't allocate memory"):
        SRNetwork(net, 1, **CPU)(photograph(0, 150, 140))
    halves = [Tiles(75, 32), Tiles(64, 31)]
    assert net.sides == [150, *(max(spans(n, t)[0][1] for n in (150, 140)) for t in halves)]


@pytest.mark.parametrize("error", [RuntimeError("mat1 and mat2"), MemoryError("out of memory")])
def test_other_errors_are_not_taken_for_it(error: Exception, caplog):
    def fail() -> None:
        raise error

    net = Hungry(10, fail)
    with pytest.raises(type(error), match=str(error)):
        SRNetwork(net, 1, **CPU)(photograph(0, 150, 140))
    assert net.sides == [150] and not said(caplog)


@pytest.mark.parametrize(("gan_limit", "mse_limit"), [(300, 70), (70, 300), (130, 70)])
def test_both_networks_of_a_pair_end_on_one_grid(gan_limit: int, mse_limit: int):
    gan, mse = Hungry(gan_limit), Hungry(mse_limit)
    pair = SRPair(
        SRNetwork(gan, 1, tiles=Tiles(256, 24), **CPU), SRNetwork(mse, 1, tiles=Tiles(0, 0), **CPU)
    )
    image = photograph(0, 150, 260)
    images = pair(image)
    np.testing.assert_array_equal(images.gan, image)
    np.testing.assert_array_equal(images.mse, image)
    assert pair.gan.tiles == mse_tiles(pair) == Tiles(64, 24)
    sides = [
        max(bottom - top, right - left)
        for top, bottom in spans(150, Tiles(64, 24))
        for left, right in spans(260, Tiles(64, 24))
    ]
    assert gan.sides[-len(sides) :] == mse.sides[-len(sides) :] == sides


def mse_tiles(pair: SRPair) -> Tiles:
    assert pair.mse is not None
    return pair.mse.tiles


# --------------------------------------------------------------------------------- precision


class Spoiled(Ramp):
    """Right in float32; under autocast it spoils tiles whose first pixel is bright."""

    def __init__(self, value: float):
        super().__init__(0)
        self.value = value
        self.runs = {True: 0, False: 0}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        low = torch.is_autocast_enabled("cpu")
        self.runs[low] += 1
        y = super().forward(x).clone()
        if low and x[0, 0, 0, 0] > 0.5:
            y[:] = self.value
        return y


def bright_and_dark() -> np.ndarray:
    """Two tiles of 64 pixels: in the left one all is bright."""
    return np.repeat(np.array([200] * 64 + [20] * 64, np.uint8), 3).reshape(1, 128, 3)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 0.0, -1.0])
def test_a_tile_that_low_precision_spoils_is_done_again_in_float32(value: float, caplog):
    net, image = Spoiled(value), bright_and_dark()
    model = SRNetwork(net, 1, device="cpu", precision="bf16", tiles=Tiles(64, 0))
    np.testing.assert_array_equal(model(image), image)
    assert net.runs == {True: 2, False: 1}
    assert said(caplog) == ["bfloat16 spoils some tiles of this network: done in float32"]
    model(image)
    assert len(said(caplog)) == 1


def test_one_value_that_is_not_finite_is_enough():
    class Dot(Ramp):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = super().forward(x).clone()
            if torch.is_autocast_enabled("cpu"):
                y[0, 2, 3, 4] = float("nan")
            return y

    image = photograph(0, 12, 10)
    model = SRNetwork(Dot(0), 1, device="cpu", precision="bf16")
    np.testing.assert_array_equal(model(image), image)


def test_other_values_are_not_done_again(caplog):
    net, image = Spoiled(7.0), bright_and_dark()  # far too bright, but neither black nor NaN
    SRNetwork(net, 1, device="cpu", precision="bf16", tiles=Tiles(64, 0))(image)
    assert net.runs == {True: 2, False: 0} and not said(caplog)


def test_black_stays_black_without_a_word(caplog):
    net = Spoiled(0.0)
    model = SRNetwork(net, 1, device="cpu", precision="bf16")
    assert not model(np.zeros((9, 9, 3), np.uint8)).any()
    assert net.runs == {True: 1, False: 0}
    assert not SRNetwork(Ramp(-2), 1, device="cpu", precision="bf16")(bright_and_dark()).any()
    assert not said(caplog)  # black in float32 too: what the network wants


def test_float16_that_overflows(caplog):
    """A real overflow: 300 * 300 is beyond float16's 65504."""
    # The first layer, which reads the image, stays in float32.
    net = nn.Sequential(*(nn.Conv2d(i, o, 1, bias=False) for i, o in ((3, 4), (4, 4), (4, 3))))
    for conv, gain in zip(net, (300.0, 300.0, 1 / 90000), strict=True):
        conv.weight.data = gain * torch.eye(*conv.weight.shape[:2])[..., None, None]
    model = SRNetwork(net, 1, **CPU)
    model.dtype = torch.float16  # which is refused for a CPU by name, but computes there
    image = photograph(0, 12, 10)
    image[0, 0] = 255
    np.testing.assert_array_equal(model(image), image)
    assert said(caplog) == ["float16 spoils some tiles of this network: done in float32"]


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_weights_that_are_poisoned_are_said(precision: str):
    model = SRNetwork(Ramp(float("nan")), 1, device="cpu", precision=precision)
    with pytest.raises(InputError, match="not finite, in float32 too: its weights are damaged"):
        model(photograph(0, 12, 10))
