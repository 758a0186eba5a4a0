"""The folders that detect wrote -> (lq, pseudo ground truth, mask) crops to finetune on."""

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
class Subject:
    """An image, and all that is known of its artifacts.

    An artifact is what any run of detect found: the mask is the union of theirs. The pseudo ground
    truth is that of the last run, but for the masks of the others, inside which it is theirs.

    Attributes:
        folders: where detect wrote its results, the last run last.
        stem: name of the image's files in each of them.
        lq: the LR image.
        sr_size: (height, width) of the others.
        has_artifacts: whether any run found one.
    """

    folders: tuple[Path, ...]
    stem: str
    lq: Path
    sr_size: tuple[int, int]
    has_artifacts: bool

    def files(self, kind: str) -> list[Path]:
        """The results of one kind, the last run's last."""
        return [manifest.result(folder, kind, self.stem) for folder in self.folders]

    def cached(self, make: Callable[["Subject"], Arrays]) -> Arrays:
        """What is made of the results, or was before."""
        return CACHE.get(self.files("mask")[-1], _Reader(make, self))


@dataclass(frozen=True)
class _Reader:
    """What the cache asks for arrays, and knows them by."""

    make: Callable[[Subject], Arrays]
    subject: Subject

    def __call__(self, _path: Path) -> Arrays:
        return self.make(self.subject)


def _mask(subject: Subject) -> Arrays:
    """bool (H, W)."""
    return (np.logical_or.reduce([read_mask(path) for path in subject.files("mask")]),)


def _pseudo_gt(subject: Subject) -> Arrays:
    """uint8 (H, W, 3)."""
    *earlier, last = subject.files("pseudo_gt")
    gt = read_image(last).rgb8
    for path, mask in zip(earlier, subject.files("mask"), strict=False):  # the last has its own
        gt = np.where(read_mask(mask)[..., None], read_image(path).rgb8, gt)
    return (gt,)


def _region_pixels(subject: Subject) -> Arrays:
    """(places, ends): where the pixels of the regions are in the flattened mask, one region
    after the other, and where each region ends in that list."""
    labels = find_regions(subject.cached(_mask)[0]).labels.ravel()
    places = np.flatnonzero(labels).astype(np.int64 if labels.size >= 2**31 else np.int32)
    of_place = labels[places]
    return places[np.argsort(of_place, kind="stable")], np.cumsum(np.bincount(of_place)[1:])


