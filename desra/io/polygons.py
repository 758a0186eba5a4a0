"""Polygons by the name of the image, in a file for all: how annotators of one image write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from desra.io.rle import RLE
from desra.io.shapes import (
    MALFORMED,
    Counts,
    Sizes,
    coordinates,
    reason_of,
    refuse_outside,
    size_of,
)
from desra.utils.errors import InputError


def is_such(content: Any) -> bool:
    """Return whether a JSON file holds regions by the names of images."""
    if not isinstance(content, dict) or not content or "images" in content:
        return False
    return all(isinstance(image, dict) and "regions" in image for image in content.values())


def masks_of(content: Any, path: Path, sizes: Sizes, counts: Counts) -> dict[str, RLE]:
    """Return the masks of what a file of polygons by the names of the images holds.

    ``{name: {"size": [width, height], "regions": [{"polygon": [[x, y], ...]}]}}``; coordinates are
    those of pixel centres, and the pixels under the outline belong to the polygon (OpenCV's
    ``fillPoly``).

    Args:
        content: of the file; `is_such` says so.
        path: the file, for messages.
        sizes: of the images that the masks belong to.
        counts: which regions belong to the masks.

    Returns:
        Name -> the union of its regions; an image without regions has an empty mask.

    Raises:
        InputError: a region that is malformed or lies outside, or a mask that belongs to no image
            or has another size.
    """
    masks: dict[str, RLE] = {}
    where = "its images"
    try:
        named = {sizes.name(name): image for name, image in content.items()}
        sizes.names(named)
        for name, image in named.items():
            where = f"image {name}"
            width, height = image["size"]
            size = size_of({"height": height, "width": width}, "height", "width")
            sizes.of(name)(size)
            mask = np.zeros(size, np.uint8)
            for number, region in enumerate(image["regions"], 1):
                where = f"region {number} of {name}"
                if counts(region):
                    expected = "polygon must be a list of at least three [x, y]"
                    points = coordinates(region["polygon"], expected)
                    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3:
                        raise ValueError(expected)
                    refuse_outside(points, size, "polygon")
                    cv2.fillPoly(mask, [points.astype(np.int32)], 1)
            masks[name] = RLE.of(mask > 0)
    except InputError:
        raise
    except MALFORMED as error:
        raise InputError(f"{path}, {where}: {reason_of(error)}; correct it there") from error
    return masks
