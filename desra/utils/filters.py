"""Filters of images."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


def blur(values: NDArray[np.floating], sigma: float) -> NDArray[np.float32]:
    """Gaussian blur of floating ``(H, W[, C])`` as float32, borders mirrored without the edge."""
    blurred: Any = cv2.GaussianBlur(values, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(blurred, np.float32).reshape(values.shape)
