#!/usr/bin/env python
"""Draw the figure of the README from what the quickstart left: scripts/docs/figure.jpg.

    python scripts/docs/figure.py [--before FOLDER] [--after FOLDER] [-o FILE] [--rows N]

A row for each of the images with most masked pixels: a close look at the largest region that was
found, before and after the finetuning.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from desra.artifacts import find_regions
from desra.io import drawing
from desra.io.images import read_rgb8, write_image
from desra.io.manifest import Row
from desra.io.results import read_pairs, read_result, whole_mask

SIDE = 128  # SR pixels on a side of what is shown
CELL = 220
COLUMNS = ("LR", "MSE-SR", "GAN-SR", "found in it", "GAN-SR after", "found after")


def close_up(mask: NDArray[np.bool_], scale: int) -> tuple[slice, slice]:
    """A square around the middle of the largest region, cut on whole LR pixels."""
    found = find_regions(mask)
    largest = found.labels == np.argmax(found.areas[1:]) + 1

    def span(centre: int, length: int) -> slice:
        start = min(max(centre - SIDE // 2, 0), length - SIDE) // scale * scale
        return slice(start, start + SIDE)

    row, column = (round(indices.mean()) for indices in np.nonzero(largest))
    return span(row, mask.shape[0]), span(column, mask.shape[1])


def row_of(before: Path, after: Path, row: Row) -> tuple[str, list[NDArray[np.uint8]]]:
    """The caption and the pictures of an image."""
    mask, mask_after = whole_mask(before, row), whole_mask(after, row)
    view = close_up(mask, row.scale)
    lq = read_rgb8(Path(row.lq or ""), row.size_of_lq)
    gan, gan_after = read_result(before, "sr_gan", row), read_result(after, "sr_gan", row)
    left = 100 * (mask & mask_after).sum() / mask.sum()
    return f"{row.stem}: {left:.0f} % of the masked pixels left in the whole image", [
        lq[tuple(slice(s.start // row.scale, s.stop // row.scale) for s in view)],
        read_result(before, "sr_mse", row)[view],
        gan[view],
        drawing.overlay(gan, mask)[view],
        gan_after[view],
        drawing.overlay(gan_after, mask_after)[view],
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--before", default="results/heldout_before")
    parser.add_argument("--after", default="results/heldout_after")
    parser.add_argument("-o", dest="output", default="scripts/docs/figure.jpg")
    parser.add_argument("--rows", type=int, default=3)
    args = parser.parse_args()

    rows = [row for row, _ in read_pairs(args.before, args.after)]
    rows.sort(key=lambda row: -row.mask_pixels)
    table = [row_of(Path(args.before), Path(args.after), row) for row in rows[: args.rows]]
    write_image(args.output, drawing.contact_sheet(table, COLUMNS, CELL))


if __name__ == "__main__":
    main()
