"""LabelMe files, a file for each image, as LabelMe and X-AnyLabeling write them.

Outlines become pixels by Pillow's ``ImageDraw`` with outline and fill, as LabelMe's own
``shape_to_mask``; the pixels under the outline belong to the shape. A mask that is written and read
again is the same, pixel by pixel; but as polygons it is followed to a pixel.
"""

from __future__ import annotations

import base64
import binascii
import io
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw

from desra.io.files import write_json
from desra.io.images import decode_png
from desra.io.outlines import through_centres
from desra.io.shapes import (
    MALFORMED,
    Counts,
    Mask,
    Size,
    all_shapes,
    any_size,
    coordinates,
    read_json,
    reason_of,
    refuse_outside,
    refuse_without_lists,
    regions_of,
    size_of,
)
from desra.utils.errors import InputError

#: Pixels by which a polygon for LabelMe may leave the outline, so that its points are few. With
#: more, spikes of a pixel's width are lost.
POLYGON_TOLERANCE = 0.75
# Number of points of LabelMe's shapes, at least for a polygon; "rotation" is X-AnyLabeling's.
_POINTS = {"polygon": 3, "rectangle": 2, "oriented_rectangle": 4, "rotation": 4, "circle": 2}


def read_labelme(
    path: str | os.PathLike[str],
    check: Callable[[Size], None] = any_size,
    counts: Counts = all_shapes,
) -> Mask:
    """Read a LabelMe file as the union of its polygons, rectangles, circles and mask shapes.

    Args:
        path: the file.
        check: is called with (height, width) before any shape is drawn; raises what it refuses.
        counts: which shapes are drawn.

    Returns:
        The mask, bool ``(imageHeight, imageWidth)``.

    Raises:
        InputError: not a LabelMe file, or a shape without an area (point, line), of an unknown
            type, or malformed.
    """
    path = Path(path)
    content = read_json(path)
    refuse_without_lists(content, path, "LabelMe", ("shapes",))
    try:
        size = size_of(content, "imageHeight", "imageWidth")
    except MALFORMED as error:
        raise InputError(f"{path}: {reason_of(error)}; save it again in LabelMe") from error
    check(size)
    mask = np.zeros(size, np.bool_)
    for number, shape in enumerate(content["shapes"], 1):
        try:
            if counts(shape):
                _draw_shape(mask, shape)
        except MALFORMED as error:
            raise InputError(
                f"{path}, shape {number}: {reason_of(error)}; correct it in LabelMe"
            ) from error
    return mask


def _draw_shape(mask: Mask, shape: Mapping[str, Any]) -> None:
    """Set the pixels of a LabelMe shape in ``mask``."""
    kind = shape.get("shape_type") or "polygon"
    points = coordinates(shape["points"], "points must be a list of [x, y]")
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError("points must be a list of [x, y]")
    if kind == "mask":
        patch = _decode_png(shape["mask"], (mask.shape[0], mask.shape[1]))
        left, top = points[0].round().astype(int).tolist()  # as LabelMe: the patch has its size
        rows = slice(max(top, 0), max(top + patch.shape[0], 0))
        columns = slice(max(left, 0), max(left + patch.shape[1], 0))
        covered = mask[rows, columns]
        inside = patch[rows.start - top :, columns.start - left :]
        covered |= inside[: covered.shape[0], : covered.shape[1]]
        return
    if kind == "rectangle" and len(points) == 4:  # as X-AnyLabeling writes it: all corners
        kind = "oriented_rectangle" if not _is_upright(points) else kind
        points = points if kind == "oriented_rectangle" else points[::2]
    count = _POINTS.get(kind)
    if count is None:
        raise ValueError(f"a shape of type '{kind}' marks no area; draw a polygon or a mask")
    if len(points) < count or (len(points) > count and kind != "polygon"):
        raise ValueError(f"a {kind} of {len(points)} points, not {count}")
    margin = math.dist(*points) if kind == "circle" else 0.0
    refuse_outside(points[: 1 if kind == "circle" else None], mask.shape, kind, margin)
    canvas = Image.new("L", (mask.shape[1], mask.shape[0]))
    draw = ImageDraw.Draw(canvas)
    if kind == "circle":  # its centre and a point on it
        radius = math.dist(*points)
        draw.ellipse([*(points[0] - radius), *(points[0] + radius)], outline=1, fill=1)
    elif kind == "rectangle":
        draw.rectangle([*points.min(axis=0), *points.max(axis=0)], outline=1, fill=1)
    else:
        draw.polygon([(x, y) for x, y in points.tolist()], outline=1, fill=1)
    mask |= np.asarray(canvas, np.bool_)


