"""Tiles against the network run on the whole image at once."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor, nn

from desra.tiling import SMALLEST_TILE, Tiles, _ramp, halved, run_tiled, spans

RADIUS = 3  # three convolutions of 3x3


class Net(nn.Module):
    """Three convolutions and an upsampling, in float64 inside."""

    def __init__(self, scale: int, kernel: int = 3):
        super().__init__()
        torch.manual_seed(0)
        layers: list[nn.Module] = []
        for channels in (3, 5, 5):
            layers += [nn.Conv2d(channels, 5, kernel, padding=kernel // 2), nn.Tanh()]
        self.body = nn.Sequential(*layers, nn.Conv2d(5, 3 * scale**2, 1), nn.PixelShuffle(scale))
        self.double()

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        return self.body(x.double())


def image(height: int, width: int) -> Tensor:
    return torch.rand((1, 3, height, width), generator=torch.Generator().manual_seed(1))


def far_from_cuts(length: int, tiles: Tiles, radius: int) -> Tensor:
    """Pixels along an axis that no tile sees within ``radius`` of an edge that is a cut."""
    good = torch.ones(length, dtype=torch.bool)
    for start, stop in spans(length, tiles):
        if start > 0:
            good[start : start + radius] = False
        if stop < length:
            good[stop - radius : stop] = False
    return good


@pytest.mark.parametrize(("height", "width"), [(41, 67), (40, 17), (16, 33), (65, 64)])
@pytest.mark.parametrize("scale", [1, 2, 4])
def test_tiled_is_whole_away_from_cuts(height: int, width: int, scale: int):
    net, lq, tiles = Net(scale), image(height, width), Tiles(16, 7)
    whole, tiled = net(lq), run_tiled(net, lq, scale, tiles)
    assert tiled.dtype == torch.float32 and tiled.shape == whole.shape
    rows, columns = (
        far_from_cuts(n, tiles, RADIUS).repeat_interleave(scale) for n in (height, width)
    )
    inside = rows[:, None] & columns[None, :]
    assert inside.float().mean() > 0.1
    difference = (tiled - whole).abs().amax(dim=(0, 1))
    assert difference[inside].max() < 1e-6


@pytest.mark.parametrize(("height", "width"), [(41, 67), (40, 17), (65, 64)])
@pytest.mark.parametrize("scale", [1, 2, 4])
def test_the_outer_part_of_an_overlap_weighs_next_to_nothing(height: int, width: int, scale: int):
    """Within RADIUS of a cut a tile sees zeros where the whole image goes on. The weights change
    hands RADIUS + 1 pixels inside, so of that a thousandth is left."""
    net, lq = Net(scale), image(height, width)
    whole = net(lq)
    hard, tiled = (run_tiled(net, lq, scale, Tiles(24, n)) for n in (0, 2 * RADIUS + 4))
    assert (hard - whole).abs().max() > 0.01
    assert (tiled - whole).abs().max() < 0.003 * (hard - whole).abs().max()


@pytest.mark.parametrize("scale", [1, 3])
def test_weights_rise_in_the_middle_of_the_overlap(scale: int):
    ramp = _ramp((10, 40), 50, 12, scale)  # a cut on both sides
    torch.testing.assert_close(ramp, ramp.flip(0))
    rise = ramp[: 12 * scale]
    assert (rise.diff() >= 0).all()
    assert (rise[: 4 * scale] < 2e-3).all() and (rise[8 * scale :] > 0.998).all()
    assert rise.min() > 5e-4 and (ramp[12 * scale : -12 * scale] == 1).all()
    assert (_ramp((0, 30), 50, 12, scale)[: 12 * scale] == 1).all()  # the image's own edge


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (5, 3), (23, 31), (16, 16), (17, 16)])
@pytest.mark.parametrize("overlap", [0, 1, 7])
def test_a_network_of_single_pixels_is_exact_everywhere(size: tuple[int, int], overlap: int):
    net, lq = Net(2, kernel=1), image(*size)
    torch.testing.assert_close(
        run_tiled(net, lq, 2, Tiles(16, overlap)).double(), net(lq), atol=1e-6, rtol=0
    )


def test_size_zero_never_cuts():
    seen: list[tuple[int, ...]] = []

    def net(x: Tensor) -> Tensor:
        seen.append(tuple(x.shape))
        return x

    run_tiled(net, image(300, 500), 1, Tiles(0, 0))
    assert seen == [(1, 3, 300, 500)]


@pytest.mark.parametrize("length", [1, 15, 16, 17, 25, 26, 100, 101])
def test_tiles_are_equal_cover_all_and_overlap(length: int):
    tiles = Tiles(16, 7)
    found = spans(length, tiles)
    assert found[0][0] == 0 and found[-1][1] == length
    assert {stop - start for start, stop in found} == {min(16, length)}
    for (_, stop), (start, _) in itertools.pairwise(found):
        assert stop - start >= 7


@pytest.mark.parametrize("length", [10, 16, 17, 24, 25, 26, 100])
@pytest.mark.parametrize("scale", [1, 3])
def test_weights_are_never_zero_and_sum_to_one_where_two_tiles_meet(length: int, scale: int):
    tiles = Tiles(16, 7)
    total, count = torch.zeros(length * scale), torch.zeros(length * scale)
    found = spans(length, tiles)
    for span in found:
        ramp = _ramp(span, length, tiles.overlap, scale)
        assert ramp.min() > 0 and ramp.max() <= 1
        total[span[0] * scale : span[1] * scale] += ramp
        count[span[0] * scale : span[1] * scale] += 1
    assert count.min() >= 1
    regular = all(a[1] - b[0] == 7 for a, b in itertools.pairwise(found))
    if regular:  # else the last tile was moved back, and run_tiled divides by the sum
        torch.testing.assert_close(total, torch.ones_like(total))
    assert total.min() > 0


@pytest.mark.parametrize(
    ("tiles", "size", "smaller"),
    [
        (Tiles(256, 24), (1000, 600), Tiles(128, 24)),
        (Tiles(128, 48), (1000, 600), Tiles(64, 31)),  # overlap: less than half
        (Tiles(0, 24), (1000, 600), Tiles(500, 24)),  # it was not cut at all
        (Tiles(256, 24), (90, 150), Tiles(75, 24)),  # it was one tile, smaller than allowed
        (Tiles(100, 24), (300, 300), Tiles(SMALLEST_TILE, 24)),
        (Tiles(64, 24), (300, 300), None),
        (Tiles(256, 24), (64, 10), None),
        (Tiles(0, 0), (1, 1), None),
        (Tiles(32, 8), (300, 300), None),
    ],
)
def test_half_as_large(tiles: Tiles, size: tuple[int, int], smaller: Tiles | None):
    assert halved(tiles, *size) == smaller


def test_a_wrong_scale_is_said():
    with pytest.raises(ValueError, match=r"made \(16, 16\) out of \(8, 8\).*its scale is not 4"):
        run_tiled(Net(2), image(8, 8), 4, Tiles())


@pytest.mark.parametrize(("size", "overlap"), [(-1, 0), (16, 8), (16, -1)])
def test_tiles_that_do_not_work(size: int, overlap: int):
    with pytest.raises(ValueError, match="overlap"):
        Tiles(size, overlap)
