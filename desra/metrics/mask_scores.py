"""Scores of masks: against the truth, and before against after a finetuning.

Counts come first and add up over images (``sum(counts, start=MaskCounts())``); a rate is one
division at the end. **A rate whose denominator is zero is undefined and reads None**, never 0
or 1.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from desra.artifacts.borders import border_between, crop_to
from desra.artifacts.mask import Regions, find_regions
from desra.metrics.sums import Sums, ratio

Mask = NDArray[np.bool_]
Protocol = Literal["full", "released"]

# A region counts as covered by another mask when at least this share of its area is inside.
_COVERED = 0.5


@dataclass(frozen=True)
class MaskCounts(Sums):
    """Counts of what a mask shares with its truth, in pixels and in 8-connected regions.

    Attributes:
        tp: pixels in both.
        fp: pixels in the mask only.
        fn: pixels in the truth only.
        predicted: regions of the mask.
        correct: those of them that lie in the truth with at least half of their area.
        true: regions of the truth.
        found: those of them that the mask covers by at least half of their area.
    """

    tp: int = 0
    fp: int = 0
    fn: int = 0
    predicted: int = 0
    correct: int = 0
    true: int = 0
    found: int = 0

    @property
    def iou(self) -> float | None:
        """Pixels in both over pixels in either. See `mean_iou` for the usual mean over images."""
        return ratio(self.tp, self.tp + self.fp + self.fn)

    @property
    def pixel_precision(self) -> float | None:
        """Share of the masked pixels that are true."""
        return ratio(self.tp, self.tp + self.fp)

    @property
    def pixel_recall(self) -> float | None:
        """Share of the true pixels that are masked."""
        return ratio(self.tp, self.tp + self.fn)

    @property
    def pixel_f1(self) -> float | None:
        """Harmonic mean of pixel precision and recall, as 2 tp / (2 tp + fp + fn)."""
        return ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def region_precision(self) -> float | None:
        """Share of the mask's regions that are correct. Lenient: read it beside the IoU."""
        return ratio(self.correct, self.predicted)

    @property
    def region_recall(self) -> float | None:
        """Share of the true regions that are found. Lenient: read it beside the IoU."""
        return ratio(self.found, self.true)


@dataclass(frozen=True)
class ChangeCounts(Sums):
    """Counts of what a finetuning did to the masks of one image, or of several together.

    Attributes:
        before: regions before.
        removed: those of them with less than half of their area masked afterwards.
        after: regions after.
        added: those of them with less than half of their area masked before.
        pixels_before: masked pixels before.
        pixels_removed: those of them that are no longer masked.
        pixels_after: masked pixels after.
        pixels_added: those of them that were not masked before.
    """

    before: int = 0
    removed: int = 0
    after: int = 0
    added: int = 0
    pixels_before: int = 0
    pixels_removed: int = 0
    pixels_after: int = 0
    pixels_added: int = 0

    @property
    def removal_rate(self) -> float | None:
        """Removed regions over regions before."""
        return ratio(self.removed, self.before)

    @property
    def addition_rate(self) -> float | None:
        """Added regions over regions **before**; may exceed 1."""
        return ratio(self.added, self.before)

    @property
    def pixel_removal_rate(self) -> float | None:
        """Share of the masked pixels that are no longer masked."""
        return ratio(self.pixels_removed, self.pixels_before)

    @property
    def pixel_addition_rate(self) -> float | None:
        """Newly masked pixels over masked pixels **before**; may exceed 1."""
        return ratio(self.pixels_added, self.pixels_before)


def count_mask(mask: Mask, truth: Mask, protocol: Protocol = "full") -> MaskCounts:
    """Count what a mask shares with its truth.

    Args:
        mask: bool ``(H, W)``, True = artifact.
        truth: bool, of the mask's size. With ``protocol="released"`` it is 10 pixels larger in
            each dimension, and is cropped by 5 a side **before** its regions are counted, as
            the released scripts do with masks that come without their border.
        protocol: "full", or "released" for the arithmetic of the released scripts.

    Raises:
        ValueError: masks that are not bool ``(H, W)``, or sizes other than the above.

    Example:
        >>> truth = np.zeros((8, 8), bool)
        >>> truth[2:6, 2:6] = True
        >>> counts = count_mask(np.roll(truth, 1, axis=1), truth)
        >>> counts.iou, counts.region_precision
        (0.6, 1.0)
    """
    margin = 5 if protocol == "released" else 0
    if border_between(mask.shape, truth.shape) != margin:
        raise ValueError(
            f"protocol {protocol!r} expects a truth {2 * margin} pixels larger than the mask in "
            f"each dimension, got {truth.shape} and {mask.shape}"
        )
    truth = crop_to(truth, mask.shape)
    predicted, correct, true, found = _cover(mask, truth)
    tp = _count(mask & truth)
    return MaskCounts(tp, _count(mask) - tp, _count(truth) - tp, predicted, correct, true, found)


def mean_iou(counts: Iterable[MaskCounts], protocol: Protocol = "full") -> float | None:
    """Return the mean over images of the pixel IoU of each image.

    An image in which both masks are empty has no IoU. "full" leaves it out of the mean; in the
    released scripts its 0/0 makes the whole mean NaN, which "released" reports as None. None
    also without any image.
    """
    total, images = 0.0, 0
    for iou in (c.iou for c in counts):
        if iou is not None:
            # One after another: sum() of newer Pythons compensates, which changes the last digit.
            total += iou
            images += 1
        elif protocol == "released":
            return None
    return ratio(total, images)


def count_change(before: Mask, after: Mask) -> ChangeCounts:
    """Count what differs between the masks of one image before and after a finetuning.

    Args:
        before: bool ``(H, W)``, True = artifact.
        after: bool ``(H, W)``.

    Raises:
        ValueError: masks that are not bool ``(H, W)``, or of different sizes.

    Example:
        >>> before = np.zeros((4, 8), bool)
        >>> before[1:3, 1:3] = True
        >>> count_change(before, np.zeros_like(before)).removal_rate
        1.0
    """
    if before.shape != after.shape:
        raise ValueError(
            f"masks before and after must have the same size, got {before.shape} and {after.shape}"
        )
    count_before, kept, count_after, old = _cover(before, after)
    return ChangeCounts(
        before=count_before,
        removed=count_before - kept,
        after=count_after,
        added=count_after - old,
        pixels_before=_count(before),
        pixels_removed=_count(before & ~after),
        pixels_after=_count(after),
        pixels_added=_count(after & ~before),
    )


def _cover(a: Mask, b: Mask) -> tuple[int, int, int, int]:
    """Count the regions of a, those that b covers, the regions of b, those that a covers."""
    in_a, in_b = find_regions(a), find_regions(b)
    return in_a.count, _covered(in_a, b), in_b.count, _covered(in_b, a)


def _covered(regions: Regions, other: Mask) -> int:
    inside = np.bincount(regions.labels[other], minlength=len(regions.areas))
    return _count(covered(inside[1:], regions.areas[1:]))


def covered(inside: NDArray[Any], areas: NDArray[Any]) -> Mask:
    """Return which regions another mask covers: at least half of their area is inside it.

    Args:
        inside: pixels of each region that the other mask shares, ``(n,)``.
        areas: all pixels of each, ``(n,)``.

    Returns:
        bool ``(n,)``.
    """
    return inside / areas >= _COVERED


def _count(mask: Mask) -> int:
    return int(np.count_nonzero(mask))