def _is_upright(corners: NDArray[np.float64]) -> bool:
    """Return whether four corners, in turn, are those of a box (4, 2) along the axes."""
    (x0, y0), (x1, y1) = corners.min(axis=0), corners.max(axis=0)
    box = {(x0, y0), (x1, y0), (x1, y1), (x0, y1)}
    return box == {(x, y) for x, y in corners.tolist()}


def _decode_png(text: str, largest: Size) -> Mask:
    """Decode the gray PNG of a mask shape, True where it is not 0.

    Args:
        text: the file in base64.
        largest: (height, width) of the image, which the patch lies in.

    Raises:
        ValueError: it is no gray PNG, or larger than the image.
    """
    try:
        data = base64.b64decode(text)
    except binascii.Error as error:
        raise ValueError("its mask is no PNG in base64") from error
    patch = decode_png(data, largest)
    if patch.ndim != 2:
        raise ValueError("its mask is no gray PNG")
    return patch != 0


def write_labelme(
    path: str | os.PathLike[str],
    mask: Mask,
    image_path: str | os.PathLike[str],
    label: str = "artifact",
    polygons: bool = False,
) -> None:
    """Write a mask as a LabelMe 5 file, with a mask shape for each 8-connected region.

    Args:
        path: the JSON file to write.
        mask: bool ``(H, W)``, in the size of the image.
        image_path: the image that LabelMe shows; written relative to ``path``.
        label: name of the shapes.
        polygons: write polygons instead, whose points people can drag. They follow the mask to
            `POLYGON_TOLERANCE`; a region with holes is cut into several.

    Raises:
        InputError: the file cannot be written.
    """
    path = Path(path)
    if polygons:
        outlines = through_centres(mask, POLYGON_TOLERANCE)
        shapes = [_shape("polygon", points, label) for points in outlines]
    else:
        shapes = [_mask_shape(*region, label) for region in regions_of(mask)]
    content = {
        "version": "5.5.0",
        "flags": {},
        "shapes": shapes,
        "imagePath": Path(os.path.relpath(image_path, path.parent)).as_posix(),
        "imageData": None,
        "imageHeight": mask.shape[0],
        "imageWidth": mask.shape[1],
    }
    write_json(path, content, indent=None)


def _shape(kind: str, points: ArrayLike, label: str) -> dict[str, Any]:
    """Return a shape of a LabelMe file, of points (N, 2), x and y."""
    return {
        "label": label,
        "points": np.asarray(points, np.float64).tolist(),
        "group_id": None,
        "description": "",
        "shape_type": kind,
        "flags": {},
    }


def _mask_shape(rows: slice, columns: slice, inside: Mask, label: str) -> dict[str, Any]:
    """Return a mask shape of a LabelMe file, of a region as `_regions` yields it."""
    png = io.BytesIO()
    Image.fromarray(inside.astype(np.uint8)).save(png, "PNG")
    corners = [[columns.start, rows.start], [columns.stop - 1, rows.stop - 1]]
    text = base64.b64encode(png.getvalue()).decode("ascii")
    return {**_shape("mask", corners, label), "mask": text}
