"""The images of one input that detectors look at."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from desra.io.images import to_uint8

Pixels = NDArray[Any]
Map = NDArray[np.float64]

#: What there may be beside the GAN-SR image, and how messages call it.
INPUTS = {
    "mse": "the MSE-SR image (sr_mse)",
    "lq": "the LR image (lq)",
    "gt": "the true HR image (gt)",
    "flipped": "the GAN-SR image of the mirrored LR image (flipped)",
    "features": "features of the GAN's trunk (features)",
}
_SCALE = 4  # where nothing tells of another


@dataclass(frozen=True, eq=False)
class Images:
    """The GAN-SR image of one input, and what else there is of that input.

    Images are uint8 or uint16 ``(H, W, 3)`` RGB.

    Raises:
        ValueError: ``mse``, ``gt`` or ``flipped`` has another shape than ``gan``.
    """

    gan: Pixels
    """Output of the GAN-trained network."""
    mse: Pixels | None = None
    """Output of its MSE-trained partner, or what takes its place."""
    lq: Pixels | None = None
    """The LR image ``(h, w, 3)``."""
    gt: Pixels | None = None
    """The true HR image."""
    scale: int | None = None
    """Upscaling factor of the networks; None: see `factor`."""
    stem: str = ""
    """Name of the image, with its sub-folder."""
    flipped: Pixels | None = None
    """Output of the GAN-trained network for the LR image mirrored left to right, mirrored back."""
    features: NDArray[np.floating] | None = None
    """Features of the GAN-trained network's trunk, ``(h, w, C)``."""

    def __post_init__(self) -> None:
        for kind in ("mse", "gt", "flipped"):
            image: Pixels | None = getattr(self, kind)
            if image is not None and image.shape != self.gan.shape:
                raise ValueError(
                    f"{kind} and gan must have the same shape, got {image.shape} and "
                    f"{self.gan.shape}"
                )

    @property
    def factor(self) -> int:
        """The upscaling factor: ``scale``, else that from ``lq`` to ``gan``, else 4."""
        if self.scale is not None:
            return self.scale
        return _SCALE if self.lq is None else max(self.gan.shape[0] // self.lq.shape[0], 1)

    @property
    def kinds(self) -> frozenset[str]:
        """What there is beside ``gan``, by the names of the fields."""
        return frozenset(kind for kind in INPUTS if getattr(self, kind) is not None)

    def only(self, kinds: Collection[str], rows: slice = slice(None)) -> Images:
        """Return these images in 8 bits, without those that are not named.

        Args:
            kinds: which of mse, lq, gt, flipped and features are kept.
            rows: rows of the SR images; where they are not all, lq and features are left out, for
                they have rows of their own.

        Returns:
            uint8 images; views where they were uint8 already.
        """
        whole = rows == slice(None)

        def in_8_bits(kind: str) -> Any:
            image: Pixels | None = getattr(self, kind) if kind in kinds else None
            return None if image is None else to_uint8(image[rows])

        return replace(
            self,
            gan=to_uint8(self.gan[rows]),
            mse=in_8_bits("mse"),
            lq=in_8_bits("lq") if whole else None,
            gt=in_8_bits("gt"),
            flipped=in_8_bits("flipped"),
            features=self.features if whole and "features" in kinds else None,
        )
