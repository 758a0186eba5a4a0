"""The dataset of photographs that are degraded on the fly in the workers."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from desra.data.degradations import degrade, sharpen
from desra.data.embedded import provide_folder
from desra.data.lists import listed_images
from desra.data.samples import (
    augment,
    crop_at,
    files_fingerprint,
    pad_to,
    pick,
    read_cached,
    rng_of,
    to_tensor,
)
from desra.io.images import image_size
from desra.io.listing import list_images
from desra.options.degradation import Degradation
from desra.options.loading import parse
from desra.registry import DATASET_REGISTRY
from desra.utils.errors import InputError, refuse_if_any, sort_out


@DATASET_REGISTRY.register()
class DegradedDataset(Dataset[dict[str, Any]]):
    """The dataset of crops of photographs and their Real-ESRGAN degradations.

    Args:
        dataroot_gt: folder of HR images (sub-folders too), or embedded:finetune / embedded:heldout.
        scale: factor between gt and lq.
        gt_size: side of the gt crop in pixels, divisible by ``scale``.
        crop_pad_size: side of the larger crop that is degraded before the gt crop is cut out of it,
            so that the edges of the gt crop are no edges for the degradation; divisible by
            ``scale``.
        degradation: settings of :class:`desra.options.degradation.Degradation` to change.
        meta_info: a text file that lists the images to use, a line each; None: all.
        gt_usm: whether the sharpened photograph is degraded, as in the published recipe; samples
            have it too.
        use_hflip, use_rot: augmentation by flips and by quarter turns.
        seed: of everything random.

    Samples: ``lq`` float32 (3, s, s) and ``gt`` float32 ``(3, s*scale, s*scale)`` in [0, 1],
    ``mask`` float32 ``(1, s*scale, s*scale)`` of zeros (no artifact), ``name``; with ``gt_usm`` the
    sharpened ``gt_usm`` in the shape of ``gt`` (sharpened before it is cut out).

    Raises:
        InputError: the folder is missing or empty, some of its files are no images (listed
            together), or the sizes are no multiples of ``scale``.
    """

    def __init__(
        self,
        dataroot_gt: str,
        scale: int,
        gt_size: int,
        crop_pad_size: int = 400,
        degradation: Mapping[str, Any] | None = None,
        meta_info: str | None = None,
        gt_usm: bool = False,
        use_hflip: bool = True,
        use_rot: bool = True,
        seed: int = 0,
    ):
        if gt_size % scale or crop_pad_size % scale or gt_size > crop_pad_size:
            raise InputError(
                f"gt_size {gt_size} and crop_pad_size {crop_pad_size} must be multiples of scale "
                f"{scale}, and gt_size the smaller"
            )
        folder = self._folder = provide_folder(dataroot_gt, "gt")
        self.files = listed_images(meta_info, folder) if meta_info else list_images(folder)
        self.scale, self.gt_size, self.crop_pad_size = scale, gt_size, crop_pad_size
        # Raised here rather than in a worker, an hour later.
        _, faults = sort_out(self.files, lambda file: image_size(file.path))
        refuse_if_any(faults, f"dataroot_gt: {dataroot_gt} holds files that cannot be read")
        self.settings = parse(Degradation, degradation or {}, "degradation")
        self.gt_usm = gt_usm
        self.use_hflip, self.use_rot, self.seed = use_hflip, use_rot, seed

    @property
    def fingerprint(self) -> str:
        """Return a hash that changes with the files of the photographs, see `files_fingerprint`."""
        return files_fingerprint([(self._folder, [file.path for file in self.files])])

    def __getitem__(self, number: int) -> dict[str, Any]:
        file = self.files[pick(number, len(self.files), self.seed)]
        rng = rng_of(self.seed, 2, number)
        side = self.crop_pad_size
        image = pad_to(read_cached(file.path), side, side)
        top, left = (int(rng.integers(n - side + 1)) for n in image.shape[:2])
        (gt,) = augment(crop_at([(image, 1)], top, left, side), rng, self.use_hflip, self.use_rot)
        gt = np.ascontiguousarray(gt)
        image = np.divide(gt, 255, dtype=np.float32)
        if self.gt_usm:
            image = sharpen(image)
        lq = degrade(image, self.scale, self.settings, rng)
        size = self.gt_size // self.scale
        top, left = (int(v) for v in rng.integers(lq.shape[0] - size + 1, size=2))
        crops = [(lq, 1), (gt, self.scale), (image, self.scale)]
        lq, gt, image = crop_at(crops, top, left, size)
        mask = np.zeros(gt.shape[:2], np.float32)
        sample = {
            "lq": to_tensor(lq),
            "gt": to_tensor(gt),
            "mask": to_tensor(mask),
            "name": file.stem,
        }
        return sample | ({"gt_usm": to_tensor(image)} if self.gt_usm else {})
