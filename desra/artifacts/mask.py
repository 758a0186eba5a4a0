"""From the similarity map to a mask: threshold, morphology, area."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal

import cv2
import numpy as np
from annotated_types import Ge, Le
from numpy.typing import NDArray

from desra.artifacts.borders import border_between
from desra.artifacts.bounds import SECTION, check_bounds

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class MaskRule:
    """The rule by which a similarity map becomes a mask, and the section ``mask`` of the options.

    ``MaskRule()`` is the paper's, as its released code has it. Where the options say nothing it is
    evidence's, with an area of 1000 px_at_x4, and with `protocol: released` the paper's.

    Raises:
        ValueError: a value out of range.

    Example:
        >>> MaskRule(min_area=1000, min_area_unit="px_at_x4").resolve((200, 200), scale=2).min_area
        250
    """

    __pydantic_config__: ClassVar[Any] = SECTION

    threshold: Annotated[float, Ge(0), Le(1)] = 0.7
    """A pixel with D below this is a candidate; the default of evidence and of the paper's."""
    kernel: Annotated[int, Ge(1), Le(255)] = 5
    """Side of the square structuring element in pixels, odd."""
    erode: Annotated[int, Ge(0), Le(1000)] = 1
    """How often it erodes, which removes specks."""
    dilate: Annotated[int, Ge(0), Le(1000)] = 3
    """How often it dilates after that, which joins what is near."""
    min_area: Annotated[float, Ge(0)] = 4000
    """A region is kept if its area is greater than this."""
    min_area_unit: Literal["px", "px_at_x4", "px_per_megapixel"] = "px"
    """px: pixels of the SR image; px_at_x4: pixels at scale 4, for other scales times (scale/4)^2;
    px_per_megapixel: pixels for each million pixels of the SR image."""

    def __post_init__(self) -> None:
        if self.kernel % 2 == 0 or self.kernel < 1:
            raise ValueError(f"mask kernel must be odd and at least 1, got {self.kernel}")
        check_bounds(self, "mask")

    def resolve(self, sr_size: tuple[int, ...], scale: int) -> MaskRule:
        """Return the same rule with ``min_area`` in pixels of one SR image, rounded to an integer.

        Args:
            sr_size: shape of the SR image; it starts with height and width.
            scale: upscaling factor of the network that made it.
        """
        factor = {
            "px": 1.0,
            "px_at_x4": (scale / 4) ** 2,
            "px_per_megapixel": sr_size[0] * sr_size[1] / 1e6,
        }[self.min_area_unit]
        return replace(self, min_area=round(self.min_area * factor), min_area_unit="px")


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
    """Return the mask of the artifacts in a similarity map.

    ``D < threshold``, eroded, dilated, holes filled (`fill_holes`), and of what is left the
    8-connected regions that have more than ``min_area`` pixels.

    Args:
        D: similarity map, floating ``(h, w)``, low = artifact; may have no elements.
        rule: threshold, morphology and area in pixels; the paper's by default.
        border: pixels of False to add on every side, to give the map's border back.

    Returns:
        bool ``(h + 2 * border, w + 2 * border)``, True = artifact.

    Raises:
        ValueError: D is not two-dimensional or has NaN (which would read "clean"), ``border`` is
            negative, or the rule's area is not in pixels.

    Example:
        >>> D = np.ones((100, 100))
        >>> D[20:80, 20:80] = 0.5
        >>> int(artifact_mask(D, MaskRule(min_area=1000)).sum())  # 60 - 4 + 12 pixels a side
        4624
    """
    return clean_up(candidates(D, rule), rule, border)


def candidates(D: NDArray[np.floating], rule: MaskRule = MaskRule()) -> Mask:
    """Return the candidates, ``D < threshold``: the step of `artifact_mask` that looks at pixels.

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
    """Return the mask of the candidates: morphology, holes, area; the rest of `artifact_mask`.

    Args:
        low: the `candidates`, bool ``(h, w)``.
        rule, border: as in `artifact_mask`.

    Returns:
        bool ``(h + 2 * border, w + 2 * border)``.

    Raises:
        ValueError: ``border`` is negative, or the rule's area is not in pixels.
    """
    if rule.min_area_unit != "px":
        raise ValueError(
            f"the rule's min_area is in {rule.min_area_unit}; rule.resolve(sr_size, scale) gives "
            "it in px of an image"
        )
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
    """Return the `artifact_mask` in the size of the image that D was computed from.

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
    """Return `clean_up` in the size of the image, as `full_size_mask`: bool ``(H, W)``."""
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


def _keep_large(mask: Mask, min_area: float) -> Mask:
    regions = find_regions(mask)
    keep = regions.areas > min_area
    keep[0] = False
    return keep[regions.labels]
