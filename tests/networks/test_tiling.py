"""Tiles against the network run on the whole image at once."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from desra.networks.tiling import SMALLEST_TILE, Tiles, _ramp, halved, spans, strips

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


def run_tiled(net: Callable[[Tensor], Tensor], lq: Tensor, scale: int, tiles: Tiles) -> Tensor:
    return torch.cat(list(strips(net, lq, scale, tiles)), dim=-2)


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


@pytest.mark.parametrize("tiles", [Tiles(16, 7), Tiles(64, 24), Tiles(100, 30), Tiles(384, 32)])
@pytest.mark.parametrize("length", [1, 15, 16, 17, 25, 65, 100, 101, 385, 1024, 5000])
def test_tiles_are_few_about_equal_aligned_and_overlap(length: int, tiles: Tiles):
    found = spans(length, tiles)
    assert found[0][0] == 0 and found[-1][1] == length
    sizes = [stop - start for start, stop in found]
    assert max(sizes) <= max(tiles.size, 1) and len(set(sizes[:-1])) <= 1
    assert sizes[-1] <= sizes[0] and (len(sizes) == 1 or sizes[-1] > tiles.overlap)
    unit = 8 if tiles.size - tiles.overlap >= 8 else 1
    assert all(start % unit == 0 for start, _ in found)
    assert all(a[1] - b[0] == tiles.overlap for a, b in itertools.pairwise(found))
    assert all(a[1] <= c[0] for a, c in zip(found, found[2:], strict=False))  # no more than two
    # Cut at the full size, with starts rounded down to the unit, there would be as many.
    step = (tiles.size - tiles.overlap) // unit * unit
    assert len(found) <= max(1, -(-(length - tiles.overlap) // step))


def test_little_is_computed_twice():
    """1024 pixels in three tiles, not three whole ones of 384 of which one lies on another."""
    found = spans(1024, Tiles(384, 32))
    assert sum(stop - start for start, stop in found) == 1024 + 2 * 32
    assert max(stop - start for start, stop in found) < 384


def test_strips_come_as_soon_as_they_are_done_and_are_the_whole():
    net, lq, tiles = Net(2), image(67, 41), Tiles(16, 6)
    calls = 0

    def counting(x: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return net(x)

    parts: list[Tensor] = []
    for number, strip in enumerate(strips(counting, lq, 2, tiles), 1):
        assert calls == number * len(spans(41, tiles))
        parts.append(strip)
    starts = [start * 2 for start, _ in spans(67, tiles)]
    assert [part.shape[-2] for part in parts] == np.diff([*starts, 134]).tolist()
    # Against a sum over the whole image at once.
    total, weights = torch.zeros(1, 3, 134, 82), torch.zeros(1, 1, 134, 82)
    for rows, columns in itertools.product(spans(67, tiles), spans(41, tiles)):
        ramps = (_ramp(s, n, 6, 2) for s, n in ((rows, 67), (columns, 41)))
        weight = torch.outer(*ramps)
        place = (..., slice(2 * rows[0], 2 * rows[1]), slice(2 * columns[0], 2 * columns[1]))
        total[place] += weight * net(lq[..., slice(*rows), slice(*columns)]).float()
        weights[place] += weight
    torch.testing.assert_close(torch.cat(parts, dim=-2), total / weights)


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
    torch.testing.assert_close(total, torch.ones_like(total))


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
