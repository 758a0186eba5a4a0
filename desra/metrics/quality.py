"""How near an image is to another, and how good it looks by itself. Arrays in, numbers out.

Images are uint8 ``(H, W, 3)`` RGB, masks bool ``(H, W)``; ``where=None`` means all pixels. What is
not defined (no pixel to look at, an image too small) reads None, never 0. `Mean` and its like keep
the sums, which add up over images and are divided once.
"""

import math
import warnings
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from desra.artifacts import crop_to, local_std
from desra.metrics.sums import Mean, Sums

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]

_SSIM_SIDE = 11  # of the Gaussian window: sigma 1.5, cut at 3.5 sigma
_NIQE_BLOCK = 96


@dataclass(frozen=True)
class SquaredError(Mean):
    """The mean of squared differences, in squared grey levels."""

    @property
    def psnr(self) -> float | None:
        """``10 log10(255^2 / mean)`` in dB; inf for equal images, None without a pixel."""
        mean = self.value
        if mean is None:
            return None
        return 10 * math.log10(255**2 / mean) if mean else math.inf


@dataclass(frozen=True)
class Detail(Sums):
    """Local standard deviations, in grey levels, summed over the same pixels of two images."""

    before: float = 0.0
    after: float = 0.0

    @property
    def kept(self) -> float | None:
        """``after / before``: below 1 detail is lost, above 1 there is more. None without a pixel.

        A flat image has a sum above 0 too, by the epsilon under the root in `local_std`.
        """
        return self.after / self.before if self.before else None


def squared_error(a: Image, b: Image, where: Mask | None = None) -> SquaredError:
    """Sum the squared differences of two images over the pixels of a mask and the channels.

    Args:
        a, b: uint8 ``(H, W, 3)``.
        where: bool ``(H, W)``, the pixels that count.

    Raises:
        ValueError: another type or shape.
    """
    _check(a, b, where)
    difference = a.astype(np.int64) - b
    chosen = difference if where is None else difference[where]
    return SquaredError(int(np.square(chosen).sum()), chosen.size)


def psnr(a: Image, b: Image, where: Mask | None = None) -> float | None:
    """Return the peak signal-to-noise ratio, ``10 log10(255^2 / mean((a - b)^2))`` in dB.

    Arguments and errors as `squared_error`.

    Returns:
        inf for equal images; None where the mask has no pixel.
    """
    return squared_error(a, b, where).psnr


def ssim(a: Image, b: Image, where: Mask | None = None) -> float | None:
    """Return the structural similarity (Wang et al. 2004).

    Gaussian window of sigma 1.5, K1 0.01, K2 0.03.

    It is the mean of the SSIM map over channels and pixels, whole windows only: pixels within 5 of
    the border have no part in it. Arguments and errors as `squared_error`.

    Returns:
        At most 1, which is reached by equal images; None where no pixel of the mask is left, or
        the image is smaller than the window.
    """
    _check(a, b, where)
    if min(a.shape[:2]) < _SSIM_SIDE:
        return None
    ssim_map = structural_similarity(
        a,
        b,
        data_range=255,
        channel_axis=2,
        full=True,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )[1]
    border = _SSIM_SIDE // 2
    inside = slice(border, -border)
    chosen = ssim_map[inside, inside]
    if where is not None:
        chosen = chosen[where[inside, inside]]
    return float(chosen.mean()) if chosen.size else None


def detail(before: Image, after: Image, where: Mask | None = None) -> Detail:
    """Sum the local standard deviations of two images over a mask and the channels.

    Whole windows only, as in `local_std`: pixels within 5 of the border have no part in it.
    Arguments and errors as `squared_error`.
    """
    _check(before, after, where)

    def total(image: Image) -> float:
        std = local_std(image)
        return float(std.sum() if where is None else std[crop_to(where, std.shape)].sum())

    return Detail(total(before), total(after))


def consistency(lq: Image, sr: Image) -> float | None:
    """Return the PSNR in dB of ``sr``, averaged over the area of each LR pixel, to the LR image.

    Args:
        lq: uint8 ``(h, w, 3)``.
        sr: uint8 ``(s h, s w, 3)``, s a whole number.

    Raises:
        ValueError: the size of ``sr`` is no multiple of that of ``lq``.
    """
    height, width = lq.shape[:2]
    scale = sr.shape[0] // height
    if scale < 1 or sr.shape[:2] != (scale * height, scale * width):
        raise ValueError(f"sr {sr.shape[:2]} is no whole multiple of lq {lq.shape[:2]}")
    small = cv2.resize(sr, (width, height), interpolation=cv2.INTER_AREA)
    return psnr(lq, np.asarray(small, np.uint8))


def niqe(image: Image) -> float | None:
    """Return the Natural Image Quality Evaluator (Mittal et al. 2013); lower is better.

    It needs no reference. The implementation is basicsr's, with its published parameters, on the
    luma of MATLAB's YCbCr.

    Args:
        image: uint8 ``(H, W, 3)``.

    Returns:
        About 3 to 10; None for an image that does not hold two blocks of 96x96 pixels side by
        side (their covariance is needed), or that is flat in so many of them that too few are left.
    """
    blocks = (image.shape[0] // _NIQE_BLOCK) * (image.shape[1] // _NIQE_BLOCK)
    if blocks < 2:
        return None
    from desra.registry import calculate_niqe  # here, for it loads basicsr and torch

    try:
        with warnings.catch_warnings():  # flat blocks give 0/0, which it leaves out by itself
            warnings.simplefilter("ignore", RuntimeWarning)
            value = float(calculate_niqe(image[..., ::-1], crop_border=0))
    except np.linalg.LinAlgError:
        return None
    return value if math.isfinite(value) else None


def _check(a: Image, b: Image, where: Mask | None) -> None:
    for image in (a, b):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(f"an image must be uint8 (H, W, 3), got {image.dtype} {image.shape}")
    if a.shape != b.shape:
        raise ValueError(f"the two images must have the same size, got {a.shape} and {b.shape}")
    if where is not None and (where.dtype != np.bool_ or where.shape != a.shape[:2]):
        raise ValueError(
            f"a mask must be bool {a.shape[:2]}, as its image, got {where.dtype} {where.shape}"
        )
