"""The folder that detect wrote -> (lq, pseudo ground truth, mask) crops to finetune on."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator
from torch.utils.data import Dataset

from desra import manifest
from desra.artifacts import components
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
from desra.errors import InputError, refuse_if_any, sort_out
from desra.images import image_size, read_mask
from desra.options import fingerprint
from desra.registry import DATASET_REGISTRY


def _mask(path: Path) -> Arrays:
    return (read_mask(path),)


def _component_pixels(mask: Path) -> Arrays:
    """(places, ends): where the pixels of the components are in the flattened mask, one component
    after the other, and where each component ends in that list."""
    labels = components(CACHE.get(mask, _mask)[0]).labels.ravel()
    places = np.flatnonzero(labels).astype(np.int64 if labels.size >= 2**31 else np.int32)
    of_place = labels[places]
    return places[np.argsort(of_place, kind="stable")], np.cumsum(np.bincount(of_place)[1:])


@DATASET_REGISTRY.register()
class ArtifactDataset(Dataset[dict[str, Any]]):
    """Crops of what detect found, and of everything around it.

    Args:
        dataroot: the output folder of detect.
        scale: factor between gt and lq.
        gt_size: side of the gt crop in pixels, divisible by ``scale``.
        artifact_prob: share of the crops that are centred on a pixel of an artifact; the others lie
            anywhere in any image, also in images without artifacts: they teach what to keep.
        gt_usm: give the sharpened pseudo ground truth too; that sharpens outside the mask as well.
        use_hflip, use_rot: augmentation.
        seed: of everything random.

    Samples: ``lq`` float32 (3, s, s) and ``gt`` (the pseudo ground truth, Eq. 10) float32
    (3, s*scale, s*scale) in [0, 1]; ``mask`` float32 (1, s*scale, s*scale), 1 on artifacts;
    ``name``; with ``gt_usm`` the sharpened ``gt_usm`` in the shape of ``gt``.

    Raises:
        InputError: the folder is no result of detect, holds no artifacts, or a file of it is
            missing or of the wrong size; such files are said together.
    """

    def __init__(
        self,
        dataroot: str,
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
        self.folder = Path(dataroot)
        self.rows = list(manifest.read_results(dataroot, "dataroot").values())
        self.artifact_prob, self.seed = artifact_prob, seed
        self.gt_usm = gt_usm
        self.use_hflip, self.use_rot = use_hflip, use_rot
        _, faults = sort_out(self.rows, self._check)
        refuse_if_any(faults, f"dataroot: {dataroot} cannot be trained on")
        self.with_artifacts = [row for row in self.rows if row.components]
        if not self.with_artifacts:
            raise InputError(
                f"dataroot: no artifacts were found in {dataroot}, so there is nothing to finetune "
                "away; detect on more images, or with a higher mask.threshold or a lower "
                "mask.min_area"
            )

    @property
    def fingerprint(self) -> str:
        """Changes when detect has written other results into the folder."""
        return fingerprint(sorted((row.stem, row.settings) for row in self.rows))

    def _check(self, row: manifest.Row) -> None:
        """See from the manifest, the mask and headers whether a row can be used.

        Raises:
            InputError: it cannot.
        """
        if row.lq is None:
            raise InputError(f"{row.stem}: detect was given no LR image (input.lq) for it")
        if row.scale != self.scale:
            raise InputError(f"{row.stem}: was made at scale {row.scale}, not {self.scale}")
        lq = image_size(row.lq)
        for kind in ("pseudo_gt", "mask"):
            path = manifest.result(self.folder, kind, row.stem)
            if image_size(path) != (lq[0] * self.scale, lq[1] * self.scale):
                raise InputError(f"{path} is not {self.scale} times as large as {row.lq}")
        # The last path is the mask's. The pseudo ground truth was made with the mask as it was.
        if np.count_nonzero(read_mask(path)) != row.mask_pixels:
            raise InputError(
                f"{path} was changed after detect; give corrected masks to detect (its option "
                "masks), which then makes the pseudo ground truth anew"
            )

    def _place(self, number: int, rng: Generator) -> tuple[manifest.Row, tuple[int, int]]:
        """An image and the LR pixel that the crop is centred on."""
        if rng.random() < self.artifact_prob:
            rows = self.with_artifacts
            row = rows[pick(number, len(rows), self.seed)]
            mask = manifest.result(self.folder, "mask", row.stem)
            places, ends = CACHE.get(mask, _component_pixels)
            which = rng.integers(len(ends))
            start = ends[which - 1] if which else 0
            y, x = divmod(int(places[start + rng.integers(ends[which] - start)]), row.sr_size[1])
            return row, (y // self.scale, x // self.scale)
        row = self.rows[pick(number, len(self.rows), self.seed)]
        height, width = row.sr_size
        y, x = rng.integers(height // self.scale), rng.integers(width // self.scale)
        return row, (int(y), int(x))

    def __getitem__(self, number: int) -> dict[str, Any]:
        rng = rng_of(self.seed, 3, number)
        row, centre = self._place(number, rng)
        assert row.lq is not None  # _check has made sure
        lq = read_cached(Path(row.lq))
        gt = read_cached(manifest.result(self.folder, "pseudo_gt", row.stem))
        (mask,) = CACHE.get(manifest.result(self.folder, "mask", row.stem), _mask)
        size, f = self.size, self.scale
        lq = pad_to(lq, size, size)
        gt, mask = (pad_to(image, size * f, size * f) for image in (gt, mask))
        top, left = (
            min(max(c - size // 2, 0), n - size) for c, n in zip(centre, lq.shape[:2], strict=True)
        )
        crops = crop_at([(lq, 1), (gt, f), (mask, f)], top, left, size)
        lq, gt, mask = augment(crops, rng, self.use_hflip, self.use_rot)
        sample = {"lq": to_tensor(lq), "gt": to_tensor(gt), "mask": to_tensor(mask),
                  "name": row.stem}  # fmt: skip
        if self.gt_usm:
            sample["gt_usm"] = to_tensor(sharpen(np.divide(gt, 255, dtype=np.float32)))
        return sample
