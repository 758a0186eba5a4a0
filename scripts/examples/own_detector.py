"""A detector of your own: how alike the sharpest detail of both outputs is.

Detect with it (in this folder):

    python -m desra.detect -opt own_detector.yml
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from desra.artifacts import WindowSpec, crop_to
from desra.detectors import register


def _detail(image: NDArray[np.uint8], window: WindowSpec) -> NDArray[np.float64]:
    """Mean strength of the Laplacian in the window around each pixel, (H, W)."""
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float64)
    strength = np.abs(cv2.Laplacian(gray, cv2.CV_64F))
    return np.asarray(cv2.sepFilter2D(strength, cv2.CV_64F, window.kernel, window.kernel))


# It needs the MSE-SR image. Change the fingerprint when its results change: detect then makes masks
# anew that are out of date.
@register("sr_mse", fingerprint="1")
def laplacian_ratio(
    sr_mse: NDArray[np.uint8],
    sr_gan: NDArray[np.uint8],
    lq: Any,
    gt: Any,
    window: WindowSpec,
) -> NDArray[np.float64]:
    """Return the map in [0, 1], low = artifact: smaller over larger detail, 1 where they are equal.

    Args:
        sr_mse, sr_gan: uint8 (H, W, 3) RGB.
        lq, gt: not used; None.
        window: its border is what the map lacks on each side.

    Returns:
        float64 (H - 2b, W - 2b).
    """
    mse, gan = _detail(sr_mse, window), _detail(sr_gan, window)
    ratio = (np.minimum(mse, gan) + 1) / (np.maximum(mse, gan) + 1)
    return crop_to(ratio, window.map_size(sr_gan.shape))
