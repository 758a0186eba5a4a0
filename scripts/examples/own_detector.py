"""A detector of your own: how alike the sharpest detail of both outputs is.

Detect with it (in this folder):

    python -m desra.detect -opt own_detector.yml
"""

import cv2
import numpy as np

from desra.artifacts import WindowSpec, crop_to
from desra.detectors import Images, Map, register


def _detail(image: np.ndarray, window: WindowSpec) -> Map:
    """Return the mean strength of the Laplacian in the window around each pixel, (H, W)."""
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float64)
    strength = np.abs(cv2.Laplacian(gray, cv2.CV_64F))
    return np.asarray(cv2.sepFilter2D(strength, cv2.CV_64F, window.kernel, window.kernel))


# "mse": it needs the MSE-SR image. Raise the fingerprint when its results change: detect then makes
# masks anew that are out of date.
@register("mse", fingerprint="1")
def laplacian_ratio(images: Images, window: WindowSpec) -> Map:
    """Return the map in [0, 1], low = artifact: smaller over larger detail, 1 where they are equal.

    Args:
        images: ``gan`` and ``mse``, uint8 (H, W, 3) RGB.
        window: its border b is what the map lacks on each side.

    Returns:
        float64 (H - 2b, W - 2b).
    """
    assert images.mse is not None  # register's "mse" sees to it
    mse, gan = _detail(images.mse, window), _detail(images.gan, window)
    ratio = (np.minimum(mse, gan) + 1) / (np.maximum(mse, gan) + 1)
    return crop_to(ratio, window.map_size(images.gan.shape))
