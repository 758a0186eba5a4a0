"""Masks as outlines and lists of regions: small, and sharp at any zoom."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from desra.artifacts import find_regions
from desra.metrics.mask_scores import covered

Mask = NDArray[np.bool_]

LISTED = 20  # regions of an image, the largest


def outline(mask: Mask) -> str:
    """Return the border of a mask as the path of an SVG, to be filled by the even-odd rule.

    Args:
        mask: bool (H, W), True = artifact.

    Returns:
        Such as ``"M3,2 9,2 9,7Z"``, through the centres of the border's pixels; x to the right,
        y down, (0, 0) is the centre of the first pixel. Empty for an empty mask.
    """
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    return "".join("M" + " ".join(f"{x},{y}" for x, y in c[:, 0]) + "Z" for c in contours)


def regions(mask: Mask, other: Mask | None, states: tuple[str, str]) -> list[dict[str, Any]]:
    """List the regions of a mask, largest first, at most `LISTED`.

    Args:
        mask: bool (H, W).
        other: the mask to compare with, of the same size; None: none.
        states: what a region is that ``other`` does not cover, and one that it does, by the rule
            of `desra.metrics.mask_scores.count_change`.

    Returns:
        For each ``box`` (x, y, width, height) and ``pixels``, and ``state`` if compared.
    """
    in_mask = find_regions(mask)
    boxes = ndimage.find_objects(in_mask.labels)
    is_covered = None
    if other is not None:
        shared = np.bincount(in_mask.labels[other], minlength=len(in_mask.areas))
        is_covered = covered(shared[1:], in_mask.areas[1:])
    entries: list[dict[str, Any]] = []
    for label in 1 + np.argsort(-in_mask.areas[1:], kind="stable")[:LISTED]:
        rows, columns = boxes[label - 1]
        entry: dict[str, Any] = {
            "box": [
                columns.start,
                rows.start,
                columns.stop - columns.start,
                rows.stop - rows.start,
            ],
            "pixels": int(in_mask.areas[label]),
        }
        if is_covered is not None:
            entry["state"] = states[int(is_covered[label - 1])]
        entries.append(entry)
    return entries
