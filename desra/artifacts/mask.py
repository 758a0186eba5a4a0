"""From the similarity map to a mask: threshold, morphology, area."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from desra.artifacts.borders import border_between

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class MaskRule:
    """How a similarity map becomes a mask. The defaults are those of the paper's released code.

    Attributes:
        threshold: a pixel fires where D is below it, in [0, 1].
        kernel: side of the square structuring element in pixels, odd.
        erode: erosions, which remove specks.
        dilate: dilations after them, which join what is near.
        min_area: a region is kept when it has **more** pixels than this.

    Raises:
        ValueError: a value out of range.
    """

    threshold: float = 0.7
    kernel: int = 5
    erode: int = 1
    dilate: int = 3
    min_area: int = 4000

    def __post_init__(self) -> None:
        if not 0.0 <= self.threshold <= 1.0:
            raise ValueError(f"mask threshold must be in [0, 1], got {self.threshold}")
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise ValueError(f"mask kernel must be odd and at least 1, got {self.kernel}")
        for name in ("erode", "dilate", "min_area"):
            value: int = getattr(self, name)
            if value < 0:
                raise ValueError(f"mask {name} must be 0 or more, got {value}")


@dataclass(frozen=True, eq=False)
class Regions:
    """The 8-connected regions of a mask.

    Attributes:
        labels: int32 ``(H, W)``, 0 outside the mask, 1..count inside.
        areas: int64 ``(count + 1,)``, pixels of each label; ``areas[0]`` is the background.
    """

    labels: NDArray[np.int32]
    areas: NDArray[np.int64]

    @property
    def count(self) -> int:
        """Number of regions, without the background."""
        return len(self.areas) - 1


def artifact_mask(D: NDArray[np.floating], rule: MaskRule = MaskRule(), border: int = 0) -> Mask:
    """Artifacts of a similarity map.

    ``D < threshold``, eroded, dilated, holes filled (`fill_holes`), and of what is left the
    8-connected regions that have more than ``min_area`` pixels.

    Args:
        D: similarity map, floating ``(h, w)``, low = artifact; may have no elements.
        rule: threshold, morphology and area; the paper's by default.
        border: pixels of False to add on every side, to give the map's border back.

    Returns:
        bool ``(h + 2 * border, w + 2 * border)``, True = artifact.

    Raises:
        ValueError: D is not two-dimensional or has NaN (which would read "clean"), or ``border``
            is negative.

    Example:
        >>> D = np.ones((100, 100))
        >>> D[20:80, 20:80] = 0.5
        >>> int(artifact_mask(D, MaskRule(min_area=1000)).sum())  # 60 - 4 + 12 pixels a side
        4624
    """
    return clean_up(candidates(D, rule), rule, border)


def candidates(D: NDArray[np.floating], rule: MaskRule = MaskRule()) -> Mask:
    """``D < threshold``; the step of `artifact_mask` that looks at single pixels.

    Args:
        D: similarity map, floating ``(h, w)``, or any rows of it; may have no elements.
        rule: its threshold.

    Returns:
        bool ``(h, w)``.

    Raises:
        ValueError: D is not two-dimensional or has NaN (which would read "clean").
    """
    if D.ndim != 2:
        raise ValueError(f"D must be (h, w), got {D.shape}")
    if D.size and np.isnan(D.min()):
        raise ValueError("D has NaN, which is neither artifact nor clean")
    return np.less(D, rule.threshold)


def clean_up(low: Mask, rule: MaskRule = MaskRule(), border: int = 0) -> Mask:
    """The rest of `artifact_mask`: morphology, holes, area; it looks at the whole map.

    Args:
        low: the `candidates`, bool ``(h, w)``.
        rule, border: as in `artifact_mask`.

    Returns:
        bool ``(h + 2 * border, w + 2 * border)``.

    Raises:
        ValueError: ``border`` is negative.
    """
    if border < 0:
        raise ValueError(f"border must be 0 or more, got {border}")
    if low.size == 0:
        return np.zeros((low.shape[0] + 2 * border, low.shape[1] + 2 * border), np.bool_)
    square = np.ones((rule.kernel, rule.kernel), np.uint8)
    eroded = cv2.erode(low.astype(np.uint8, order="C"), square, iterations=rule.erode)
    grown = cv2.dilate(eroded, square, iterations=rule.dilate)
    mask = _keep_large(fill_holes(np.asarray(grown, np.bool_)), rule.min_area)
    return np.pad(mask, border)


def full_size_mask(
    D: NDArray[np.floating], shape: tuple[int, ...], rule: MaskRule = MaskRule()
) -> Mask:
    """`artifact_mask` in the size of the image that D was computed from, whatever its size.

    Args:
        D: similarity map of an image, floating ``(h, w)``.
        shape: height and width of the image (more numbers are not looked at).
        rule: as in `artifact_mask`.

    Returns:
        bool ``(H, W)``; all False for an image smaller than the window.

    Raises:
        ValueError: D does not fit the shape, or as in `artifact_mask`.
    """
    return full_size_clean_up(candidates(D, rule), shape, rule)


def full_size_clean_up(low: Mask, shape: tuple[int, ...], rule: MaskRule = MaskRule()) -> Mask:
    """`clean_up` in the size of the image, as `full_size_mask`: bool ``(H, W)``."""
    if low.size == 0:
        return np.zeros(shape[:2], np.bool_)
    return clean_up(low, rule, border_between(low.shape, shape))


def fill_holes(mask: Mask) -> Mask:
    """Fill the holes: background that no 8-connected path joins to the outside.

    The background is 8-connected, so a pixel whose ring has a diagonal gap is no hole. The same
    as ``scipy.ndimage.binary_fill_holes(mask, np.ones((3, 3)))``, in one flood fill.

    Args:
        mask: bool ``(H, W)``.

    Returns:
        bool ``(H, W)``, a new array.
    """
    # A frame of background joins all outside regions, so that one fill from a corner finds them.
    framed = np.pad(mask.astype(np.uint8), 1)
    cv2.floodFill(framed, None, (0, 0), (2,), flags=8)
    return framed[1:-1, 1:-1] != 2


def find_regions(mask: Mask) -> Regions:
    """Label the 8-connected regions of a mask.

    Args:
        mask: bool ``(H, W)``; may have no elements.

    Raises:
        ValueError: the mask is not bool or not two-dimensional.
    """
    if mask.ndim != 2 or mask.dtype != np.bool_:
        raise ValueError(f"a mask must be bool (H, W), got {mask.dtype} {mask.shape}")
    if mask.size == 0:
        return Regions(np.zeros(mask.shape, np.int32), np.zeros(1, np.int64))
    pixels = mask.astype(np.uint8, order="C")
    _, labels, stats, _ = cv2.connectedComponentsWithStats(pixels, connectivity=8)
    areas = np.asarray(stats)[:, cv2.CC_STAT_AREA].astype(np.int64)
    return Regions(np.asarray(labels, np.int32), areas)


def _keep_large(mask: Mask, min_area: int) -> Mask:
    found = find_regions(mask)
    keep = found.areas > min_area
    keep[0] = False
    return keep[found.labels]
