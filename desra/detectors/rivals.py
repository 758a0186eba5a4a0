"""Detectors that others have, or that do with less: what the paper's is compared with."""

from __future__ import annotations

import cv2
import numpy as np

from desra.artifacts import WindowSpec, artifact_map, crop_to, local_std
from desra.detectors.images import Images, Map, Pixels
from desra.detectors.registry import register
from desra.io.images import enlarge

_K1 = 0.01  # of SSIM; its K2 is that of the window
_LDL_SIDE = 7


@register("mse", local=True)
def local_ssim(images: Images, window: WindowSpec) -> Map:
    """Return the whole SSIM of the two outputs (Wang et al., TIP 2004), not one term of it.

    In the Gaussian window, with C1 = (0.01 range)^2 and C2 = C of Eq. 7,

        (2 m_a m_b + C1) (2 cov_ab + C2) / ((m_a^2 + m_b^2 + C1) (s_a^2 + s_b^2 + C2)),

    mean over the channels, then clipped to [0, 1] (SSIM itself goes down to -1).
    """
    sr_mse, sr_gan = images.mse, images.gan
    assert sr_mse is not None  # it is needed
    std_a, std_b = local_std(sr_mse, window), local_std(sr_gan, window)
    if std_a.size == 0:
        return np.empty(std_a.shape[:2])

    def mean(values: Map) -> Map:
        blurred = np.asarray(cv2.sepFilter2D(values, cv2.CV_64F, window.kernel, window.kernel))
        return crop_to(blurred, std_a.shape).reshape(std_a.shape)

    a, b = sr_mse.astype(np.float64), sr_gan.astype(np.float64)
    mean_a, mean_b = mean(a), mean(b)
    product = mean_a * mean_b
    c1, c2 = (_K1 * window.data_range) ** 2, window.constant
    ssim = (2 * product + c1) * (2 * (mean(a * b) - product) + c2)
    ssim /= (mean_a**2 + mean_b**2 + c1) * (std_a**2 + std_b**2 + c2)
    return np.clip(ssim.reshape(*std_a.shape[:2], -1).mean(axis=2), 0.0, 1.0)


@register("lq")
def bicubic_reference(images: Images, window: WindowSpec) -> Map:
    """Return the paper's D without an MSE network: the upscaled LR image is the reference.

    Bicubic by `desra.io.images.enlarge`, as the ``mse`` of a pair without an MSE network. It is
    smoother than any MSE-SR image, so more genuine texture fires.
    """
    assert images.lq is not None
    return artifact_map(enlarge(images.lq, images.gan.shape[:2]), images.gan, window)


@register("mse", "gt")
def ldl(images: Images, window: WindowSpec) -> Map:
    """Return the map of LDL's loss (Liang et al., CVPR 2022): an oracle, since it sees the truth.

    On values in [0, 1], with R = sum_c |gt - gan|, and mse in the role of LDL's averaged network in
    R_ref = sum_c |gt - mse|,

        M = Var(R)^(1/5) Var_7x7(R), and 0 where R < R_ref,

    both variances unbiased, the first over the image, the second with reflected borders. As a
    similarity: c / (c + M) with c = k2^2, the C of Eq. 7 for this range. Of the window only its
    range, its k2 and its border play a part.
    """
    gt, sr_mse = images.gt, images.mse
    assert gt is not None and sr_mse is not None
    if gt.ndim != 3:
        raise ValueError(f"gt must be (H, W, 3), got {gt.shape}")
    shape = window.map_size(gt.shape)
    if 0 in shape:
        return np.empty(shape)

    def residual(image: Pixels) -> Map:
        return np.abs(gt.astype(np.float64) - image).sum(axis=2) / window.data_range

    R, R_ref = residual(images.gan), residual(sr_mse)
    M = R.var(ddof=1) ** 0.2 * _box_variance(R, _LDL_SIDE)
    M[R_ref > R] = 0.0
    c = window.k2**2
    return c / (c + crop_to(M, shape))


def _box_variance(values: Map, side: int) -> Map:
    """Return the unbiased variance in a square, ``(H, W)``, borders reflected without the edge."""

    def mean(x: Map) -> Map:
        box = cv2.boxFilter(x, cv2.CV_64F, (side, side), borderType=cv2.BORDER_REFLECT_101)
        return np.asarray(box, np.float64)

    variance = np.maximum(mean(values * values) - mean(values) ** 2, 0.0)
    return variance * (side**2 / (side**2 - 1))
