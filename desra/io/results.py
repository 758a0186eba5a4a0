"""Read the images that detect wrote, by the rows of its manifest.

The map, and the mask with ``protocol: released``, are smaller than the SR image by a border;
`whole_map` and `whole_mask` return them in its size.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from desra.artifacts import border_between
from desra.io import manifest
from desra.io.images import image_size, read_mask, read_rgb8
from desra.io.listing import pair_by_stem
from desra.io.manifest import Row
from desra.utils.errors import InputError, listed


def read_pairs(before: str, after: str) -> list[tuple[Row, Row]]:
    """Read the rows of two folders in pairs of the same image, in the order of ``before``.

    Raises:
        InputError: a folder without results, or an image that only one folder has, or that has
            another size in the other.
    """
    first, second = manifest.read_results(before, "before"), manifest.read_results(after, "after")
    remedy = f"run desra.detect on the same inputs, at one scale, for {before} and {after}"
    names = ("before", "after")
    pairs = pair_by_stem(list(first.values()), list(second.values()), names, remedy)
    if resized := sorted(old.stem for old, new in pairs if old.sr_size != new.sr_size):
        raise InputError(f"before and after differ in the size of {listed(resized)}; {remedy}")
    return pairs


def read_result(folder: Path, kind: str, row: Row) -> NDArray[np.uint8]:
    """Read a result in the size of the SR image, uint8 RGB (H, W, 3).

    Args:
        folder, row: the results and the image.
        kind: sr_gan, sr_mse, overlay, pseudo_gt.

    Raises:
        InputError: the file cannot be read, or has another size than the image.
    """
    return read_rgb8(manifest.result(folder, kind, row.stem), row.sr_size)


def similarity(folder: Path, row: Row) -> NDArray[np.float64]:
    """Read the similarity map D of an image, float64 (h, w) in [0, 1], in its 256 stored levels.

    The shape is (0, 0) for an image smaller than the window.

    Raises:
        InputError: as `read_result`.
    """
    if row.mean_D is None:
        return np.ones((0, 0))
    path = manifest.result(folder, "map", row.stem)
    D = read_rgb8(path)[..., 0] / 255
    _border(path, D.shape, row)
    return D


def whole_map(folder: Path, row: Row) -> NDArray[np.float64]:
    """Read the similarity map in the size of the SR image, float64 (H, W) in [0, 1].

    The outermost values are repeated; for an image smaller than the window all values are 1.

    Raises:
        InputError: as `read_result`.
    """
    D = similarity(folder, row)
    if D.size == 0:
        return np.ones(row.sr_size)
    return np.pad(D, border_between(D.shape, row.sr_size), "edge")


def whole_mask(folder: Path, row: Row, cropped: bool = True) -> NDArray[np.bool_]:
    """Read the mask in the size of the SR image, bool (H, W), True = artifact.

    Args:
        folder, row: the results and the image.
        cropped: whether the file may lack the border that the map lacks, as with
            ``protocol: released``; the border is not masked then.

    Raises:
        InputError: as `read_result`.
    """
    path = manifest.result(folder, "mask", row.stem)
    mask = read_mask(path)
    border = _border(path, mask.shape, row)
    if border and border != _border_of_map(folder, row):
        raise InputError(
            f"{path} is {mask.shape}, which is neither the size of the image, {row.sr_size}, nor "
            "that of its map (height, width); detect again, or put the file back that was here"
        )
    if border and not cropped:
        raise InputError(
            f"{path} is {mask.shape}, but {row.sr_size} is expected (height, width); "
            "what detect wrote with protocol: released is compared with protocol: released"
        )
    return np.pad(mask, border)


def _border_of_map(folder: Path, row: Row) -> int:
    """Return how many pixels on each side the map of an image lacks; 0 for one without a map."""
    if row.mean_D is None:
        return 0
    path = manifest.result(folder, "map", row.stem)
    return _border(path, image_size(path), row)


def _border(path: Path, shape: tuple[int, ...], row: Row) -> int:
    try:
        return border_between(shape, row.sr_size)
    except ValueError as error:
        raise InputError(f"{path} does not belong to the results: {error}; detect again") from error
