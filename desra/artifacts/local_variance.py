"""From an SR pair to the similarity map D: relative difference of local texture (Eq. 2-7)."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import cv2
import numpy as np
from annotated_types import Ge, Gt, Le
from numpy.typing import NDArray

from desra.artifacts.bounds import SECTION, check_bounds

Map = NDArray[np.float64]

# Rows that are worked on at once: the temporaries of a strip stay small, and strips are
# independent, so that they can be shared among threads.
_STRIP = 64


@dataclass(frozen=True)
class WindowSpec:
    """The Gaussian window of the local variance (Eq. 2) and the range behind its constant C.

    evidence, the default detector, has windows of its own: of these keys size alone plays a part
    there, in the border that the map lacks. The defaults are those of the paper's released code.

    Raises:
        ValueError: a value that makes no window.
    """

    __pydantic_config__: ClassVar[Any] = SECTION

    size: Annotated[int, Ge(1), Le(1023)] = 11
    """Side in pixels, odd."""
    sigma: Annotated[float, Gt(0)] = 1.5
    """Standard deviation in pixels."""
    data_range: Annotated[float, Gt(0)] = 255.0
    """Largest pixel value: 255 for 8 bits, 65535 for 16; C = (k2 data_range)^2."""
    k2: Annotated[float, Gt(0)] = 0.03
    """The K2 of SSIM: C keeps D stable where both images are flat."""

    def __post_init__(self) -> None:
        if self.size < 1 or self.size % 2 == 0:
            raise ValueError(f"window size must be odd and at least 1, got {self.size}")
        check_bounds(self, "window")

    @property
    def border(self) -> int:
        """Pixels that the map loses on every side."""
        return self.size // 2

    def map_size(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Return (height, width) of the map of an image, whose ``shape`` starts with its own height
        and width: whole windows only, so 0 where the image is smaller than the window.

        Example:
            >>> WindowSpec().map_size((120, 8, 3))
            (110, 0)
        """
        lost = 2 * self.border
        return max(shape[0] - lost, 0), max(shape[1] - lost, 0)

    @property
    def constant(self) -> float:
        """C of Eq. 7."""
        return (self.k2 * self.data_range) ** 2

    @property
    def epsilon(self) -> float:
        """What is added under each square root: 1e-8 on 0..255, in proportion on other ranges."""
        return 1e-8 * (self.data_range / 255.0) ** 2

    @property
    def kernel(self) -> Map:
        """The one-dimensional Gaussian ``(size,)``, sum 1; the window is its outer product."""
        return np.asarray(cv2.getGaussianKernel(self.size, self.sigma), dtype=np.float64)[:, 0]


def artifact_map(
    sr_mse: NDArray[Any], sr_gan: NDArray[Any], window: WindowSpec = WindowSpec()
) -> Map:
    """Return the similarity map D of an SR pair: 1 where texture is alike, **low at an artifact**.

    With s the local standard deviation in a Gaussian window, for each colour channel,

        D = (2 s_gan s_mse + C) / (s_gan^2 + s_mse^2 + C)        (Eq. 2, 4-7)

    and D is the mean over the channels. It is symmetric in its two images.

    Args:
        sr_mse: output of the MSE-trained network, ``(H, W, 3)``, ``(H, W, 1)`` or ``(H, W)``;
            uint8, uint16 or float with values on ``0..window.data_range``.
        sr_gan: output of the GAN-trained network for the same input, same shape.
        window: the patch; the paper's by default.

    Returns:
        float64 ``(H - 2b, W - 2b)`` in [0, 1], with ``b = window.border`` (5 by default): only
        whole windows count. An image smaller than the window gives an array without elements.

    Raises:
        ValueError: unequal shapes, another layout or dtype, values that are not finite, or
            integers beyond ``window.data_range``.

    Example:
        >>> flat = np.full((32, 32, 3), 128, np.uint8)
        >>> artifact_map(flat, flat).shape, float(artifact_map(flat, flat).min())
        ((22, 22), 1.0)
    """
    c = window.constant

    def relative(var_mse: Map, var_gan: Map) -> Map:
        # s_gan s_mse as the root of the product: one root instead of two.
        return (2.0 * np.sqrt(var_mse * var_gan) + c) / (var_mse + var_gan + c)

    similarity = _map_pair(sr_mse, sr_gan, window, relative)
    # By the mean inequality D <= 1; rounding may lift it by one unit in the last place.
    return np.minimum(similarity, 1.0, out=similarity)


