"""Real-ESRGAN's two-stage degradation of one image: blur, resize, noise, JPEG, twice, and sinc.

Source: Wang et al., "Real-ESRGAN: Training Real-World Blind Super-Resolution with Pure Synthetic
Data" (arXiv 2107.10833), with the published parameter names (:class:`desra.options.Degradation`).
Each function takes one image and a ``numpy.random.Generator`` and touches no global state, so a
sample depends on its seed alone, in whichever worker it is made. Blur kernels are basicsr's.

Images are float32 (H, W, 3) RGB in [0, 1].
"""

import math

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from desra.options import Degradation, Range
from desra.registry import kernels

Image = NDArray[np.float32]

_RESIZES = (cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC)


def sinc_kernel(rng: Generator, side: int, lowest: float) -> NDArray[np.float32]:
    """A circular low-pass kernel with a cutoff between ``lowest`` and pi (radians per pixel)."""
    kernel = kernels.circular_lowpass_kernel(rng.uniform(lowest, math.pi), side)
    return kernel.astype(np.float32)


def _beta(rng: Generator, bounds: Range) -> float:
    """Below and above 1 with equal probability, as published."""
    return rng.uniform(bounds[0], 1) if rng.random() < 0.5 else rng.uniform(1, bounds[1])


def blur_kernel(
    rng: Generator,
    side: int,
    kinds: list[str],
    shares: list[float],
    sinc_prob: float,
    sigma: Range,
    betag: Range,
    betap: Range,
) -> NDArray[np.float32]:
    """A random blur kernel (side, side), sum 1: sinc, or one of ``kinds`` with odds ``shares``."""
    if rng.random() < sinc_prob:
        return sinc_kernel(rng, side, math.pi / 3 if side < 13 else math.pi / 5)
    kind = str(rng.choice(kinds, p=np.divide(shares, sum(shares))))
    isotropic = not kind.endswith("aniso")
    sigma_x, sigma_y = rng.uniform(*sigma, size=2)
    angle = rng.uniform(-math.pi, math.pi)
    shape = (side, sigma_x, sigma_y, angle)
    if kind.startswith("generalized"):
        kernel = kernels.bivariate_generalized_Gaussian(
            *shape, _beta(rng, betag), isotropic=isotropic
        )
    elif kind.startswith("plateau"):
        kernel = kernels.bivariate_plateau(*shape, _beta(rng, betap), isotropic=isotropic)
    else:
        kernel = kernels.bivariate_Gaussian(*shape, isotropic=isotropic)
    return kernel.astype(np.float32)


def blur(image: Image, kernel: NDArray[np.float32]) -> Image:
    """Correlate with ``kernel``, borders reflected."""
    return cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REFLECT_101)  # pyright: ignore


def resize(image: Image, size: tuple[int, int], rng: Generator) -> Image:
    """Resize to ``size`` = (height, width) by area, bilinear or bicubic at random, not clipped."""
    how = _RESIZES[rng.integers(len(_RESIZES))]
    return cv2.resize(image, size[::-1], interpolation=how)  # pyright: ignore


def gaussian_noise(image: Image, sigma: float, gray: bool, rng: Generator) -> Image:
    """Add Gaussian noise of ``sigma`` grey levels (of 255) and clip to [0, 1]."""
    shape = (*image.shape[:2], 1) if gray else image.shape
    noise = rng.standard_normal(shape, dtype=np.float32) * np.float32(sigma / 255)
    return np.clip(image + noise, 0, 1)


def poisson_noise(image: Image, scale: float, gray: bool, rng: Generator) -> Image:
    """Add ``scale`` times Poisson noise and clip to [0, 1].

    Counts are proportional to 2^ceil(log2(number of distinct grey levels)), as published. Gray
    noise is that of the luma (ITU-R 601), the same in each channel.
    """
    if gray:
        luma = image @ np.array([0.299, 0.587, 0.114], np.float32)
        image8 = np.round(luma * 255)[..., None] / 255
    else:
        image8 = np.round(np.clip(image, 0, 1) * 255) / 255
    image8 = np.clip(image8, 0, 1)
    levels = np.count_nonzero(np.bincount((image8 * 255).round().astype(np.uint8).ravel()))
    count = 2.0 ** math.ceil(math.log2(levels))
    noise = rng.poisson(image8 * count) / count - image8
    return np.clip(image + np.float32(scale) * noise.astype(np.float32), 0, 1)


