"""Real-ESRGAN's degradation as basicsr has it (RealESRGANDataset, RealESRGANModel), on the CPU.

Both classes are basicsr's own code; what is replaced is files, networks and CUDA. The pool of 180
pairs is left out: it only reorders pairs.
"""

import random
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import default_collate

import desra.registry  # noqa: F401  (must come before basicsr)
from desra.options.degradation import Degradation

# isort: split
from basicsr.data.realesrgan_dataset import RealESRGANDataset
from basicsr.models.realesrgan_model import RealESRGANModel
from basicsr.utils import DiffJPEG, USMSharp

Jpeg = Callable[[Tensor, Tensor], Tensor]


def differentiable_jpeg() -> Jpeg:
    """What the published code compresses with."""
    jpeg = DiffJPEG(differentiable=False)
    # Its filter2D does not take the channels-last tensor that comes out.
    return lambda image, quality: jpeg(image, quality=quality).contiguous()


class _Dataset(RealESRGANDataset):
    """basicsr's dataset: augmentation and kernels of pictures that are in memory."""

    def __init__(self, pictures: Sequence[NDArray[np.uint8]], settings: Degradation):
        # Uncompressed files in memory, for it reads bytes; decoding them takes no time to speak of.
        self._files = [cv2.imencode(".bmp", image[..., ::-1])[1].tobytes() for image in pictures]
        self.file_client, self.paths = self, list(range(len(pictures)))
        names = ("kernel_list", "kernel_prob", "blur_sigma", "betag_range", "betap_range")
        for name in (*names, "sinc_prob"):
            setattr(self, name, getattr(settings, name))
            setattr(self, name + "2", getattr(settings, name + "2"))
        self.opt = {"use_hflip": True, "use_rot": True, **settings.model_dump()}
        self.kernel_range = list(range(settings.kernel_range[0], settings.kernel_range[1] + 1, 2))
        self.pulse_tensor = torch.zeros(21, 21)
        self.pulse_tensor[10, 10] = 1

    def get(self, path: int, _key: str) -> bytes:
        return self._files[path]


class Published(RealESRGANModel):
    """basicsr's model without its networks.

    Args:
        pictures: uint8 (H, W, 3); crops of 400 pixels are degraded.
        scale, gt_size: of the pairs.
        settings: the parameters.
        jpeg: another JPEG, (N, 3, h, w) and (N,) qualities -> (N, 3, h, w).
        sharpen: another way of sharpening.
    """

    def __init__(
        self,
        pictures: Sequence[NDArray[np.uint8]],
        scale: int,
        gt_size: int,
        settings: Degradation,
        jpeg: Jpeg | None = None,
        sharpen: Callable[[Tensor], Tensor] | None = None,
    ):
        self.dataset = _Dataset(pictures, settings)
        self.opt = {"scale": scale, "gt_size": gt_size, **settings.model_dump()}
        self.is_train, self.device = True, torch.device("cpu")
        compress = jpeg or differentiable_jpeg()
        self.jpeger = lambda image, quality: compress(image, quality)
        self.usm_sharpener = sharpen or USMSharp()

    def _dequeue_and_enqueue(self) -> None:
        pass

    def batch(self, size: int) -> dict[str, Any]:
        """Pictures and kernels."""
        numbers = random.choices(self.dataset.paths, k=size)
        return default_collate([self.dataset[number] for number in numbers])

    def pairs(self, size: int) -> tuple[Tensor, Tensor, Tensor]:
        """lq, gt, gt_usm of a new batch; chance from the global generators."""
        self.feed_data(self.batch(size))
        return self.lq, self.gt, self.gt_usm
