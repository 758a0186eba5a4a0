"""Run a network on a large image piece by piece, as if it had run on the whole.

Tiles of one size lie on a regular grid and share ``overlap`` pixels with their neighbours; in the
shared strips the results are blended with weights that never reach zero and add up to one. Two
networks that are given the same image and settings get the same grid.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Tiles:
    """How images are cut.

    Args:
        size: side of a tile in input pixels; 0: never cut.
        overlap: input pixels that neighbours share; less than half of ``size``.

    Raises:
        ValueError: negative values, or an overlap that is too large.
    """

    size: int = 256
    overlap: int = 24

    def __post_init__(self) -> None:
        if self.size < 0 or self.overlap < 0 or (self.size and 2 * self.overlap >= self.size):
            raise ValueError(
                f"tile size {self.size} and overlap {self.overlap}: both at least 0, and the "
                "overlap less than half of the size"
            )


def spans(length: int, tiles: Tiles) -> list[tuple[int, int]]:
    """(start, stop) of the tiles along an axis of ``length``; all of equal length.

    The last tile is moved back to end at ``length`` rather than made smaller, so a network sees one
    shape only.
    """
    size = tiles.size
    if size == 0 or length <= size:
        return [(0, length)]
    step = size - tiles.overlap
    starts = [*range(0, length - size, step), length - size]
    return [(start, start + size) for start in starts]


def _ramp(span: tuple[int, int], length: int, overlap: int, scale: int) -> Tensor:
    """Weights of a tile along one axis: 1 inside, falling linearly over the overlap, never 0."""
    start, stop = span
    n = (stop - start) * scale
    weight = torch.ones(n, dtype=torch.float32)
    width = overlap * scale
    rise = torch.arange(1, width + 1, dtype=torch.float32) / (width + 1)
    if start > 0:
        weight[:width] = rise
    if stop < length:
        weight[n - width :] = torch.minimum(weight[n - width :], rise.flip(0))
    return weight


def run_tiled(net: Callable[[Tensor], Tensor], lq: Tensor, scale: int, tiles: Tiles) -> Tensor:
    """``net(lq)``, tile by tile.

    Args:
        net: float (N, C, h, w) -> float (N, C, h*scale, w*scale).
        lq: float32 (N, C, H, W) on any device.
        scale: the network's factor.
        tiles: how to cut.

    Returns:
        float32 (N, C, H*scale, W*scale) on the device of ``lq``.

    Raises:
        ValueError: the network's output has another size than ``scale`` says.
    """
    n, channels, height, width = lq.shape
    rows, columns = spans(height, tiles), spans(width, tiles)
    if len(rows) == len(columns) == 1:
        return _checked(net(lq), lq, scale)
    total = lq.new_zeros((n, channels, height * scale, width * scale), dtype=torch.float32)
    weights = lq.new_zeros((1, 1, height * scale, width * scale), dtype=torch.float32)
    for top, bottom in rows:
        for left, right in columns:
            piece = lq[:, :, top:bottom, left:right]
            weight = (
                _ramp((top, bottom), height, tiles.overlap, scale)[:, None]
                * _ramp((left, right), width, tiles.overlap, scale)[None, :]
            ).to(lq.device)
            place = (..., slice(top * scale, bottom * scale), slice(left * scale, right * scale))
            total[place] += _checked(net(piece), piece, scale) * weight
            weights[place] += weight
    return total / weights


def _checked(output: Tensor, lq: Tensor, scale: int) -> Tensor:
    expected = (lq.shape[-2] * scale, lq.shape[-1] * scale)
    if tuple(output.shape[-2:]) != expected:
        raise ValueError(
            f"the network made {tuple(output.shape[-2:])} out of {tuple(lq.shape[-2:])}, "
            f"not {expected}: its scale is not {scale}"
        )
    return output.float()
