from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from desra.metrics.mask_scores import ChangeCounts, MaskCounts, count_change, count_mask, mean_iou


def box(top: int, left: int, height: int, width: int, shape=(100, 100)) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[top : top + height, left : left + width] = True
    return mask


def covered(mask: np.ndarray, other: np.ndarray) -> tuple[int, int]:
    """Regions, and those with at least half of their area in ``other``: a loop over labels."""
    labels, n = ndimage.label(mask, np.ones((3, 3)))
    regions = (labels == label for label in range(1, n + 1))
    return n, sum(2 * int((region & other).sum()) >= int(region.sum()) for region in regions)


def speckle(seed: int, share: float, shape=(60, 70)) -> np.ndarray:
    field = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 1.5)
    return field < np.quantile(field, share)


def test_a_shifted_box() -> None:
    """50x50 shifted by 20: the lenient region scores are full where the IoU is 30/70."""
    counts = count_mask(box(10, 30, 50, 50), box(10, 10, 50, 50))
    assert counts == MaskCounts(1500, 1000, 1000, 1, 1, 1, 1)
    assert counts.iou == 1500 / 3500
    assert counts.pixel_precision == counts.pixel_recall == counts.pixel_f1 == 0.6
    assert counts.region_precision == counts.region_recall == 1.0


def test_precision_and_recall_are_not_exchanged() -> None:
    truth = box(0, 0, 10, 10) | box(50, 50, 10, 10) | box(80, 80, 10, 10)
    counts = count_mask(box(0, 0, 10, 20) | box(0, 60, 10, 10), truth)
    assert counts == MaskCounts(100, 200, 200, predicted=2, correct=1, true=3, found=1)
    assert counts.pixel_precision == 100 / 300 and counts.region_precision == 1 / 2
    assert counts.pixel_recall == 100 / 300 and counts.region_recall == 1 / 3
    lopsided = count_mask(box(0, 0, 10, 40), box(0, 0, 10, 10))
    assert lopsided.pixel_precision == 0.25 and lopsided.pixel_recall == 1.0
    assert lopsided.pixel_f1 == 0.4
    assert lopsided.region_precision == 0.0 and lopsided.region_recall == 1.0


def test_half_of_the_area_is_enough_and_one_pixel_less_is_not() -> None:
    region = box(0, 0, 10, 10)
    assert count_mask(region, box(0, 0, 5, 10)).correct == 1
    short = box(0, 0, 5, 10)
    short[4, 9] = False
    assert count_mask(region, short).correct == 0


@pytest.mark.parametrize("seed", range(5))
def test_equals_brute_force(seed: int) -> None:
    mask, truth = speckle(seed, 0.3), speckle(seed + 100, 0.4) | speckle(seed, 0.1)
    counts = count_mask(mask, truth)
    assert counts.tp == (mask & truth).sum()
    assert counts.iou == (mask & truth).sum() / (mask | truth).sum()
    assert (counts.predicted, counts.correct) == covered(mask, truth)
    assert (counts.true, counts.found) == covered(truth, mask)
    assert 0 < counts.correct < counts.predicted and 0 < counts.found < counts.true


def test_counts_pool_over_images() -> None:
    images = [(speckle(s, 0.3), speckle(s + 50, 0.3)) for s in range(3)]
    counts = [count_mask(*pair) for pair in images]
    total = sum(counts, start=MaskCounts())
    assert total.tp == sum(int((a & b).sum()) for a, b in images)
    assert total.region_precision == sum(c.correct for c in counts) / sum(
        c.predicted for c in counts
    )
    assert mean_iou(counts) == pytest.approx(np.mean([c.iou for c in counts]), abs=1e-15)
    assert total.iou != mean_iou(counts)


