"""Functions of all datasets: which image a sample takes, aligned crops, augmentation, tensors.

A sample is a pure function of (seed, number), for any number >= 0. A run that resumes at iteration
n continues at number n * batch_size and sees what an uninterrupted run would have seen.
"""

import os
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch.utils.data import Dataset

from desra.data.cache import Arrays, ByteCache
from desra.io.files import StrPath
from desra.io.images import read_image
from desra.options.loading import fingerprint
from desra.utils.errors import InputError

Array = NDArray[Any]

# In each worker: a dozen photographs of 12 megapixels, or hundreds of small ones.
CACHE = ByteCache(512 * 2**20)


def rng_of(seed: int, *numbers: int) -> Generator:
    """Return a random generator that depends only on its arguments (each >= 0)."""
    return np.random.default_rng([seed, *numbers])


@lru_cache(maxsize=8)
def _order(seed: int, epoch: int, length: int) -> NDArray[np.int64]:
    return rng_of(seed, epoch).permutation(length)


def pick(number: int, length: int, seed: int) -> int:
    """Return the index of the image that sample ``number`` takes: each of ``length`` images once an
    epoch, in a new order in each."""
    epoch, position = divmod(number, length)
    return int(_order(seed, epoch, length)[position])


def _read(path: Path) -> Arrays:
    return (read_image(path).rgb8,)


def read_cached(path: Path) -> NDArray[np.uint8]:
    """Read an image as uint8 RGB (H, W, 3); the last ones, up to 512 MiB, are cached."""
    return CACHE.get(path, _read)[0]


def lq_size(gt_size: int, scale: int) -> int:
    """Return the side of the LR crop for a GT crop of side ``gt_size``, in pixels.

    Raises:
        InputError: ``gt_size`` is no multiple of ``scale``.
    """
    if gt_size % scale:
        raise InputError(f"gt_size {gt_size} must be a multiple of scale {scale}")
    return gt_size // scale


def pad_to(image: Array, height: int, width: int) -> Array:
    """Pad an image at the bottom and right, by reflection, to at least (height, width).

    The last pixel is repeated (numpy's "symmetric"), so LR and HR image stay aligned.
    """
    missing = (max(height - image.shape[0], 0), max(width - image.shape[1], 0))
    pads = [(0, missing[0]), (0, missing[1]), *[(0, 0)] * (image.ndim - 2)]
    return np.pad(image, pads, mode="symmetric")


def crop_at(images: Sequence[tuple[Array, int]], top: int, left: int, size: int) -> list[Array]:
    """Cut the same square out of aligned images of different scale.

    Args:
        images: (image, factor): the image is ``factor`` times as large as the LR image.
        top, left, size: the square, in LR pixels.
    """
    return [image[top * f : (top + size) * f, left * f : (left + size) * f] for image, f in images]


def augment(images: Sequence[Array], rng: Generator, hflip: bool, rot: bool) -> list[Array]:
    """Flip and turn all images in the same random way.

    Args:
        images: (H, W) or (H, W, C).
        rng: the random generator.
        hflip: flip left to right with probability 1/2.
        rot: flip upside down and transpose, each with probability 1/2.
    """
    flip_lr, flip_ud, transpose = rng.random(3) < 0.5

    def augmented(image: Array) -> Array:
        if hflip and flip_lr:
            image = image[:, ::-1]
        if rot and flip_ud:
            image = image[::-1]
        return image.swapaxes(0, 1) if rot and transpose else image

    return [augmented(image) for image in images]


def to_tensor(image: Array) -> torch.Tensor:
    """Convert (H, W, C) or (H, W), uint8, bool or float, to float32 (C, H, W); uint8 to [0, 1]."""
    array = image if image.ndim == 3 else image[..., None]
    tensor = torch.from_numpy(array.transpose(2, 0, 1).copy())  # with strides that are not negative
    return tensor.float() / 255 if tensor.dtype == torch.uint8 else tensor.float()


def files_fingerprint(folders: Iterable[tuple[StrPath, Iterable[Path]]]) -> str:
    """Return a hash that changes when files of a dataset are added, removed or replaced.

    It is of names relative to their folders and sizes in bytes: with times of modification, a run
    whose data were copied to another disk could not be resumed, and reading all pixels would take
    minutes. A file replaced by one of the same size, which is likely in uncompressed formats only,
    is not noticed.

    Args:
        folders: folder and its files, which exist.
    """
    return fingerprint(
        [
            [(Path(os.path.relpath(file, folder)).as_posix(), _size_of(file)) for file in files]
            for folder, files in folders
        ]
    )


def _size_of(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError as error:
        raise InputError(
            f"{file} cannot be read any more ({error.strerror}); put it back"
        ) from error


class MixedDataset(Dataset[dict[str, Any]]):
    """Several datasets as one: each sample number is drawn from one of them.

    Args:
        datasets: of the same sample shapes.
        shares: of the samples of each dataset; their sum need not be 1.
        seed: of the draw.

    Raises:
        InputError: some of the datasets have sharpened targets (``gt_usm``) and some do not.
    """

    def __init__(self, datasets: Sequence[Dataset[Any]], shares: Sequence[float], seed: int):
        if len({bool(getattr(dataset, "gt_usm", False)) for dataset in datasets}) > 1:
            raise InputError(
                "datasets: gt_usm is true for one dataset and not for another, so they cannot "
                "share a batch; set it for both or for neither"
            )
        self.datasets, self.seed = list(datasets), seed
        self.bounds = np.cumsum(shares) / sum(shares)

    @property
    def fingerprint(self) -> list[str | None]:
        """Return the fingerprint of each dataset; None for a dataset without."""
        return [getattr(dataset, "fingerprint", None) for dataset in self.datasets]

    def __getitem__(self, number: int) -> dict[str, Any]:
        index = 0
        if len(self.datasets) > 1:
            draw = rng_of(self.seed, 1, number).random()
            index = int(np.searchsorted(self.bounds, draw, side="right"))
        return self.datasets[index][number]
