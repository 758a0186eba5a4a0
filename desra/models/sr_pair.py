"""The GAN-SR network and its MSE-SR partner, run on one tile grid."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from desra.errors import InputError
from desra.models.sr_model import SRModel


@dataclass(frozen=True)
class SRImages:
    """The two outputs for one LR image: uint8 (H, W, 3), RGB, of equal size."""

    stem: str
    mse: NDArray[np.uint8]
    gan: NDArray[np.uint8]


class SRPair:
    """Both networks of the method.

    Args:
        gan: the network whose artifacts are looked for.
        mse: its MSE- or L1-trained partner.

    Raises:
        InputError: their scales differ.

    Example:
        >>> pair = SRPair.embedded()
        >>> pair(np.zeros((8, 6, 3), np.uint8)).gan.shape
        (32, 24, 3)
    """

    def __init__(self, gan: SRModel, mse: SRModel):
        if gan.scale != mse.scale:
            raise InputError(
                f"sr_gan is an x{gan.scale} network and sr_mse x{mse.scale}: a pair needs one scale"
            )
        mse.tiles = gan.tiles  # texture at the seams must not differ between the two
        self.gan, self.mse, self.scale = gan, mse, gan.scale

    @classmethod
    def embedded(cls, **settings: Any) -> "SRPair":
        """The two networks that ship with desra (x4)."""
        return cls(
            SRModel.from_checkpoint("embedded:gan", **settings),
            SRModel.from_checkpoint("embedded:mse", **settings),
        )

    def __call__(self, lq: NDArray[np.uint8], stem: str = "") -> SRImages:
        """Upscale ``lq``, uint8 (h, w, 3) RGB, with both networks."""
        return SRImages(stem, mse=self.mse(lq), gan=self.gan(lq))
