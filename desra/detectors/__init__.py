"""Detectors by name: functions of images that give a similarity map, low = artifact."""

from desra.detectors.by_name import (
    DETECTOR_REGISTRY,
    Detector,
    absolute_local_variance,
    bicubic_reference,
    evidence,
    find_detector,
    in_bands,
    ldl,
    local_ssim,
    register,
    relative_local_variance,
    wants,
)

__all__ = [
    "DETECTOR_REGISTRY",
    "Detector",
    "absolute_local_variance",
    "bicubic_reference",
    "evidence",
    "find_detector",
    "in_bands",
    "ldl",
    "local_ssim",
    "register",
    "relative_local_variance",
    "wants",
]
