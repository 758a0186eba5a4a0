"""The contact sheet: the worst images before and after, each cut to its largest artifact."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from desra.artifacts import find_regions
from desra.evaluate.change import Results, Scores
from desra.evaluate.tables import number
from desra.io import drawing

Image = NDArray[np.uint8]

_COLUMNS = ("LR", "sr_mse", "sr_gan", "D (dark = artifact)", "mask", "after", "mask after")
_CROP = 256  # SR pixels on a side: a cell of the sheet shows them almost one to one


def _crop(mask: NDArray[np.bool_], step: int) -> tuple[slice, slice]:
    """A square around the thickest spot of the largest region, cut on whole LR pixels."""
    found = find_regions(mask)
    largest = found.labels == (np.argmax(found.areas[1:]) + 1 if found.count else 0)
    row, column = drawing.thickest_spot(largest)

    def span(centre: int, length: int) -> slice:
        side = min(_CROP // step * step, length)
        start = min(max(centre - side // 2, 0), length - side) // step * step
        return slice(start, start + side)

    return span(row, mask.shape[0]), span(column, mask.shape[1])


def _sheet_row(results: Results, scores: Scores) -> tuple[str, list[Image]]:
    pair = results.pair
    mask, mask_after = results.mask("before"), results.mask("after")
    scale = pair.before.scale
    view = _crop(mask if mask.any() else mask_after, scale)
    lq = results.lq()
    if lq is None:
        small = np.full((1, 1, 3), 235, np.uint8)  # no LR image: a grey cell
    else:
        small = lq[tuple(slice(s.start // scale, s.stop // scale) for s in view)]
    gan, after = (results.image(when, "sr_gan")[view] for when in ("before", "after"))
    change = scores.change
    caption = (
        f"{pair.stem}: regions {change.before} -> {change.after}, "
        f"masked {change.pixels_before} -> {change.pixels_after} px, "
        f"PSNR to before outside the mask {number(scores.outside.psnr, 1)} dB"
    )
    return caption, [
        small,
        results.image("before", "sr_mse")[view],
        gan,
        drawing.map_in_colour(results.map()[view]),
        drawing.overlay(gan, mask[view]),
        after,
        drawing.overlay(after, mask_after[view]),
    ]


def sheet(results: Sequence[Results], scores: Mapping[str, Scores], rows: int) -> Image:
    """The images with most masked pixels before, each cut to its largest artifact.

    Args:
        results: all images.
        scores: of each image, by stem.
        rows: how many images to show.

    Returns:
        uint8 ``(H, W, 3)``.
    """

    def masked(result: Results) -> tuple[int, int]:
        change = scores[result.pair.stem].change
        return change.pixels_before, change.pixels_after

    worst = sorted(results, key=masked, reverse=True)[:rows]
    table = [_sheet_row(result, scores[result.pair.stem]) for result in worst]
    return drawing.contact_sheet(table, _COLUMNS)