def test_undefined_is_none() -> None:
    nothing, some = np.zeros((100, 100), bool), box(0, 0, 10, 10)
    empty = count_mask(nothing, nothing)
    for rate in ("iou", "pixel_precision", "pixel_recall", "pixel_f1"):
        assert getattr(empty, rate) is None
    assert empty.region_precision is None and empty.region_recall is None
    missed = count_mask(nothing, some)
    assert missed.iou == 0.0 and missed.pixel_precision is None and missed.pixel_recall == 0.0
    assert missed.region_precision is None and missed.region_recall == 0.0
    assert mean_iou([]) is None


def test_mean_iou_and_two_empty_masks() -> None:
    counts = [MaskCounts(tp=1, fp=1), MaskCounts(), MaskCounts(tp=1)]
    assert mean_iou(counts) == 0.75
    assert mean_iou(counts, protocol="released") is None
    assert mean_iou([counts[0], counts[2]], protocol="released") == 0.75


def test_released_crops_the_truth_before_it_counts() -> None:
    """A truth that lies in the border only is gone; one across it is cut, here into two."""
    truth = box(0, 40, 5, 20, (110, 110))
    assert count_mask(np.zeros((100, 100), bool), truth, "released") == MaskCounts()
    arch = box(2, 20, 20, 10, (110, 110)) | box(2, 20, 3, 40, (110, 110))
    arch |= box(2, 50, 20, 10, (110, 110))
    counts = count_mask(box(0, 15, 17, 10), arch, "released")
    assert counts == MaskCounts(170, 0, 170, predicted=1, correct=1, true=2, found=1)


def test_masks_that_do_not_fit_are_named() -> None:
    small, large = np.zeros((20, 20), bool), np.zeros((30, 30), bool)
    with pytest.raises(ValueError, match="'full' expects a truth 0 pixels larger"):
        count_mask(small, large)
    with pytest.raises(ValueError, match="'released' expects a truth 10 pixels larger"):
        count_mask(small, small, "released")
    with pytest.raises(ValueError, match="must be bool"):
        count_mask(small, small.astype(np.uint8))
    with pytest.raises(ValueError, match="must be bool"):
        count_change(small.astype(np.uint8), small)
    with pytest.raises(ValueError, match="same size"):
        count_change(small, large)


def test_removal_and_addition() -> None:
    """Two of four removed (one with a rest below a half), one of the two found after is new."""
    before = box(0, 0, 10, 10) | box(0, 20, 10, 10) | box(0, 40, 10, 10) | box(0, 60, 10, 10)
    after = box(0, 0, 10, 10) | box(0, 20, 4, 10) | box(0, 40, 5, 10) | box(50, 50, 10, 10)
    counts = count_change(before, after)
    assert counts == ChangeCounts(
        before=4,
        removed=2,
        after=4,
        added=1,
        pixels_before=400,
        pixels_removed=210,
        pixels_after=290,
        pixels_added=100,
    )
    assert (counts.removal_rate, counts.addition_rate) == (0.5, 0.25)
    assert (counts.pixel_removal_rate, counts.pixel_addition_rate) == (210 / 400, 0.25)


@pytest.mark.parametrize("seed", range(3))
def test_change_equals_brute_force(seed: int) -> None:
    before, after = speckle(seed, 0.4), speckle(seed + 7, 0.3) | speckle(seed, 0.2)
    counts = count_change(before, after)
    n_before, kept = covered(before, after)
    n_after, old = covered(after, before)
    assert (counts.before, counts.removed) == (n_before, n_before - kept)
    assert (counts.after, counts.added) == (n_after, n_after - old)
    assert counts.pixels_before - counts.pixels_removed == (before & after).sum()
    assert counts.pixels_after - counts.pixels_added == (before & after).sum()


def test_change_without_anything_before_is_none_and_pools() -> None:
    nothing, some = np.zeros((100, 100), bool), box(0, 0, 10, 10)
    new = count_change(nothing, some)
    assert new.removal_rate is None and new.addition_rate is None
    assert new.pixel_removal_rate is None and new.pixel_addition_rate is None
    total = new + count_change(some, nothing)
    assert (total.removal_rate, total.addition_rate) == (1.0, 1.0)