def absolute_difference_map(
    sr_mse: NDArray[Any], sr_gan: NDArray[Any], window: WindowSpec = WindowSpec()
) -> Map:
    """Return the squared difference of local texture, (s_gan - s_mse)^2, channels averaged (Eq. 3).

    What the paper compares its relative difference with: it grows with the contrast of the
    image. **High at an artifact**, in squared grey levels: 0 or more, without an upper bound
    of its own. Arguments, shapes and errors as `artifact_map`.
    """

    def absolute(var_mse: Map, var_gan: Map) -> Map:
        return np.square(np.sqrt(var_gan) - np.sqrt(var_mse))

    return _map_pair(sr_mse, sr_gan, window, absolute)


def local_std(image: NDArray[Any], window: WindowSpec = WindowSpec()) -> Map:
    """Return the local standard deviation of each channel, in grey levels (Eq. 2).

    Args:
        image: as the images of `artifact_map`.
        window: the patch.

    Returns:
        float64 ``(H - 2b, W - 2b, C)``, or ``(H - 2b, W - 2b)`` for an image without channels.

    Raises:
        ValueError: as `artifact_map`.
    """
    image = _checked("image", image, window)
    shape = window.map_size(image.shape)
    if 0 in shape:
        return np.empty(shape + image.shape[2:], np.float64)
    std = np.sqrt(_variance(image, window))
    # OpenCV drops a single channel.
    return std[..., np.newaxis] if std.ndim < image.ndim else std


def _map_pair(
    sr_mse: NDArray[Any],
    sr_gan: NDArray[Any],
    window: WindowSpec,
    compare: Callable[[Map, Map], Map],
) -> Map:
    """Compare the local variances of two images, strip by strip; mean over the channels."""
    if sr_mse.shape != sr_gan.shape:
        raise ValueError(
            f"sr_mse and sr_gan must have the same shape, got {sr_mse.shape} and {sr_gan.shape}"
        )
    sr_mse = _checked("sr_mse", sr_mse, window)
    sr_gan = _checked("sr_gan", sr_gan, window)
    shape = window.map_size(sr_mse.shape)
    out = np.empty(shape, np.float64)
    if out.size == 0:
        return out
    channels = 1 if sr_mse.ndim == 2 else sr_mse.shape[2]
    mean = np.full((1, channels), 1.0 / channels)

    def fill(top: int) -> None:
        rows = slice(top, min(top + _STRIP, shape[0]))
        seen = slice(rows.start, rows.stop + 2 * window.border)
        difference = compare(_variance(sr_mse[seen], window), _variance(sr_gan[seen], window))
        out[rows] = cv2.transform(difference, mean)

    # OpenCV and NumPy let go of the interpreter while they compute. OpenCV's own number of
    # threads is the limit, so that cv2.setNumThreads, as data loaders call it, is obeyed.
    with ThreadPoolExecutor(max(1, cv2.getNumThreads())) as pool:
        list(pool.map(fill, range(0, shape[0], _STRIP)))
    return out


def _variance(image: NDArray[Any], window: WindowSpec) -> Map:
    """Return the Gaussian-weighted variance, whole windows only, never below ``window.epsilon``.

    float64 because E[x^2] - E[x]^2 cancels: in float32 a flat patch of 200 gives -0.016, whose
    root is NaN, which no threshold would ever call an artifact.
    """
    x = np.ascontiguousarray(image, dtype=np.float64)
    kernel, b = window.kernel, window.border
    inside = (slice(b, x.shape[0] - b), slice(b, x.shape[1] - b))
    mean = np.asarray(cv2.sepFilter2D(x, cv2.CV_64F, kernel, kernel))[inside]
    variance = np.asarray(cv2.sepFilter2D(x * x, cv2.CV_64F, kernel, kernel))[inside] - mean * mean
    np.maximum(variance, 0.0, out=variance)
    variance += window.epsilon
    return variance


def _checked(name: str, image: NDArray[Any], window: WindowSpec) -> NDArray[Any]:
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3)):
        raise ValueError(
            f"{name} must be (H, W), (H, W, 1) or (H, W, 3), got {image.shape}; "
            "an alpha channel has no part in the map"
        )
    if str(image.dtype) not in ("uint8", "uint16", "float32", "float64"):
        raise ValueError(f"{name} must be uint8, uint16, float32 or float64, got {image.dtype}")
    if image.dtype.kind == "f":
        if not np.isfinite(image).all():
            raise ValueError(f"{name} has values that are not finite (NaN or infinite)")
    elif image.size and image.max() > window.data_range:
        raise ValueError(
            f"{name} has the value {image.max()}, but window.data_range is {window.data_range:g}; "
            "it is 255 for 8-bit images and 65535 for 16-bit ones"
        )
    return image
