"""Degrade an image as Real-ESRGAN does: blur, resize, noise, JPEG, twice, and a sinc filter.

Source: Wang et al., "Real-ESRGAN: Training Real-World Blind Super-Resolution with Pure Synthetic
Data" (arXiv 2107.10833), with the published parameter names
(:class:`desra.options.degradation.Degradation`).
Each function takes one image and a ``numpy.random.Generator`` and touches no global state, so a
sample depends on its seed alone, in whichever worker it is made. Blur kernels are basicsr's.

Deliberate differences to the published code, which degrades batches of tensors:

- JPEG is that of a real encoder (integer qualities, smooth upsampling of chroma), not DiffJPEG.
- Each sample has its own resize factors and kinds of noise, which a batch shared there. So the pool
  of 180 pairs, which mixed batches, is not needed.
- Resizing by area weighs the pixels at the edges of a target pixel by the area that it covers.

Images are float32 (H, W, 3) RGB in [0, 1].
"""

import math
from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from desra.data.poisson import poisson_counts
from desra.options.base import Range
from desra.options.degradation import Degradation
from desra.registry import kernels, usm_sharp

Image = NDArray[np.float32]
PoissonCounts = Callable[[NDArray[np.uint8], int, Generator], NDArray[np.float32]]

_RESIZES = (cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC)


@lru_cache(maxsize=64)
def _grid(side: int) -> NDArray[np.float64]:
    return kernels.mesh_grid(side)[0]


def sinc_kernel(rng: Generator, side: int, lowest: float) -> NDArray[np.float32]:
    """Return a random circular low-pass kernel, float32 (side, side), with a cutoff between
    ``lowest`` and pi radians per pixel."""
    kernel = kernels.circular_lowpass_kernel(rng.uniform(lowest, math.pi), side)
    return kernel.astype(np.float32)


def _beta(rng: Generator, bounds: Range) -> float:
    """Draw a shape parameter, below or above 1 with equal probability, as published."""
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
    """Return a random blur kernel, float32 (side, side), of sum 1.

    Args:
        rng: the random generator.
        side: odd, in pixels.
        kinds, shares: names of kernels as in `Degradation`, and their relative probabilities.
        sinc_prob: probability of a sinc kernel instead.
        sigma: range of the standard deviations in pixels.
        betag, betap: ranges of the shape of generalized Gaussian and of plateau kernels.
    """
    if rng.random() < sinc_prob:
        return sinc_kernel(rng, side, math.pi / 3 if side < 13 else math.pi / 5)
    kind = str(rng.choice(kinds, p=np.divide(shares, sum(shares))))
    isotropic = not kind.endswith("aniso")
    sigma_x, sigma_y = rng.uniform(*sigma, size=2)
    angle = rng.uniform(-math.pi, math.pi)
    shape = side, sigma_x, sigma_y, angle
    settings = {"grid": _grid(side), "isotropic": isotropic}
    if kind.startswith("generalized"):
        kernel = kernels.bivariate_generalized_Gaussian(*shape, _beta(rng, betag), **settings)
    elif kind.startswith("plateau"):
        kernel = kernels.bivariate_plateau(*shape, _beta(rng, betap), **settings)
    else:
        kernel = kernels.bivariate_Gaussian(*shape, **settings)
    return kernel.astype(np.float32)


def blur(image: Image, kernel: NDArray[np.float32]) -> Image:
    """Correlate an image with ``kernel`` (odd sides), with reflected borders.

    A kernel that is an outer product, such as an isotropic Gaussian, is applied to rows and columns
    in turn.
    """
    middle = len(kernel) // 2
    column, row = kernel[:, middle], kernel[middle]
    border = cv2.BORDER_REFLECT_101
    if row[middle] > 0 and np.allclose(np.outer(column, row / row[middle]), kernel, 0, 1e-8):
        image = cv2.sepFilter2D(image, -1, row / row[middle], column, borderType=border)  # pyright: ignore
    else:
        image = cv2.filter2D(image, -1, kernel, borderType=border)  # pyright: ignore
    return image


def sharpen(image: Image) -> Image:
    """Sharpen an image by unsharp masking, as Real-ESRGAN's targets are (basicsr's USMSharp)."""
    return usm_sharp(image)


def resize(image: Image, size: tuple[int, int], rng: Generator) -> Image:
    """Resize to (height, width) by area, bilinearly or bicubically, at random; not clipped."""
    interpolation = _RESIZES[rng.integers(len(_RESIZES))]
    return cv2.resize(image, size[::-1], interpolation=interpolation)  # pyright: ignore


def gaussian_noise(image: Image, sigma: float, gray: bool, rng: Generator) -> Image:
    """Add Gaussian noise of ``sigma`` grey levels (of 255), and clip to [0, 1].

    ``gray``: the same noise in all three channels.
    """
    shape = (*image.shape[:2], 1) if gray else image.shape
    noise = rng.standard_normal(shape, dtype=np.float32) * np.float32(sigma / 255)
    return np.clip(image + noise, 0, 1)


