"""Run a network on a large image piece by piece, as if it had run on the whole.

Tiles of one size lie on a regular grid and share ``overlap`` pixels with their neighbours; in the
shared strips the results are blended with weights that never reach zero and add up to one. Towards
its edge a tile lacks context, so the weights change hands in the middle of the overlap and leave
next to nothing to its outer part. Two networks that are given the same image and settings get the
same grid.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from desra.options.sections import Tiles

SMALLEST_TILE = 64  # below it most of a tile would be overlap, and a network takes little memory
_FLOOR = 1e-3  # weight of the outer part of an overlap
_WIDTH = 0.25  # share of the overlap, in its middle, over which the weight rises
_UNIT = 8  # of a tile's start, in pixels: the window of SwinIR, twice the folding of RRDBNet x1


def spans(length: int, tiles: Tiles) -> list[tuple[int, int]]:
    """Return (start, stop) of the tiles along an axis of ``length``.

    As few tiles as ``size`` allows, and these about equally long, so that little is computed twice.
    All but the last have one length. They start at multiples of 8, as networks that look through
    windows or fold pixels into channels need it to see the same as on the whole image.
    """
    size, overlap = tiles.size, tiles.overlap
    if size == 0 or length <= size:
        return [(0, length)]
    unit = _UNIT if size - overlap >= _UNIT else 1
    longest = (size - overlap) // unit * unit
    count = -(-(length - overlap) // longest)
    step = min(-(-(length - overlap) // (count * unit)) * unit, longest)
    starts = range(0, length - overlap, step)
    return [(start, min(start + step + overlap, length)) for start in starts]


def halved(tiles: Tiles, height: int, width: int) -> Tiles | None:
    """Return tiles half as large as those that an image of ``height`` x ``width`` is cut into.

    Returns:
        None if those are as small as tiles get (``SMALLEST_TILE``).
    """
    longest = max(height, width)
    current = min(tiles.size, longest) if tiles.size else longest
    if current <= SMALLEST_TILE:
        return None
    size = max(current // 2, SMALLEST_TILE)
    return Tiles(size, min(tiles.overlap, (size - 1) // 2))


def _ramp(span: tuple[int, int], length: int, overlap: int, scale: int) -> Tensor:
    """Return the weights of a tile along one axis: 1 inside, next to nothing near a cut, never 0.

    Over the middle of the overlap they rise as 3t^2 - 2t^3, so that those of two neighbours add up
    to 1.
    """
    start, stop = span
    n = (stop - start) * scale
    weight = torch.ones(n, dtype=torch.float32)
    width = overlap * scale
    place = (torch.arange(width, dtype=torch.float32) + 0.5) / max(width, 1)
    t = ((place - 0.5) / _WIDTH + 0.5).clamp(0, 1)
    rise = _FLOOR + (1 - 2 * _FLOOR) * t * t * (3 - 2 * t)
    if start > 0:
        weight[:width] = rise
    if stop < length:
        weight[n - width :] = torch.minimum(weight[n - width :], rise.flip(0))
    return weight


def strips(
    net: Callable[[Tensor], Tensor], lq: Tensor, scale: int, tiles: Tiles
) -> Iterator[Tensor]:
    """Yield ``net(lq)``, tile by tile, in strips of the full width from top to bottom.

    A strip is handed out as soon as no tile below reaches into it, so that no more than a row of
    tiles is held.

    Args:
        net: float (N, C, h, w) -> float ``(N, C, h*scale, w*scale)``.
        lq: float32 (N, C, H, W) on any device.
        scale: the network's factor.
        tiles: how to cut.

    Yields:
        float32 ``(N, C, rows, W*scale)`` on the device of ``lq``; ``H*scale`` rows in all.

    Raises:
        ValueError: the network's output has another size than ``scale`` says.
    """
    n, channels, height, width = lq.shape
    rows, columns = spans(height, tiles), spans(width, tiles)
    if len(rows) == len(columns) == 1:
        yield _checked(net(lq), lq, scale)
        return
    across = [_ramp(span, width, tiles.overlap, scale).to(lq.device) for span in columns]
    shared: tuple[Tensor, Tensor] | None = None  # what the row of tiles above adds to this one
    for number, (top, bottom) in enumerate(rows):
        size = ((bottom - top) * scale, width * scale)
        total = lq.new_zeros((n, channels, *size), dtype=torch.float32)
        weights = lq.new_zeros((1, 1, *size), dtype=torch.float32)
        if shared is not None:
            above = shared[0].shape[-2]
            total[..., :above, :], weights[..., :above, :] = shared
        down = _ramp((top, bottom), height, tiles.overlap, scale).to(lq.device)
        for (left, right), ramp in zip(columns, across, strict=True):
            piece = lq[:, :, top:bottom, left:right]
            weight = down[:, None] * ramp[None, :]
            place = (..., slice(left * scale, right * scale))
            total[place] += _checked(net(piece), piece, scale) * weight
            weights[place] += weight
        end = rows[number + 1][0] if number + 1 < len(rows) else bottom
        done = (end - top) * scale
        # Copies, for a view would keep the whole row of tiles.
        shared = total[..., done:, :].clone(), weights[..., done:, :].clone()
        yield total[..., :done, :] / weights[..., :done, :]


def _checked(output: Tensor, lq: Tensor, scale: int) -> Tensor:
    expected = (lq.shape[-2] * scale, lq.shape[-1] * scale)
    if tuple(output.shape[-2:]) != expected:
        raise ValueError(
            f"the network made {tuple(output.shape[-2:])} out of {tuple(lq.shape[-2:])}, "
            f"not {expected}: its scale is not {scale}"
        )
    return output.float()