@DATASET_REGISTRY.register()
class ArtifactDataset(Dataset[dict[str, Any]]):
    """Crops of what detect found, and of everything around it.

    Args:
        dataroot: the output folder of detect; or several, of networks one after the other: an image
            that is in more than one counts once, with the artifacts of all.
        scale: factor between gt and lq.
        gt_size: side of the gt crop in pixels, divisible by ``scale``.
        artifact_prob: share of the crops that are centred on a pixel of an artifact; the others lie
            anywhere in any image, also in images without artifacts: they teach what to keep.
        gt_usm: give the sharpened pseudo ground truth too; that sharpens outside the mask as well.
        use_hflip, use_rot: augmentation.
        seed: of everything random.

    Samples: ``lq`` float32 (3, s, s) and ``gt`` (the pseudo ground truth, Eq. 10) float32
    ``(3, s*scale, s*scale)`` in [0, 1]; ``mask`` float32 ``(1, s*scale, s*scale)``, 1 on artifacts;
    ``name``; with ``gt_usm`` the sharpened ``gt_usm`` in the shape of ``gt``.

    Raises:
        InputError: the folder is no result of detect, holds no artifacts, or a file of it is
            missing or of the wrong size; such files are said together.
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
        self.subjects = self._subjects()
        self.with_artifacts = [subject for subject in self.subjects if subject.has_artifacts]
        if not self.with_artifacts:
            raise InputError(
                f"dataroot: no artifacts were found in {listed(folders)}, so there is nothing to "
                "finetune away; detect on more images, or with a higher mask.threshold or a lower "
                "mask.min_area"
            )

    @property
    def fingerprint(self) -> str:
        """Changes when detect has written other results into the folders."""
        return fingerprint(sorted((row.stem, row.settings) for _, row in self.rows))

    def _subjects(self) -> list[Subject]:
        """The images, in the order in which they are met first."""
        found: dict[tuple[str, str], list[tuple[Path, manifest.Row]]] = {}
        for folder, row in self.rows:
            assert row.lq is not None  # _check has made sure
            found.setdefault((row.stem, row.lq), []).append((folder, row))
        return [
            Subject(
                folders=tuple(folder for folder, _ in runs),
                stem=stem,
                lq=Path(lq),
                sr_size=runs[-1][1].sr_size,
                has_artifacts=any(row.regions for _, row in runs),
            )
            for (stem, lq), runs in found.items()
        ]

    def _check(self, given: tuple[Path, manifest.Row]) -> None:
        """See from the manifest, the mask and headers whether a row can be used.

        Raises:
            InputError: it cannot.
        """
        folder, row = given
        if row.lq is None:
            raise InputError(f"{row.stem}: detect was given no LR image (input.lq) for it")
        if row.scale != self.scale:
            raise InputError(f"{row.stem}: was made at scale {row.scale}, not {self.scale}")
        lq = image_size(row.lq)
        for kind in ("pseudo_gt", "mask"):
            path = manifest.result(folder, kind, row.stem)
            if image_size(path) != (lq[0] * self.scale, lq[1] * self.scale):
                raise InputError(f"{path} is not {self.scale} times as large as {row.lq}")
        # The last path is the mask's. The pseudo ground truth was made with the mask as it was.
        if np.count_nonzero(read_mask(path)) != row.mask_pixels:
            raise InputError(
                f"{path} was changed after detect; give corrected masks to detect (its option "
                "masks), which then makes the pseudo ground truth anew"
            )

    def _place(self, number: int, rng: Generator) -> tuple[Subject, tuple[int, int]]:
        """An image and the LR pixel that the crop is centred on."""
        if rng.random() < self.artifact_prob:
            chosen = self.with_artifacts
            subject = chosen[pick(number, len(chosen), self.seed)]
            places, ends = subject.cached(_region_pixels)
            which = rng.integers(len(ends))
            start = ends[which - 1] if which else 0
            place = int(places[start + rng.integers(ends[which] - start)])
            y, x = divmod(place, subject.sr_size[1])
            return subject, (y // self.scale, x // self.scale)
        subject = self.subjects[pick(number, len(self.subjects), self.seed)]
        height, width = subject.sr_size
        y, x = rng.integers(height // self.scale), rng.integers(width // self.scale)
        return subject, (int(y), int(x))

    def __getitem__(self, number: int) -> dict[str, Any]:
        rng = rng_of(self.seed, 3, number)
        subject, centre = self._place(number, rng)
        lq = read_cached(subject.lq)
        (gt,), (mask,) = subject.cached(_pseudo_gt), subject.cached(_mask)
        size, f = self.size, self.scale
        lq = pad_to(lq, size, size)
        gt, mask = (pad_to(image, size * f, size * f) for image in (gt, mask))
        top, left = (
            min(max(c - size // 2, 0), n - size) for c, n in zip(centre, lq.shape[:2], strict=True)
        )
        crops = crop_at([(lq, 1), (gt, f), (mask, f)], top, left, size)
        lq, gt, mask = augment(crops, rng, self.use_hflip, self.use_rot)
        sample = {
            "lq": to_tensor(lq),
            "gt": to_tensor(gt),
            "mask": to_tensor(mask),
            "name": subject.stem,
        }
        if self.gt_usm:
            sample["gt_usm"] = to_tensor(sharpen(np.divide(gt, 255, dtype=np.float32)))
        return sample
