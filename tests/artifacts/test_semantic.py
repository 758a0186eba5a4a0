from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from desra.artifacts import (
    ADE20K_INTERVALS,
    IntervalCalibration,
    apply_class_weights,
    class_intervals,
    class_weight,
    class_weights,
)


def test_class_weight() -> None:
    assert [class_weight(i) for i in (0, 5, 10, 19)] == [1.0, 20 / 15, 2.0, 20.0]
    assert class_weight(5, intervals=10) == 2.0
    for wrong in (-1, 20):
        with pytest.raises(ValueError, match=rf"interval must be in 0..19, got {wrong}"):
            class_weight(wrong)


def test_the_papers_table() -> None:
    some = ("sky", "wall", "rock", "road", "building", "tree", "painting", "sea", "field", "tower")
    assert [ADE20K_INTERVALS[name] for name in some] == list(range(10))
    assert ADE20K_INTERVALS["bulletin board"] == 11
    per_interval = Counter(ADE20K_INTERVALS.values())
    assert [per_interval[i] for i in range(12)] == [38, 44, 25, 12, 13, 8, 3, 4, 1, 1, 0, 1]


def test_class_weights_match_by_name() -> None:
    weights = class_weights(["CRT screen", " tree", "unicorn", "sky"])
    np.testing.assert_array_equal(weights, [20 / 19, 20 / 15, 1.0, 1.0])
    np.testing.assert_array_equal(class_weights(["a", "b"], {"b": 5}, intervals=10), [1.0, 2.0])


def test_variants_of_a_name() -> None:
    """In full first, then what stands before a semicolon or comma, on either side."""
    table = {"door": 2, "door;glass": 5, "sea, wide": 9}
    names = ["Door; double", "Door;GLASS", "sea", "sea; calm", "double door", ";"]
    assert class_intervals(names, table) == [2, 5, 9, 9, None, None]
    np.testing.assert_array_equal(class_weights(names[:2], table), [20 / 18, 20 / 15])


def test_apply_is_clip_of_the_product() -> None:
    rng = np.random.default_rng(0)
    D = rng.random((6, 7))
    labels = rng.integers(0, 3, (6, 7)).astype(np.uint8)
    weights = np.array([1.0, 20 / 15, 2.0])
    adjusted = apply_class_weights(D, labels, weights)
    for r in range(6):
        for c in range(7):
            assert adjusted[r, c] == min(max(weights[labels[r, c]] * D[r, c], 0.0), 1.0)
    assert adjusted.max() == 1.0


def test_labels_of_the_image_are_cropped_to_the_map() -> None:
    D = np.full((4, 6), 0.4)
    labels = np.ones((14, 16), np.int64)
    labels[5, 5] = 0  # the first pixel of the map
    adjusted = apply_class_weights(D, labels, np.array([1.0, 2.0]))
    expected = np.full((4, 6), 0.8)
    expected[0, 0] = 0.4
    np.testing.assert_array_equal(adjusted, expected)
    assert apply_class_weights(np.ones((0, 6)), labels[:8], np.ones(2)).shape == (0, 6)


def test_an_id_beyond_the_list_weighs_one() -> None:
    labels = np.array([[0, 255]], np.uint8)
    adjusted = apply_class_weights(np.array([[0.3, 0.3]]), labels, np.array([2.0]))
    np.testing.assert_array_equal(adjusted, [[0.6, 0.3]])


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.zeros((4, 4)), "labels must be .* integers, got .* float64"),
        (np.zeros((4, 4, 3), np.uint8), "labels must be"),
        (np.full((4, 4), -1), "labels must be 0 or more, got -1"),
        (np.zeros((5, 4), np.uint8), "does not fit an image of 5x4"),
    ],
)
def test_wrong_labels_are_named(labels: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        apply_class_weights(np.ones((4, 4)), labels, np.ones(2))
    with pytest.raises(ValueError, match=words):
        IntervalCalibration(2).update(np.ones((4, 4)), labels)


def by_definition(values: np.ndarray, n: int, quantile: float) -> int:
    """The smallest i with share(D >= 1 - (i + 1) / n) > quantile, as it is written."""
    return next(
        i for i in range(n) if np.count_nonzero(values >= 1 - (i + 1) / n) / values.size > quantile
    )


@pytest.mark.parametrize("n", [3, 7, 10, 20, 49])
@pytest.mark.parametrize("nudge", [0.0, -1.0, 1.0])
def test_a_value_on_a_bound_or_a_float_beside_it(n: int, nudge: float) -> None:
    bounds = [1 - (i + 1) / n for i in range(n)] + [1 - np.float64(i) / n for i in range(n)]
    for bound in bounds:
        value = np.clip(np.nextafter(bound, bound + nudge), 0.0, 1.0)
        calibration = IntervalCalibration(1, intervals=n)
        calibration.update(np.array([[value]]), np.zeros((1, 1), np.uint8))
        assert calibration.intervals() == [by_definition(np.array([value]), n, 0.85)]


def test_the_share_must_be_exceeded() -> None:
    """85 of 100 pixels in interval 2 are not enough; 86 are."""
    for high, expected in ((85, 7), (86, 2)):
        D = np.r_[np.full(high, 0.87), np.full(100 - high, 0.61)][None]
        calibration = IntervalCalibration(1)
        calibration.update(D, np.zeros(D.shape, np.uint8))
        assert calibration.intervals() == [expected]


def test_a_uniform_similarity() -> None:
    """D even on [0, 1]: share(D >= 1 - (i + 1) / 20) = (i + 1) / 20 > 0.82 first at i = 16."""
    D = ((np.arange(10_000) + 0.5) / 10_000).reshape(100, 100)
    calibration = IntervalCalibration(1, quantile=0.82)
    calibration.update(D, np.zeros(D.shape, np.uint8))
    assert calibration.counts.tolist() == [[500] * 20]
    assert calibration.intervals() == [16]


def test_image_after_image_equals_all_at_once() -> None:
    rng = np.random.default_rng(1)
    images = [(rng.beta(6, 2, (30, 40)), rng.integers(0, 4, (30, 40))) for _ in range(5)]
    calibration = IntervalCalibration(6, intervals=13, quantile=0.6)
    for D, labels in images:
        calibration.update(D, np.pad(labels, 5))
    D, labels = (np.concatenate(x) for x in zip(*images, strict=True))
    expected = [by_definition(D[labels == k], 13, 0.6) for k in range(4)]
    assert calibration.intervals() == [*expected, None, None]
    assert calibration.counts.shape == (6, 13)
    assert calibration.counts.sum(axis=1).tolist() == [*np.bincount(labels.ravel()), 0, 0]


def test_ids_beyond_the_classes_are_not_counted() -> None:
    calibration = IntervalCalibration(1)
    calibration.update(np.array([[0.99, 0.1]]), np.array([[0, 255]], np.uint8))
    assert calibration.counts.sum() == 1 and calibration.intervals() == [0]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: IntervalCalibration(0), "must be at least 1"),
        (lambda: IntervalCalibration(3, intervals=0), "must be at least 1"),
        (lambda: IntervalCalibration(3, quantile=1.0), "quantile must be .* below 1, got 1.0"),
        (
            lambda: IntervalCalibration(1).update(np.full((1, 1), np.nan), np.zeros((1, 1), int)),
            "negative or NaN",
        ),
    ],
)
def test_mistakes_are_named(call, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call()
