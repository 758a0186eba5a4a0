"""The contact sheet: the worst images before and after, each cut to its largest artifact."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from desra.artifacts import find_regions
from desra.evaluate.change import ComparedFiles
from desra.io import drawing
from desra.metrics.metric import Scores, values_of
from desra.metrics.rows import CHANGE
from desra.utils.text_table import number

Image = NDArray[np.uint8]

_COLUMNS = ("LR", "sr_mse", "sr_gan", "D (dark = artifact)", "mask", "after", "mask after")
_CROP = 256  # SR pixels on a side: a cell of the sheet shows them almost one to one


def _crop(mask: NDArray[np.bool_], step: int) -> tuple[slice, slice]:
    """Return a square around the thickest spot of the largest region, cut on whole LR pixels."""
    regions = find_regions(mask)
    largest = regions.labels == (np.argmax(regions.areas[1:]) + 1 if regions.count else 0)
    row, column = drawing.thickest_spot(largest)

    def span(centre: int, length: int) -> slice:
        side = min(_CROP // step * step, length)
        start = min(max(centre - side // 2, 0), length - side) // step * step
        return slice(start, start + side)

    return span(row, mask.shape[0]), span(column, mask.shape[1])


def _sheet_row(files: ComparedFiles, scores: Scores) -> tuple[str, list[Image]]:
    compared = files.compared
    mask, mask_after = files.mask("before"), files.mask("after")
    scale = compared.before.scale
    view = _crop(mask if mask.any() else mask_after, scale)
    lq = files.lq()
    if lq is None:
        small = np.full((1, 1, 3), 235, np.uint8)  # no LR image: a grey cell
    else:
        small = lq[tuple(slice(s.start // scale, s.stop // scale) for s in view)]
    gan, after = (files.image(when, "sr_gan")[view] for when in ("before", "after"))
    values = values_of(CHANGE, scores)
    caption = (
        f"{compared.stem}: regions {values['regions_before']} -> {values['regions_after']}, "
        f"masked {values['pixels_before']} -> {values['pixels_after']} px, "
        f"PSNR to before outside the mask {number(values['psnr_outside'], 1)} dB"
    )
    return caption, [
        small,
        files.image("before", "sr_mse")[view],
        gan,
        drawing.map_in_colour(files.map()[view]),
        drawing.overlay(gan, mask[view]),
        after,
        drawing.overlay(after, mask_after[view]),
    ]


def sheet(files: Sequence[ComparedFiles], scores: Mapping[str, Scores], rows: int) -> Image:
    """Draw the images with most masked pixels before, each cut to its largest artifact.

    Args:
        files: all images.
        scores: of each image, by stem.
        rows: how many images to show.

    Returns:
        uint8 ``(H, W, 3)``.
    """

    def masked(image: ComparedFiles) -> tuple[float, float]:
        values = values_of(CHANGE, scores[image.compared.stem])
        return values["pixels_before"] or 0, values["pixels_after"] or 0

    worst = sorted(files, key=masked, reverse=True)[:rows]
    table = [_sheet_row(image, scores[image.compared.stem]) for image in worst]
    return drawing.contact_sheet(table, _COLUMNS)
