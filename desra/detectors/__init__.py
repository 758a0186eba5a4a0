"""Detectors by name: functions of images that give a similarity map, low = artifact.

A detector is a pure function of `Images` and a window. It gets ``gan``, what it needs, and what it
uses of what is there, all in 8 bits; the rest is None. It returns float64 ``(H - 2b, W - 2b)`` in
[0, 1], ``b = window.border``, the same size for all, so that one mask rule serves all.

One of your own is registered in a module that ``import:`` names:

    @register("mse", uses=["lq"], fingerprint="2")
    def mine(images: Images, window: WindowSpec) -> Map: ...
"""

from desra.detectors.evidence_detector import evidence
from desra.detectors.images import INPUTS, Images, Map
from desra.detectors.papers import absolute_local_variance, relative_local_variance
from desra.detectors.registry import DETECTOR_REGISTRY, Detector, find_detector, register
from desra.detectors.rivals import bicubic_reference, ldl, local_ssim

__all__ = [
    "DETECTOR_REGISTRY",
    "INPUTS",
    "Detector",
    "Images",
    "Map",
    "absolute_local_variance",
    "bicubic_reference",
    "evidence",
    "find_detector",
    "ldl",
    "local_ssim",
    "register",
    "relative_local_variance",
]