def poisson_noise(
    image: Image, scale: float, gray: bool, rng: Generator, draw: PoissonCounts = poisson_counts
) -> Image:
    """Add ``scale`` times Poisson noise, and clip to [0, 1].

    Counts are proportional to 2^ceil(log2(number of distinct grey levels)), as published. Gray
    noise is that of the luma (ITU-R BT.601), the same in each channel.
    """
    luma_weights = np.array([0.299, 0.587, 0.114], np.float32)
    values = (image @ luma_weights)[..., None] if gray else image
    levels = np.round(np.clip(values, 0, 1) * 255).astype(np.uint8)
    count = 2 ** math.ceil(math.log2(np.count_nonzero(np.bincount(levels.ravel()))))
    noise = draw(levels, count, rng) / np.float32(count) - levels / np.float32(255)
    return np.clip(image + np.float32(scale) * noise, 0, 1)


def jpeg(image: Image, quality: float) -> Image:
    """Compress an image as JPEG (4:2:0) of ``quality`` 0 to 100, and decompress it."""
    rgb8 = np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)
    bgr8 = cv2.cvtColor(rgb8, cv2.COLOR_RGB2BGR)
    _, code = cv2.imencode(".jpg", bgr8, [cv2.IMWRITE_JPEG_QUALITY, round(quality)])
    decoded = np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR))
    decoded = cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)
    return np.divide(decoded, 255, dtype=np.float32)


def _noise(
    image: Image,
    rng: Generator,
    gaussian_prob: float,
    sigma: Range,
    scale: Range,
    gray_prob: float,
    draw: PoissonCounts,
) -> Image:
    gray = bool(rng.random() < gray_prob)
    if rng.random() < gaussian_prob:
        return gaussian_noise(image, rng.uniform(*sigma), gray, rng)
    return poisson_noise(image, rng.uniform(*scale), gray, rng, draw)


def _factor(rng: Generator, shares: tuple[float, float, float], bounds: Range) -> float:
    """Draw a resize factor: up, down or 1, with relative probabilities ``shares``."""
    direction = rng.choice(3, p=np.divide(shares, sum(shares)))
    return (rng.uniform(1, bounds[1]), rng.uniform(bounds[0], 1), 1.0)[direction]


def _odd_side(rng: Generator, bounds: tuple[int, int]) -> int:
    return int(rng.choice(np.arange(bounds[0], bounds[1] + 1, 2)))


def degrade(
    gt: Image,
    scale: int,
    settings: Degradation,
    rng: Generator,
    draw_poisson: PoissonCounts = poisson_counts,
) -> Image:
    """Degrade an HR image to its LR image.

    Args:
        gt: float32 (H, W, 3) in [0, 1]; H and W divisible by ``scale``.
        scale: factor between ``gt`` and the result.
        settings: the published parameters.
        rng: the random generator.
        draw_poisson: :func:`poisson_counts`, or numpy's slower sampler with its own stream.

    Returns:
        float32 (H / scale, W / scale, 3) in [0, 1], rounded to multiples of 1/255.
    """
    s = settings
    height, width = gt.shape[0] // scale, gt.shape[1] // scale

    kernel = blur_kernel(
        rng,
        _odd_side(rng, s.kernel_range),
        s.kernel_list,
        s.kernel_prob,
        s.sinc_prob,
        s.blur_sigma,
        s.betag_range,
        s.betap_range,
    )
    image = blur(gt, kernel)
    factor = _factor(rng, s.resize_prob, s.resize_range)
    size = (max(1, int(gt.shape[0] * factor)), max(1, int(gt.shape[1] * factor)))
    image = resize(image, size, rng)
    image = _noise(
        image,
        rng,
        s.gaussian_noise_prob,
        s.noise_range,
        s.poisson_scale_range,
        s.gray_noise_prob,
        draw_poisson,
    )
    image = jpeg(image, rng.uniform(*s.jpeg_range))

    if rng.random() < s.second_blur_prob:
        kernel = blur_kernel(
            rng,
            _odd_side(rng, s.kernel_range),
            s.kernel_list2,
            s.kernel_prob2,
            s.sinc_prob2,
            s.blur_sigma2,
            s.betag_range2,
            s.betap_range2,
        )
        image = blur(image, kernel)
    factor = _factor(rng, s.resize_prob2, s.resize_range2)
    image = resize(image, (max(1, int(height * factor)), max(1, int(width * factor))), rng)
    image = _noise(
        image,
        rng,
        s.gaussian_noise_prob2,
        s.noise_range2,
        s.poisson_scale_range2,
        s.gray_noise_prob2,
        draw_poisson,
    )

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
