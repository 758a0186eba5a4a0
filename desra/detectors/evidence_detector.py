"""The default detector: texture by band and window, weighed by a small network."""

from __future__ import annotations

import cv2
import numpy as np
from scipy.special import expit

from desra.artifacts import WindowSpec, crop_to
from desra.detectors.evidence_network import judge, measure, weights_hash
from desra.detectors.images import Images, Map
from desra.detectors.registry import register


@register("mse", uses=["lq"], reads_window=False, fingerprint=weights_hash)
def evidence(images: Images, window: WindowSpec) -> Map:
    """Return 1 minus the probability of an artifact (`desra.detectors.evidence_network`).

    Shifted so that the working point is 0.7 as for the paper's; made on the grid of LR pixels and
    enlarged bilinearly. With ``lq`` it sees more. Of the window only its border plays a part.

    Raises:
        ValueError: ``gan`` is not as many times as large as ``lq`` as the scale says.
    """
    gan, lq, factor = images.gan, images.lq, images.factor
    assert images.mse is not None  # it is needed
    if lq is not None and tuple(factor * n for n in lq.shape[:2]) != gan.shape[:2]:
        raise ValueError(f"gan {gan.shape} is not {factor} times lq {lq.shape}")
    shape = window.map_size(gan.shape)
    if 0 in shape:
        return np.empty(shape)
    odds = judge(measure(images.mse, gan, lq, factor))
    size = odds.shape[1] * factor, odds.shape[0] * factor
    enlarged = np.asarray(cv2.resize(odds, size, interpolation=cv2.INTER_LINEAR), np.float64)
    left_over = [(0, n - m) for n, m in zip(gan.shape[:2], enlarged.shape, strict=True)]
    return expit(-crop_to(np.pad(enlarged, left_over, mode="edge"), shape))
