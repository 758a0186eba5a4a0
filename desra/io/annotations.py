"""Read and write masks drawn or corrected by a human: LabelMe JSON, COCO, and plain mask images.

A mask is bool ``(H, W)``, True = artifact, in the size of the SR image. Every shape of a file
counts as an artifact, whatever its label: the mask is their union. A mask that is written and
read again is the same, pixel by pixel; but for polygons for LabelMe, which follow it to a pixel.

Outlines become pixels by the rule of the tool that they come from:

- LabelMe: Pillow's ``ImageDraw`` with outline and fill, as LabelMe's own ``shape_to_mask``; the
  pixels under the outline belong to the shape.
- COCO: coordinates are those of pixel corners; a pixel belongs to the polygon when its centre
  lies inside (pycocotools agrees but for pixels that the outline cuts).
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import logging
import math
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw
from scipy import ndimage
from skimage.draw import polygon2mask

from desra.artifacts import find_regions
from desra.io.files import write_json
from desra.io.images import MAX_PIXELS, decode_png, image_size, read_drawn_mask
from desra.io.listing import list_images
from desra.io.outlines import along_pixels, through_centres
from desra.utils.errors import InputError, listed
from desra.utils.reading import read_text

logger = logging.getLogger("desra")

Mask = NDArray[np.bool_]
Size = tuple[int, int]

# What values of the wrong kind in a JSON file raise.
_MALFORMED = (KeyError, TypeError, ValueError, AttributeError, OverflowError)


_FARTHEST = 10**6  # pixels: beyond it, a coordinate is an error, and drawing a circle takes minutes
#: Pixels by which a polygon for LabelMe may leave the outline, so that its points are few. With
#: more, spikes of a pixel's width are lost.
POLYGON_TOLERANCE = 0.75
# Number of points of LabelMe's shapes, at least for a polygon; "rotation" is X-AnyLabeling's.
_POINTS = {"polygon": 3, "rectangle": 2, "oriented_rectangle": 4, "rotation": 4, "circle": 2}


@dataclass(frozen=True)
class RLE:
    """A mask as run lengths, in COCO's order: down the columns, clear and set runs in turns.

    Attributes:
        size: (height, width).
        counts: lengths of the runs, of clear pixels first; 0 where the first pixel is set.

    Raises:
        ValueError: a negative run, or runs that do not fill the size.

    Example:
        >>> RLE.of(np.array([[False, True], [True, True]])).counts
        (1, 3)
    """

    size: Size
    counts: tuple[int, ...]

    def __post_init__(self) -> None:
        if min(self.counts, default=0) < 0 or sum(self.counts) != math.prod(self.size):
            raise ValueError(
                f"the runs cover {sum(self.counts)} pixels, not {self.size[0]} x {self.size[1]}"
            )

    @classmethod
    def of(cls, mask: Mask) -> RLE:
        """Return the run lengths of a mask, bool ``(H, W)``."""
        pixels = mask.ravel(order="F")
        changes = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
        counts = np.diff(changes, prepend=0, append=pixels.size).tolist()
        starts_set = pixels.size > 0 and bool(pixels[0])
        return cls((mask.shape[0], mask.shape[1]), (0, *counts) if starts_set else tuple(counts))

    def mask(self) -> Mask:
        """Return the mask, bool ``(H, W)``."""
        is_set = np.arange(len(self.counts)) % 2 == 1
        return np.repeat(is_set, self.counts).reshape(self.size, order="F")

    @property
    def area(self) -> int:
        """Return the number of set pixels."""
        return sum(self.counts[1::2])


# ------------------------------------------------------------------------------- of all formats


def read_human_masks(
    source: str | os.PathLike[str], key: str = "masks", sizes: Mapping[str, Size] | None = None
) -> dict[str, RLE]:
    """Read all masks of a source.

    Args:
        source, key: as for `find_human_masks`.
        sizes: (height, width) of each SR image by stem, which the masks must have; compared before
            a mask is decoded. None: masks of any size up to 2^30 pixels.

    Returns:
        Stem -> mask as run lengths.

    Raises:
        InputError: no such source, or a file that cannot be read, belongs to no image (all are
            listed), or has another size than its image; or mask images that are black paint on
            white pages, as it seems.
    """
    path = Path(source)
    if not path.exists():
        raise InputError(f"{key}: {path} does not exist; check the path")
    check = _Sizes(path, key, sizes)
    if path.is_file():
        masks = read_coco(path, check)
    elif files := _json_files(path):
        by_image = check.by_image((_stem(file.relative_to(path)), file) for file in files)
        masks = {
            stem: RLE.of(read_labelme(file, check.of(stem))) for stem, file in by_image.items()
        }
    else:
        masks = _read_mask_images(path, key, check)
    if large := {
        stem: mask for stem, mask in masks.items() if 2 * mask.area > math.prod(mask.size)
    }:
        logger.warning(
            "%s: more than half of the image is marked as artifact in %d of %d masks: %s; look "
            "whether they mean that",
            key,
            len(large),
            len(masks),
            listed(
                [f"{stem} ({mask.area / math.prod(mask.size):.0%})" for stem, mask in large.items()]
            ),
        )
    return masks


def _read_mask_images(folder: Path, key: str, check: _Sizes) -> dict[str, RLE]:
    """Read a folder of mask images.

    Raises:
        InputError: as `read_human_masks`; or most of the masks may be black paint on white pages.
    """
    masks: dict[str, RLE] = {}
    pages: list[str] = []
    for stem, file in check.by_image((f.stem, f.path) for f in list_images(folder)).items():
        check.of(stem)(image_size(file))
        mask, may_be_page = read_drawn_mask(file)
        masks[stem] = RLE.of(mask)
        if may_be_page:
            pages.append(str(file))
    if 2 * len(pages) > len(masks):  # one white mask among others means what they mean
        raise InputError(
            f"{key}: {len(pages)} of {len(masks)} masks in {folder} are white for the most part, "
            f"their border too: {listed(pages)}; white is artifact, so if they are black paint on "
            "a white page, invert them, and if so much is artifact, paint it in red on black"
        )
    return masks


def find_human_masks(
    source: str | os.PathLike[str], sizes: Mapping[str, Size], key: str = "masks"
) -> dict[str, RLE]:
    """Read the masks that a human gave for some of the images, and check that they fit them.

    Args:
        source: a folder of LabelMe files (``<stem>.json``, sub-folders kept; images beside them
            are ignored), a COCO file, or a folder of mask images, 0 and 255.
        sizes: (height, width) of each SR image by stem.
        key: the option that names the source, for messages.

    Returns:
        Stem -> mask as run lengths, which need little memory. An image without a file has no
        entry; a file without shapes gives an empty mask: no artifact.

    Raises:
        InputError: no such source, or a file that cannot be read, belongs to no image (all are
            listed), or has another size than its image.
    """
    return read_human_masks(source, key, sizes)


class _Sizes:
    """The sizes that the masks of a source must have, compared before a mask is decoded.

    Args:
        path: the source.
        key: the option that names it, for messages.
        sizes: (height, width) of each SR image by stem; None: any.
    """

    def __init__(
        self, path: Path | None = None, key: str = "", sizes: Mapping[str, Size] | None = None
    ) -> None:
        self._path, self._key, self._sizes = path, key, sizes

    def name(self, stem: str) -> str:
        """Return the stem of the image that a mask of this name belongs to.

        Label Studio stores an upload as ``<8 hex digits>-<name>`` in a folder of its own. Such a
        name is taken for the one image of that name, whatever its folder.
        """
        if self._sizes is None or stem in self._sizes:
            return stem
        upload = re.fullmatch(r"(?:.*/)?[0-9a-f]{8}-(.+)", stem)
        if upload is None:
            return stem
        alike = [known for known in self._sizes if known.rpartition("/")[2] == upload[1]]
        return alike[0] if len(alike) == 1 else stem

    def by_image(self, files: Iterable[tuple[str, Path]]) -> dict[str, Path]:
        """Return the file of each image from pairs of stem and file.

        Raises:
            InputError: two files of one image, or files that belong to no image.
        """
        masks: dict[str, Path] = {}
        for stem, file in files:
            if (name := self.name(stem)) in masks:
                raise InputError(
                    f"{self._key}: {masks[name]} and {file} are masks of one image, {name}; remove "
                    "one of them"
                )
            masks[name] = file
        self.names(masks)
        return masks

    def names(self, stems: Collection[str]) -> None:
        """Refuse masks that belong to no image.

        Raises:
            InputError: there are such; all are listed.
        """
        if self._sizes is None:
            return
        if unknown := sorted(set(stems) - set(self._sizes)):
            raise InputError(
                f"{self._key}: {len(unknown)} of {len(stems)} masks in {self._path} belong to no "
                f"image: {listed(unknown)}; name each as its image, sub-folder included"
            )

    def of(self, stem: str) -> Callable[[Size], None]:
        """Return a function that refuses a size other than that of the image ``stem``."""

        def check(size: Size) -> None:
            if self._sizes is not None and tuple(size) != tuple(self._sizes[stem]):
                raise InputError(
                    f"{self._key}: the mask of {stem} in {self._path} is {size}, but the SR image "
                    f"is {tuple(self._sizes[stem])} (height, width); draw it on the SR image"
                )

        return check


def _any_size(size: Size) -> None:
    """Refuse no size."""


def _json_files(folder: Path) -> list[Path]:
    """Return the JSON files in a folder and its sub-folders, without hidden files and folders."""
    return sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() == ".json"
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    )


def _stem(path: PurePath) -> str:
    """Return the stem that `desra.io.listing.list_images` gives to an image of this path."""
    return unicodedata.normalize("NFC", path.with_suffix("").as_posix())


def _read_json(path: Path, kind: str, keys: tuple[str, ...]) -> dict[str, Any]:
    """Read a JSON object with a list under each of ``keys``.

    Raises:
        InputError: the file is not readable, not JSON, or has no such lists.
    """
    try:
        content = json.loads(read_text(path, "utf-8-sig"))  # Windows begins files by a BOM
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except RecursionError as error:
        raise InputError(f"{path} is nested too deeply; export it again") from error
    except ValueError as error:
        raise InputError(f"{path} is not JSON ({error}); export it again") from error
    for name in keys:
        if not isinstance(content, dict) or not isinstance(content.get(name), list):
            raise InputError(
                f"{path} is no {kind} file: it has no list '{name}'; LabelMe files are given by "
                "their folder, a COCO file by its own path"
            )
    return content


def _size(content: Mapping[str, Any], height: str, width: str) -> Size:
    size = content[height], content[width]
    if not all(type(n) is int and n > 0 for n in size):
        raise ValueError(f"{height} and {width} must be whole numbers above 0, not {size}")
    if math.prod(size) > MAX_PIXELS:
        raise ValueError(f"{height} and {width} are {size}, more than {MAX_PIXELS} pixels")
    return size


def _reason(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def _regions(mask: Mask) -> Iterator[tuple[slice, slice, Mask]]:
    """Yield the 8-connected regions of a mask: rows and columns of the box, the mask in it."""
    labels = find_regions(mask).labels
    for label, box in enumerate(ndimage.find_objects(labels), 1):
        yield box[0], box[1], labels[box] == label


# ---------------------------------------------------------------------------------------- LabelMe


def read_labelme(path: str | os.PathLike[str], check: Callable[[Size], None] = _any_size) -> Mask:
    """Read a LabelMe file as the union of its polygons, rectangles, circles and mask shapes.

    Args:
        path: the file.
        check: is called with (height, width) before any shape is drawn; raises what it refuses.

    Returns:
        The mask, bool ``(imageHeight, imageWidth)``.

    Raises:
        InputError: not a LabelMe file, or a shape without an area (point, line), of an unknown
            type, or malformed.
    """
    path = Path(path)
    content = _read_json(path, "LabelMe", ("shapes",))
    try:
        size = _size(content, "imageHeight", "imageWidth")
    except _MALFORMED as error:
        raise InputError(f"{path}: {_reason(error)}; save it again in LabelMe") from error
    check(size)
    mask = np.zeros(size, np.bool_)
    for number, shape in enumerate(content["shapes"], 1):
        try:
            _draw_shape(mask, shape)
        except _MALFORMED as error:
            raise InputError(
                f"{path}, shape {number}: {_reason(error)}; correct it in LabelMe"
            ) from error
    return mask


def _draw_shape(mask: Mask, shape: Mapping[str, Any]) -> None:
    """Set the pixels of a LabelMe shape in ``mask``."""
    kind = shape.get("shape_type") or "polygon"
    points = _coordinates(shape["points"], "points must be a list of [x, y]")
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
    _refuse_outside(points[: 1 if kind == "circle" else None], mask.shape, kind, margin)
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


def _coordinates(values: Any, expected: str) -> NDArray[np.float64]:
    """Return numbers of a JSON file as an array.

    Args:
        values: a list, or a list of lists.
        expected: the message of the error.

    Raises:
        ValueError: there is text among them, or what is not finite or beyond a million pixels.
    """
    array = np.asarray(values)
    if array.dtype.kind not in "iuf" or not (np.abs(array) <= _FARTHEST).all():
        raise ValueError(expected)
    return array.astype(np.float64)


def _refuse_outside(
    points: NDArray[np.float64], size: tuple[int, ...], kind: str, margin: float = 0.0
) -> None:
    """Refuse a shape that does not touch its image.

    Args:
        points: (N, 2), x and y.
        size: (height, width) of the image.
        kind: of the shape, for the message.
        margin: how far it reaches around the points.

    Raises:
        ValueError: it lies wholly outside.
    """
    low, high = points.min(axis=0) - margin, points.max(axis=0) + margin
    if (high < 0).any() or (low > np.array(size[1::-1])).any():
        raise ValueError(
            f"a {kind} from {low.tolist()} to {high.tolist()} lies outside the image of "
            f"{size[1]} x {size[0]} pixels"
        )


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
        shapes = [_mask_shape(*region, label) for region in _regions(mask)]
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


# ------------------------------------------------------------------------------------------- COCO


def read_coco(path: str | os.PathLike[str], sizes: _Sizes | None = None) -> dict[str, RLE]:
    """Read the masks of a COCO file: polygons, uncompressed and compressed RLE, or boxes alone.

    Args:
        path: the file.
        sizes: of the images that the masks belong to; None: any.

    Returns:
        Stem of ``file_name`` (its folders kept) -> the union of the image's annotations, for
        each image of the file; an image without annotations has an empty mask.

    Raises:
        InputError: not a COCO file; an annotation that belongs to no image, is malformed or of
            another size; or two images of the same stem.
    """
    path = Path(path)
    content = _read_json(path, "COCO", ("images", "annotations"))
    sizes = _Sizes() if sizes is None else sizes
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
            stem = sizes.name(_stem(PurePath(image["file_name"].replace("\\", "/"))))
            if stem in stems:
                raise ValueError("another image has the same name")
            stems[stem] = image
        sizes.names(stems)
        for stem, image in stems.items():
            where = f"image {image.get('id')} ({image['file_name']})"
            size = _size(image, "height", "width")
            sizes.of(stem)(size)
            mask = np.zeros(size, np.bool_)
            for annotation in by_image.pop(image["id"], []):
                where = f"annotation {annotation.get('id')} of {image['file_name']}"
                mask |= _segmentation(annotation, (mask.shape[0], mask.shape[1]))
            masks[stem] = RLE.of(mask)
        where = "its annotations"
        if by_image:
            raise ValueError(f"no image has the id {next(iter(by_image))}")
    except InputError:
        raise
    except _MALFORMED as error:
        raise InputError(f"{path}, {where}: {_reason(error)}; export it again") from error
    return masks


def _segmentation(annotation: Mapping[str, Any], size: Size) -> Mask:
    segmentation = annotation.get("segmentation")
    if isinstance(segmentation, dict):
        if tuple(segmentation["size"]) != size:
            raise ValueError(f"a mask of size {segmentation['size']} on an image of {list(size)}")
        counts = segmentation["counts"]
        return RLE(size, tuple(_decompress(counts) if isinstance(counts, str) else counts)).mask()
    if not segmentation:  # a box alone, as tools write a rectangle
        box = _coordinates(annotation["bbox"], "bbox must be a list of four numbers")
        if box.shape != (4,) or min(box[2:]) <= 0:
            raise ValueError("bbox must be a list of four numbers: x, y, width and height above 0")
        x, y, width, height = box.tolist()
        segmentation = [[x, y, x + width, y, x + width, y + height, x, y + height]]
    mask = np.zeros(size, np.bool_)
    for polygon in segmentation:
        expected = "a polygon must be a list of at least three pairs x, y"
        xy = _coordinates(polygon, expected).reshape(-1, 2)
        if len(xy) < 3:
            raise ValueError(expected)
        _refuse_outside(xy, size, "polygon")
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
    for rows, columns, inside in _regions(mask):
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
