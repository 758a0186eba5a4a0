"""The dataset to finetune on: (lq, pseudo ground truth, mask) crops of what detect wrote."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator
from torch.utils.data import Dataset

from desra.artifacts import find_regions
from desra.data.cache import Arrays
from desra.data.degradations import sharpen
from desra.data.samples import (
    CACHE,
    augment,
    crop_at,
    lq_size,
    pad_to,
    pick,
    read_cached,
    rng_of,
    to_tensor,
)
from desra.io import manifest
from desra.io.images import image_size, read_image, read_mask
from desra.options.loading import fingerprint
from desra.registry import DATASET_REGISTRY
from desra.utils.errors import InputError, listed, refuse_if_any, sort_out


@dataclass(frozen=True)
class DetectedImage:
    """An image with the results of all runs of detect on it.

    Its mask is the union of the masks of all runs. Its pseudo ground truth is that of the last run,
    and inside the mask of an earlier run that of the earlier run.

    Attributes:
        folders: where the runs of detect wrote their results, the last run last.
        stem: name of the image's files in each folder.
        lq: the LR image.
        sr_size: (height, width) of the SR images.
        has_artifacts: whether any run found an artifact.
    """

    folders: tuple[Path, ...]
    stem: str
    lq: Path
    sr_size: tuple[int, int]
    has_artifacts: bool

    def files(self, kind: str) -> list[Path]:
        """Return the results of a kind, such as mask, that of the last run last."""
        return [manifest.result(folder, kind, self.stem) for folder in self.folders]

    def cached(self, make: Callable[["DetectedImage"], Arrays]) -> Arrays:
        """Return ``make(self)``, from the cache if it is there."""
        return CACHE.get(self.files("mask")[-1], _CacheKey(make, self))


@dataclass(frozen=True)
class _CacheKey:
    """A function of a path, for the cache: equal for the same image and ``make``."""

    make: Callable[[DetectedImage], Arrays]
    image: DetectedImage

    def __call__(self, _path: Path) -> Arrays:
        return self.make(self.image)


def _mask(image: DetectedImage) -> Arrays:
    """Read the mask, bool (H, W)."""
    return (np.logical_or.reduce([read_mask(path) for path in image.files("mask")]),)


def _pseudo_gt(image: DetectedImage) -> Arrays:
    """Read the pseudo ground truth, uint8 RGB (H, W, 3)."""
    *earlier, last = image.files("pseudo_gt")
    gt = read_image(last).rgb8
    for path, mask in zip(earlier, image.files("mask"), strict=False):  # without the last mask
        gt = np.where(read_mask(mask)[..., None], read_image(path).rgb8, gt)
    return (gt,)


def _region_pixels(image: DetectedImage) -> Arrays:
    """Return (indices, ends): indices of masked pixels in the flattened mask, region by region, and
    where each region ends in that list."""
    labels = find_regions(image.cached(_mask)[0]).labels.ravel()
    indices = np.flatnonzero(labels).astype(np.int64 if labels.size >= 2**31 else np.int32)
    regions = labels[indices]
    return indices[np.argsort(regions, kind="stable")], np.cumsum(np.bincount(regions)[1:])


@DATASET_REGISTRY.register()
class ArtifactDataset(Dataset[dict[str, Any]]):
    """The dataset of what detect wrote: crops on artifacts, and crops anywhere.

    Args:
        dataroot: an output folder of detect; or several, of runs one after the other. An image in
            more than one folder counts once, with the artifacts of all runs.
        scale: factor between gt and lq.
        gt_size: side of the gt crop in pixels, divisible by ``scale``.
        artifact_prob: share of the crops that are centred on a pixel of an artifact, in [0, 1]. The
            others are anywhere in any image, also in images without artifacts: from them the
            network learns what to keep.
        gt_usm: whether samples have the sharpened pseudo ground truth too; it is sharpened outside
            the mask as well.
        use_hflip, use_rot: augmentation by flips and by quarter turns.
        seed: of everything random.

    Samples: ``lq`` float32 (3, s, s) and ``gt`` (the pseudo ground truth, Eq. 10) float32
    ``(3, s*scale, s*scale)`` in [0, 1]; ``mask`` float32 ``(1, s*scale, s*scale)``, 1 on artifacts;
    ``name``; with ``gt_usm`` the sharpened ``gt_usm`` in the shape of ``gt``.

    Raises:
        InputError: the folder is no result of detect, has no artifacts, or some of its files are
            missing or of the wrong size (listed together).
    """

    def __init__(
        self,
        dataroot: str | Sequence[str],
        scale: int,
        gt_size: int,
        artifact_prob: float = 0.5,
        gt_usm: bool = False,
        use_hflip: bool = True,
        use_rot: bool = True,
        seed: int = 0,
    ):
        self.scale, self.size = scale, lq_size(gt_size, scale)
        if not 0 <= artifact_prob <= 1:
            raise InputError(f"artifact_prob {artifact_prob} must lie between 0 and 1")
        folders = [dataroot] if isinstance(dataroot, str) else list(dataroot)
        self.rows = [
            (Path(folder), row)
            for folder in folders
            for row in manifest.read_results(folder, "dataroot").values()
        ]
        self.artifact_prob, self.seed = artifact_prob, seed
        self.gt_usm = gt_usm
        self.use_hflip, self.use_rot = use_hflip, use_rot
        _, faults = sort_out(self.rows, self._check)
        refuse_if_any(faults, f"dataroot: {listed(folders)} cannot be trained on")
        self.images = self._images()
        self.with_artifacts = [image for image in self.images if image.has_artifacts]
        if not self.with_artifacts:
            raise InputError(
                f"dataroot: no artifacts were found in {listed(folders)}, so there is nothing to "
                "finetune away; detect on more images, or with a higher mask.threshold or a lower "
                "mask.min_area"
            )

    @property
    def fingerprint(self) -> str:
        """Return a hash that changes when detect writes other results into the folders."""
        return fingerprint(sorted((row.stem, row.settings) for _, row in self.rows))

    def _images(self) -> list[DetectedImage]:
        """Return the images, in the order of their first rows."""
        runs_of: dict[tuple[str, str], list[tuple[Path, manifest.Row]]] = {}
        for folder, row in self.rows:
            assert row.lq is not None  # _check has made sure
            runs_of.setdefault((row.stem, row.lq), []).append((folder, row))
        return [
            DetectedImage(
                folders=tuple(folder for folder, _ in runs),
                stem=stem,
                lq=Path(lq),
                sr_size=runs[-1][1].sr_size,
                has_artifacts=any(row.regions for _, row in runs),
            )
            for (stem, lq), runs in runs_of.items()
        ]

    def _check(self, folder_and_row: tuple[Path, manifest.Row]) -> None:
        """Check by the manifest, the mask and the headers of files that a row can be used.

        Raises:
            InputError: it cannot.
        """
        folder, row = folder_and_row
        if row.lq is None:
            raise InputError(f"{row.stem}: detect was given no LR image (input.lq) for it")
        if row.scale != self.scale:
            raise InputError(f"{row.stem}: was made at scale {row.scale}, not {self.scale}")
        manifest.refuse_missing_lq(folder, row.stem, row.lq)
        lq = image_size(row.lq)
        for kind in ("pseudo_gt", "mask"):
            path = manifest.result(folder, kind, row.stem)
            if image_size(path) != (lq[0] * self.scale, lq[1] * self.scale):
                raise InputError(f"{path} is not {self.scale} times as large as {row.lq}")
        # The last path is the mask's. The pseudo ground truth was made with the original mask.
        if np.count_nonzero(read_mask(path)) != row.mask_pixels:
            raise InputError(
                f"{path} was changed after detect; give corrected masks to detect (its option "
                "masks), which then makes the pseudo ground truth anew"
            )

    def _place(self, number: int, rng: Generator) -> tuple[DetectedImage, tuple[int, int]]:
        """Return the image of a sample, and the LR pixel (row, column) to centre the crop on."""
        if rng.random() < self.artifact_prob:
            image = self.with_artifacts[pick(number, len(self.with_artifacts), self.seed)]
            indices, ends = image.cached(_region_pixels)
            region = rng.integers(len(ends))
            start = ends[region - 1] if region else 0
            index = int(indices[start + rng.integers(ends[region] - start)])
            y, x = divmod(index, image.sr_size[1])
            return image, (y // self.scale, x // self.scale)
        image = self.images[pick(number, len(self.images), self.seed)]
        height, width = image.sr_size
        y, x = rng.integers(height // self.scale), rng.integers(width // self.scale)
        return image, (int(y), int(x))

    def __getitem__(self, number: int) -> dict[str, Any]:
        rng = rng_of(self.seed, 3, number)
        image, centre = self._place(number, rng)
        lq = read_cached(image.lq)
        (gt,), (mask,) = image.cached(_pseudo_gt), image.cached(_mask)
        size, f = self.size, self.scale
        lq = pad_to(lq, size, size)
        gt, mask = pad_to(gt, size * f, size * f), pad_to(mask, size * f, size * f)
        top, left = (
            min(max(c - size // 2, 0), n - size) for c, n in zip(centre, lq.shape[:2], strict=True)
        )
        crops = crop_at([(lq, 1), (gt, f), (mask, f)], top, left, size)
        lq, gt, mask = augment(crops, rng, self.use_hflip, self.use_rot)
        sample = {
            "lq": to_tensor(lq),
            "gt": to_tensor(gt),
            "mask": to_tensor(mask),
            "name": image.stem,
        }
        if self.gt_usm:
            sample["gt_usm"] = to_tensor(sharpen(np.divide(gt, 255, dtype=np.float32)))
        return sample
