"""What files of masks share: which shapes count, sizes and names of their images, messages.

A mask is bool ``(H, W)``, True = artifact, in the size of the SR image.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from desra.artifacts import find_regions
from desra.io.images import MAX_PIXELS
from desra.utils.errors import InputError, listed
from desra.utils.reading import read_text

Mask = NDArray[np.bool_]
Size = tuple[int, int]
#: Whether a shape of a file belongs to its mask, from what the file says of it. It raises what
#: values of the wrong kind raise.
Counts = Callable[[Mapping[str, Any]], bool]

#: What values of the wrong kind in a JSON file raise.
MALFORMED = (KeyError, TypeError, ValueError, AttributeError, OverflowError)

_FARTHEST = 10**6  # pixels: beyond it, a coordinate is an error, and drawing a circle takes minutes


def all_shapes(_shape: Mapping[str, Any]) -> bool:
    """Let every shape belong to the mask."""
    return True


class Sizes:
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


def any_size(size: Size) -> None:
    """Refuse no size."""


def stem_of(path: PurePath) -> str:
    """Return the stem that `desra.io.listing.list_images` gives to an image of this path."""
    return unicodedata.normalize("NFC", path.with_suffix("").as_posix())


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        InputError: the file is not readable, or not JSON.
    """
    try:
        return json.loads(read_text(path, "utf-8-sig"))  # Windows begins files by a BOM
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except RecursionError as error:
        raise InputError(f"{path} is nested too deeply; export it again") from error
    except ValueError as error:
        raise InputError(f"{path} is not JSON ({error}); export it again") from error


def refuse_without_lists(content: Any, path: Path, kind: str, keys: tuple[str, ...]) -> None:
    """Refuse what is no JSON object with a list under each of ``keys``.

    Args:
        content: of the file.
        path, kind: of the file, for the message.
        keys: which lists.

    Raises:
        InputError: a list is missing.
    """
    for name in keys:
        if not isinstance(content, dict) or not isinstance(content.get(name), list):
            raise InputError(
                f"{path} is no {kind} file: it has no list '{name}'; LabelMe files are given by "
                "their folder, a COCO file by its own path"
            )


def size_of(content: Mapping[str, Any], height: str, width: str) -> Size:
    size = content[height], content[width]
    if not all(type(n) is int and n > 0 for n in size):
        raise ValueError(f"{height} and {width} must be whole numbers above 0, not {size}")
    if math.prod(size) > MAX_PIXELS:
        raise ValueError(f"{height} and {width} are {size}, more than {MAX_PIXELS} pixels")
    return size


def reason_of(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def coordinates(values: Any, expected: str) -> NDArray[np.float64]:
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


def refuse_outside(
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


def regions_of(mask: Mask) -> Iterator[tuple[slice, slice, Mask]]:
    """Yield the 8-connected regions of a mask: rows and columns of the box, the mask in it."""
    labels = find_regions(mask).labels
    for label, box in enumerate(ndimage.find_objects(labels), 1):
        yield box[0], box[1], labels[box] == label
