"""Filters of images."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


def blur(values: NDArray[np.floating], sigma: float) -> NDArray[np.float32]:
    """Blur ``(H, W[, C])`` by a Gaussian of ``sigma`` pixels, to float32; borders are reflected
    without repeating the edge."""
    blurred: Any = cv2.GaussianBlur(values, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(blurred, np.float32).reshape(values.shape)
