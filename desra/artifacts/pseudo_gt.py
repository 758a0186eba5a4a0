"""The pseudo ground truth that a finetuning learns from (Eq. 10)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def compose_pseudo_gt(
    sr_mse: NDArray[Any], sr_gan: NDArray[Any], mask: NDArray[np.bool_]
) -> NDArray[Any]:
    """Return MSE-SR inside the mask, GAN-SR outside: ``M * sr_mse + (1 - M) * sr_gan`` (Eq. 10).

    Args:
        sr_mse: ``(H, W)`` or ``(H, W, C)``, any dtype.
        sr_gan: same shape and dtype.
        mask: bool ``(H, W)``, True = artifact.

    Returns:
        A new array of the shape and dtype of ``sr_gan``.

    Raises:
        ValueError: shapes or dtypes that do not fit each other.

    Example:
        >>> mse, gan = np.array([[1, 2]], np.uint8), np.array([[8, 9]], np.uint8)
        >>> compose_pseudo_gt(mse, gan, np.array([[True, False]])).tolist()
        [[1, 9]]
    """
    check_fit(sr_mse, sr_gan, mask)
    return np.where(mask if sr_gan.ndim == 2 else mask[..., None], sr_mse, sr_gan)


def check_fit(sr_mse: NDArray[Any], sr_gan: NDArray[Any], mask: NDArray[np.bool_]) -> None:
    """Refuse images and a mask that do not belong together, as `compose_pseudo_gt` needs it.

    Raises:
        ValueError: they do not.
    """
    if sr_mse.shape != sr_gan.shape or sr_mse.dtype != sr_gan.dtype:
        raise ValueError(
            "sr_mse and sr_gan must have the same shape and dtype, got "
            f"{sr_mse.shape} {sr_mse.dtype} and {sr_gan.shape} {sr_gan.dtype}"
        )
    if mask.dtype != np.bool_ or mask.shape != sr_gan.shape[:2]:
        raise ValueError(
            f"mask must be bool of the image's size {sr_gan.shape[:2]}, "
            f"got {mask.dtype} {mask.shape}"
        )
