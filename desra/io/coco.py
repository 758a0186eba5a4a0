"""COCO files, a file for all images.

Coordinates are those of pixel corners; a pixel belongs to a polygon when its centre lies inside
(pycocotools agrees but for pixels that the outline cuts). A mask that is written and read again is
the same, pixel by pixel.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from skimage.draw import polygon2mask

from desra.io.files import write_json
from desra.io.outlines import along_pixels
from desra.io.rle import RLE
from desra.io.shapes import (
    MALFORMED,
    Counts,
    Mask,
    Size,
    Sizes,
    all_shapes,
    coordinates,
    read_json,
    reason_of,
    refuse_outside,
    refuse_without_lists,
    regions_of,
    size_of,
    stem_of,
)
from desra.utils.errors import InputError


def read_coco(
    path: str | os.PathLike[str], sizes: Sizes | None = None, counts: Counts = all_shapes
) -> dict[str, RLE]:
    """Read the masks of a COCO file: polygons, uncompressed and compressed RLE, or boxes alone.

    Args:
        path: the file.
        sizes: of the images that the masks belong to; None: any.
        counts: which annotations belong to the masks.

    Returns:
        Stem of ``file_name`` (its folders kept) -> the union of the image's annotations, for
        each image of the file; an image without annotations has an empty mask.

    Raises:
        InputError: not a COCO file; an annotation that belongs to no image, is malformed or of
            another size; or two images of the same stem.
    """
    path = Path(path)
    return masks_of(read_json(path), path, Sizes() if sizes is None else sizes, counts)


def masks_of(content: Any, path: Path, sizes: Sizes, counts: Counts) -> dict[str, RLE]:
    """Return the masks of what a COCO file holds; arguments and errors as of `read_coco`."""
    refuse_without_lists(content, path, "COCO", ("images", "annotations"))
    masks: dict[str, RLE] = {}
    where = "an annotation"
    try:
        by_image: dict[Any, list[Mapping[str, Any]]] = defaultdict(list)
        for annotation in content["annotations"]:
            by_image[annotation["image_id"]].append(annotation)
        stems: dict[str, Mapping[str, Any]] = {}
        for image in content["images"]:
            where = f"image {image.get('id')} ({image.get('file_name')})"
            # Windows writes its own separators into the file.
            stem = sizes.name(stem_of(PurePath(image["file_name"].replace("\\", "/"))))
            if stem in stems:
                raise ValueError("another image has the same name")
            stems[stem] = image
        sizes.names(stems)
        for stem, image in stems.items():
            where = f"image {image.get('id')} ({image['file_name']})"
            size = size_of(image, "height", "width")
            sizes.of(stem)(size)
            mask = np.zeros(size, np.bool_)
            for annotation in by_image.pop(image["id"], []):
                where = f"annotation {annotation.get('id')} of {image['file_name']}"
                if counts(annotation):
                    mask |= _segmentation(annotation, (mask.shape[0], mask.shape[1]))
            masks[stem] = RLE.of(mask)
        where = "its annotations"
        if by_image:
            raise ValueError(f"no image has the id {next(iter(by_image))}")
    except InputError:
        raise
    except MALFORMED as error:
        raise InputError(f"{path}, {where}: {reason_of(error)}; export it again") from error
    return masks


def _segmentation(annotation: Mapping[str, Any], size: Size) -> Mask:
    segmentation = annotation.get("segmentation")
    if isinstance(segmentation, dict):
        if tuple(segmentation["size"]) != size:
            raise ValueError(f"a mask of size {segmentation['size']} on an image of {list(size)}")
        counts = segmentation["counts"]
        return RLE(size, tuple(_decompress(counts) if isinstance(counts, str) else counts)).mask()
    if not segmentation:  # a box alone, as tools write a rectangle
        box = coordinates(annotation["bbox"], "bbox must be a list of four numbers")
        if box.shape != (4,) or min(box[2:]) <= 0:
            raise ValueError("bbox must be a list of four numbers: x, y, width and height above 0")
        x, y, width, height = box.tolist()
        segmentation = [[x, y, x + width, y, x + width, y + height, x, y + height]]
    mask = np.zeros(size, np.bool_)
    for polygon in segmentation:
        expected = "a polygon must be a list of at least three pairs x, y"
        xy = coordinates(polygon, expected).reshape(-1, 2)
        if len(xy) < 3:
            raise ValueError(expected)
        refuse_outside(xy, size, "polygon")
        mask |= polygon2mask(size, xy[:, ::-1] - 0.5)  # the centre of pixel 0 lies at 0.5
    return mask


def _decompress(text: str) -> list[int]:
    """Decode COCO's compressed RLE string to run lengths.

    A number is signed and made of five-bit groups, lowest first; each group is a character, counted
    from "0": bit 32 says that another group follows, bit 16 in the last group is the sign. From the
    fourth run on, the number is the difference to the run before the last.

    Raises:
        ValueError: another character, or an incomplete number.

    Example:
        >>> _decompress("52203")
        [5, 2, 2, 2, 5]
    """
    counts: list[int] = []
    value = shift = 0
    for character in text:
        group = ord(character) - ord("0")
        if not 0 <= group < 64:
            raise ValueError(f"the character {character!r} is in no compressed RLE")
        value |= (group & 31) << shift
        shift += 5
        if group & 32:
            continue
        if group & 16:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    if shift:
        raise ValueError("the compressed RLE is cut off")
    return counts


def write_coco(
    path: str | os.PathLike[str],
    masks: Iterable[tuple[str, Mask]],
    label: str = "artifact",
    polygons: bool = False,
) -> None:
    """Write masks as a COCO file: uncompressed RLE, an annotation for each 8-connected region.

    Args:
        path: the JSON file to write.
        masks: ``file_name`` of each image, with its sub-folder, and its mask, bool ``(H, W)``;
            with a generator, only one mask at a time is in memory.
        label: name of the category.
        polygons: write polygons along the pixels instead, an annotation each: what reads no RLE,
            such as the converter of Label Studio, reads these. They are exact, too; a region with
            holes or of parts that touch by a corner has several.

    Raises:
        InputError: the file cannot be written.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id, (file_name, mask) in enumerate(masks, 1):
        height, width = mask.shape
        images.append({"id": image_id, "file_name": file_name, "height": height, "width": width})
        for content in _coco_polygons(mask) if polygons else _coco_runs(mask):
            ids = {"id": len(annotations) + 1, "image_id": image_id, "category_id": 1}
            annotations.append({**ids, **content})
    categories = [{"id": 1, "name": label, "supercategory": ""}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    write_json(path, content, indent=None)


def _coco_runs(mask: Mask) -> Iterator[dict[str, Any]]:
    """Yield what annotations say of the 8-connected regions of a mask, as run lengths."""
    for rows, columns, inside in regions_of(mask):
        region = np.zeros_like(mask)
        region[rows, columns] = inside
        runs = RLE.of(region)
        yield {
            "segmentation": {"size": runs.size, "counts": runs.counts},
            "area": runs.area,
            "bbox": (columns.start, rows.start, inside.shape[1], inside.shape[0]),
            "iscrowd": 1,
        }


def _coco_polygons(mask: Mask) -> Iterator[dict[str, Any]]:
    """Yield what annotations say of the parts of a mask, as polygons."""
    for points in along_pixels(mask):
        (left, top), (right, bottom) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
        x, y = points.T
        area = abs(int(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))) // 2  # Gauss
        yield {
            "segmentation": [points.ravel().tolist()],
            "area": area,
            "bbox": (left, top, right - left, bottom - top),
            "iscrowd": 0,
        }
