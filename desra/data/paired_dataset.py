"""The dataset of LR and HR images in two folders, or in a list of names."""

from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from desra.data.degradations import sharpen
from desra.data.lists import lines_of
from desra.data.samples import (
    augment,
    crop_at,
    files_fingerprint,
    lq_size,
    pad_to,
    pick,
    read_cached,
    rng_of,
    to_tensor,
)
from desra.io.images import image_size
from desra.io.listing import list_images, pair_by_stem
from desra.registry import DATASET_REGISTRY
from desra.utils.errors import InputError, refuse_if_any, sort_out

Pair = tuple[Path, Path]
"""lq, gt."""


def listed_pairs(meta_info: str, lq: Path, gt: Path, filename_tmpl: str = "{}") -> list[Pair]:
    """Read the pairs that a text file lists, a line each, in either of basicsr's two formats.

    Args:
        meta_info: the file. A line is ``GT, LQ``, or ``GT`` with or without its shape after it;
            names are relative to the folders.
        lq, gt: the folders.
        filename_tmpl: name of the LR image where the line has none; {} stands for the HR image's.

    Raises:
        InputError: no such file, or nothing in it.
    """
    pairs: list[Pair] = []
    for line in lines_of(meta_info):
        name, comma, other = line.partition(", ")
        if not comma:
            path = PurePosixPath(name)
            other = filename_tmpl.replace("{}", path.stem) + path.suffix
        pairs.append((lq / other.strip(), gt / name))
    return pairs


def found_pairs(lq: Path, gt: Path, filename_tmpl: str = "{}") -> list[Pair]:
    """Pair the images of two folders by name.

    Args:
        lq, gt: the folders; sub-folders are searched too.
        filename_tmpl: name of the LR image, without extension; {} stands for the HR image's.

    Raises:
        InputError: a folder is missing or empty, or images have no partner.
    """
    lq_files, gt_files = list_images(lq), list_images(gt)
    if filename_tmpl == "{}":
        return [(a.path, b.path) for a, b in pair_by_stem(lq_files, gt_files, (str(lq), str(gt)))]
    by_stem = {file.stem: file.path for file in lq_files}
    pairs: list[Pair] = []
    missing: list[str] = []
    for file in gt_files:
        stem = PurePosixPath(file.stem)
        partner = str(stem.with_name(filename_tmpl.replace("{}", stem.name)))
        if partner in by_stem:
            pairs.append((by_stem[partner], file.path))
        else:
            missing.append(f"{file.path}: no {partner}.* in {lq}")
    refuse_if_any(missing, f"filename_tmpl: '{filename_tmpl}' leaves images without partner")
    return pairs


@DATASET_REGISTRY.register()
class PairedDataset(Dataset[dict[str, Any]]):
    """The dataset of given LR and HR images: the same random crop of both.

    Args:
        dataroot_lq, dataroot_gt: folders of LR and HR images of the same names.
        scale: factor between gt and lq.
        gt_size: side of the gt crop in pixels, divisible by ``scale``.
        meta_info: a text file that lists the pairs, see :func:`listed_pairs`; None: all images.
        filename_tmpl: name of the LR image; {} stands for the HR image's.
        gt_usm: whether samples have the sharpened HR image too.
        use_hflip, use_rot: augmentation by flips and by quarter turns.
        seed: of everything random.

    Samples: ``lq`` float32 (3, s, s) and ``gt`` float32 ``(3, s*scale, s*scale)`` in [0, 1],
    ``mask`` float32 ``(1, s*scale, s*scale)`` of zeros (no artifact), ``name``; with
    ``gt_usm`` the sharpened ``gt_usm`` in the shape of ``gt``.

    Raises:
        InputError: files are missing, unreadable or of sizes that do not match (listed together).
    """

    def __init__(
        self,
        dataroot_lq: str,
        dataroot_gt: str,
        scale: int,
        gt_size: int,
        meta_info: str | None = None,
        filename_tmpl: str = "{}",
        gt_usm: bool = False,
        use_hflip: bool = True,
        use_rot: bool = True,
        seed: int = 0,
    ):
        self.scale, self.size = scale, lq_size(gt_size, scale)
        if filename_tmpl.count("{}") != 1:
            raise InputError(f"filename_tmpl: '{filename_tmpl}' must hold {{}} once")
        lq, gt = self._folders = Path(dataroot_lq), Path(dataroot_gt)
        if meta_info is None:
            self.pairs = found_pairs(lq, gt, filename_tmpl)
        else:
            self.pairs = listed_pairs(meta_info, lq, gt, filename_tmpl)
        self.gt_usm = gt_usm
        self.use_hflip, self.use_rot, self.seed = use_hflip, use_rot, seed
        _, faults = sort_out(self.pairs, self._check)
        refuse_if_any(faults, f"dataroot_lq: {lq} and dataroot_gt: {gt} cannot be trained on")

    @property
    def fingerprint(self) -> str:
        """Return a hash that changes with the files of the pairs, see `files_fingerprint`."""
        return files_fingerprint(zip(self._folders, zip(*self.pairs, strict=True), strict=True))

    def _check(self, pair: Pair) -> None:
        """Check by the headers of the files that a pair can be used.

        Raises:
            InputError: it cannot.
        """
        lq, gt = (image_size(path) for path in pair)
        if gt != (lq[0] * self.scale, lq[1] * self.scale):
            raise InputError(
                f"{pair[1]} ({gt[1]} x {gt[0]}) is not {self.scale} times as large as {pair[0]} "
                f"({lq[1]} x {lq[0]})"
            )

    def __getitem__(self, number: int) -> dict[str, Any]:
        pair = self.pairs[pick(number, len(self.pairs), self.seed)]
        rng, size, f = rng_of(self.seed, 4, number), self.size, self.scale
        lq, gt = (read_cached(path) for path in pair)
        lq, gt = pad_to(lq, size, size), pad_to(gt, size * f, size * f)
        top, left = (int(rng.integers(n - size + 1)) for n in lq.shape[:2])
        crops = crop_at([(lq, 1), (gt, f)], top, left, size)
        lq, gt = augment(crops, rng, self.use_hflip, self.use_rot)
        mask = np.zeros(gt.shape[:2], np.float32)
        sample = {
            "lq": to_tensor(lq),
            "gt": to_tensor(gt),
            "mask": to_tensor(mask),
            "name": pair[1].stem,
        }
        if self.gt_usm:
            sample["gt_usm"] = to_tensor(sharpen(np.divide(gt, 255, dtype=np.float32)))
        return sample