def jpeg(image: Image, quality: float) -> Image:
    """Compress and decompress as JPEG (4:2:0) of ``quality`` 0 to 100."""
    bgr8 = np.round(np.clip(image[..., ::-1], 0, 1) * 255).astype(np.uint8)
    _, code = cv2.imencode(".jpg", bgr8, [cv2.IMWRITE_JPEG_QUALITY, round(quality)])
    decoded = cv2.imdecode(code, cv2.IMREAD_COLOR)
    return decoded[..., ::-1].astype(np.float32) / np.float32(255)  # pyright: ignore


def _noise(
    image: Image, rng: Generator, gaussian_prob: float, sigma: Range, scale: Range, gray_prob: float
) -> Image:
    gray = bool(rng.random() < gray_prob)
    if rng.random() < gaussian_prob:
        return gaussian_noise(image, rng.uniform(*sigma), gray, rng)
    return poisson_noise(image, rng.uniform(*scale), gray, rng)


def _factor(rng: Generator, shares: tuple[float, float, float], bounds: Range) -> float:
    """A resize factor: up, down or keep with odds ``shares``."""
    direction = rng.choice(3, p=np.divide(shares, sum(shares)))
    return (rng.uniform(1, bounds[1]), rng.uniform(bounds[0], 1), 1.0)[direction]


def _odd_side(rng: Generator, bounds: tuple[int, int]) -> int:
    return int(rng.choice(np.arange(bounds[0], bounds[1] + 1, 2)))


def degrade(gt: Image, scale: int, settings: Degradation, rng: Generator) -> Image:
    """The LR image of ``gt``.

    Args:
        gt: float32 (H, W, 3) in [0, 1]; H and W divisible by ``scale``.
        scale: the factor between ``gt`` and the result.
        settings: the published parameters.
        rng: where all chance comes from.

    Returns:
        float32 (H / scale, W / scale, 3) in [0, 1], rounded to multiples of 1/255.
    """
    s = settings
    height, width = gt.shape[0] // scale, gt.shape[1] // scale

    kernel = blur_kernel(
        rng, _odd_side(rng, s.kernel_range), s.kernel_list, s.kernel_prob, s.sinc_prob,
        s.blur_sigma, s.betag_range, s.betap_range,
    )  # fmt: skip
    image = blur(gt, kernel)
    factor = _factor(rng, s.resize_prob, s.resize_range)
    size = (max(1, int(gt.shape[0] * factor)), max(1, int(gt.shape[1] * factor)))
    image = resize(image, size, rng)
    image = _noise(
        image, rng, s.gaussian_noise_prob, s.noise_range, s.poisson_scale_range, s.gray_noise_prob
    )
    image = jpeg(image, rng.uniform(*s.jpeg_range))

    if rng.random() < s.second_blur_prob:
        kernel = blur_kernel(
            rng, _odd_side(rng, s.kernel_range), s.kernel_list2, s.kernel_prob2, s.sinc_prob2,
            s.blur_sigma2, s.betag_range2, s.betap_range2,
        )  # fmt: skip
        image = blur(image, kernel)
    factor = _factor(rng, s.resize_prob2, s.resize_range2)
    image = resize(image, (max(1, int(height * factor)), max(1, int(width * factor))), rng)
    image = _noise(
        image, rng, s.gaussian_noise_prob2, s.noise_range2, s.poisson_scale_range2,
        s.gray_noise_prob2,
    )  # fmt: skip

    # Resizing back belongs together with the sinc filter; JPEG comes before or after both.
    sinc = None
    if rng.random() < s.final_sinc_prob:
        sinc = sinc_kernel(rng, _odd_side(rng, s.kernel_range), math.pi / 3)
    quality = rng.uniform(*s.jpeg_range2)
    jpeg_last = rng.random() < 0.5
    if not jpeg_last:
        image = jpeg(image, quality)
    image = resize(image, (height, width), rng)
    if sinc is not None:
        image = blur(image, sinc)
    if jpeg_last:
        image = jpeg(image, quality)
    return np.divide(np.round(np.clip(image, 0, 1) * 255), 255, dtype=np.float32)
