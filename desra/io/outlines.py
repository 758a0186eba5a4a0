"""Outlines of masks as polygons without holes, which annotation tools can show and people can drag.

A region with holes is cut into parts that have none, so nothing is filled and nothing is lost.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Mask = NDArray[np.bool_]
Points = NDArray[np.int64]

_EDGES = ndimage.generate_binary_structure(2, 1)  # neighbours by their edges
_CORNERS = ndimage.generate_binary_structure(2, 2)  # by their corners too


def along_pixels(mask: Mask) -> Iterator[Points]:
    """Yield polygons around the 4-connected parts of a mask, along the edges of the pixels.

    Args:
        mask: bool (H, W).

    Returns:
        int64 (N, 2), x and y of corners of pixels; the first pixel has (0, 0) and (1, 1). The
        centre of a pixel lies in one of the polygons where the pixel is set, and in none where it
        is not: they are exact.
    """
    for top, left, part in _parts(mask, _EDGES, _CORNERS):
        yield _around(part) + np.array([left, top])


def through_centres(mask: Mask, tolerance: float) -> Iterator[Points]:
    """Yield polygons around the 8-connected parts of a mask, through the centres of their pixels.

    Args:
        mask: bool (H, W).
        tolerance: in pixels: points nearer than that to the line between others are left out
            (Douglas and Peucker, 1973); 0: none is, and the polygons are exact for a tool that
            counts the pixels under the outline as inside.

    Returns:
        int64 (N, 2), N >= 3, x and y; (0, 0) is the centre of the first pixel.
    """
    for top, left, part in _parts(mask, _CORNERS, _EDGES):
        contours, _ = cv2.findContours(
            part.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
        )
        (contour,) = contours  # one part, without holes
        simple = cv2.approxPolyDP(contour, tolerance, closed=True) if tolerance else contour
        points = np.asarray(simple if len(simple) >= 3 else contour, np.int64)[:, 0]
        if len(points) < 3:  # a pixel, or a line of them
            points = points[np.arange(3) % len(points)]
        yield points + np.array([left, top])


def _parts(
    mask: Mask, neighbours: NDArray[np.bool_], of_holes: NDArray[np.bool_]
) -> Iterator[tuple[int, int, Mask]]:
    """Yield the parts of a mask, cut until none has a hole.

    Args:
        mask: bool (H, W).
        neighbours: which pixels of a part are connected, (3, 3).
        of_holes: the same of what lies outside.

    Returns:
        Top and left of the box of a part, and the part in it, bool (h, w).
    """
    labels = _numbered(mask, neighbours)
    for label, (rows, columns) in enumerate(ndimage.find_objects(labels), 1):
        part = labels[rows, columns] == label
        holes = _numbered(ndimage.binary_fill_holes(part, of_holes) & ~part, of_holes)
        if not holes.any():
            yield rows.start, columns.start, part
            continue
        # Through the hole nearest to the middle: there is part at each side of it, and both halves
        # are about as wide, so that many holes take few levels.
        cuts = [(across.start + across.stop) // 2 for _, across in ndimage.find_objects(holes)]
        cut = min(cuts, key=lambda column: abs(2 * column - part.shape[1]))
        for start, half in ((0, part[:, :cut]), (cut, part[:, cut:])):
            for top, left, piece in _parts(half, neighbours, of_holes):
                yield rows.start + top, columns.start + start + left, piece


def _numbered(mask: Mask, neighbours: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return the number of the part at each pixel, from 1 on; 0: none."""
    labels = np.empty(mask.shape, np.int32)
    ndimage.label(mask, neighbours, output=labels)
    return labels


def _around(part: Mask) -> Points:
    """Return the polygon around a 4-connected part without holes, clockwise, int64 (N, 2)."""
    padded = np.pad(part, 1)
    inside = padded[1:-1, 1:-1]
    # From corner to corner, the part at the right hand: east above it, south at its right side, ...
    sides = {
        (1, 0): (inside & ~padded[:-2, 1:-1], (0, 0)),
        (0, 1): (inside & ~padded[1:-1, 2:], (1, 0)),
        (-1, 0): (inside & ~padded[2:, 1:-1], (1, 1)),
        (0, -1): (inside & ~padded[1:-1, :-2], (0, 1)),
    }
    ways: dict[tuple[int, int], set[tuple[int, int]]] = {}
    for way, (is_side, (right, down)) in sides.items():
        for y, x in np.argwhere(is_side).tolist():
            ways.setdefault((x + right, y + down), set()).add(way)
    corner, way = (int(np.argmax(part[0])), 0), (1, 0)
    points: list[tuple[int, int]] = []
    while True:
        points.append(corner)
        while way in ways[corner]:
            ways[corner].remove(way)
            corner = corner[0] + way[0], corner[1] + way[1]
            if _turned(way) in ways[corner]:  # around the pixel, where two touch by a corner
                break
        if not ways[corner]:  # back at the first one
            return np.array(points, np.int64)
        way = _turned(way) if _turned(way) in ways[corner] else next(iter(ways[corner]))


def _turned(way: tuple[int, int]) -> tuple[int, int]:
    """Return a direction turned to the right; y runs down."""
    return -way[1], way[0]
