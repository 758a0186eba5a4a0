"""Separable Gaussian filtering of torch images, for the losses that look at windows."""

import torch
import torch.nn.functional as F
from torch import Tensor


def gaussian_window(size: int, sigma: float, like: Tensor) -> Tensor:
    """Return the ``size`` weights of a Gaussian of ``sigma`` pixels, sum 1, of ``like``'s kind."""
    x = torch.arange(size, device=like.device, dtype=like.dtype) - size // 2
    weights = torch.exp(-(x**2) / (2 * sigma**2))
    return weights / weights.sum()


def correlate(image: Tensor, window: Tensor) -> Tensor:
    """Filter rows and columns of each channel with ``window``; borders are mirrored.

    Args:
        image: float (N, C, H, W); H and W greater than ``len(window) // 2``.
        window: float (n,), n odd.

    Returns:
        float (N, C, H, W).
    """
    channels, size = image.shape[1], len(window)
    rows = window.view(1, 1, size, 1).expand(channels, 1, size, 1)
    columns = window.view(1, 1, 1, size).expand(channels, 1, 1, size)
    padded = F.pad(image, [size // 2] * 4, mode="reflect")
    return F.conv2d(F.conv2d(padded, rows, groups=channels), columns, groups=channels)
