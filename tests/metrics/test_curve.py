from __future__ import annotations

import numpy as np
import pytest

from desra.metrics.curve import count_curve


def brute_average_precision(D: np.ndarray, truth: np.ndarray) -> float:
    """Mark D <= t for every t that occurs; add precision times what recall gains."""
    total, last = 0.0, 0.0
    for t in sorted(set(D.ravel())):
        marked = t >= D
        recall = (marked & truth).sum() / truth.sum()
        total += (recall - last) * (marked & truth).sum() / marked.sum()
        last = recall
    return total


@pytest.mark.parametrize("values", [5, 50, 10**9])
def test_average_precision_equals_brute_force(values: int) -> None:
    """With many equal values, some, and none."""
    rng = np.random.default_rng(values)
    D = rng.integers(0, values, (15, 20)) / values
    truth = rng.random((15, 20)) < 0.7 - 0.5 * D
    expected = brute_average_precision(D, truth)
    assert count_curve(D, truth).average_precision == pytest.approx(expected, abs=1e-12)
    assert truth.mean() + 0.02 < expected < 0.98


def test_a_curve_by_hand() -> None:
    D = np.array([[0.1, 0.2, 0.2, 0.9]])
    truth = np.array([[True, False, True, True]])
    counts = count_curve(D, truth)
    curve = counts.curve()
    assert curve is not None
    np.testing.assert_array_equal(curve.threshold, [0.1, 0.2, 0.9])
    np.testing.assert_array_equal(curve.precision, [1, 2 / 3, 3 / 4])
    np.testing.assert_array_equal(curve.recall, [1 / 3, 2 / 3, 1])
    expected = 1 / 3 + 1 / 3 * 2 / 3 + 1 / 3 * 3 / 4
    assert counts.average_precision == pytest.approx(expected, abs=1e-15)


def test_images_pool_exactly() -> None:
    rng = np.random.default_rng(3)
    maps = [np.round(rng.random((9, 11)), 2) for _ in range(3)]
    truths = [rng.random((9, 11)) < 0.4 for _ in range(3)]
    pairs = [count_curve(D, t) for D, t in zip(maps, truths, strict=True)]
    pooled = pairs[0] + pairs[1] + pairs[2]
    whole = count_curve(np.concatenate(maps), np.concatenate(truths))
    np.testing.assert_array_equal(pooled.values, whole.values)
    np.testing.assert_array_equal(pooled.artifact, whole.artifact)
    np.testing.assert_array_equal(pooled.clean, whole.clean)
    assert pooled.artifact.sum() + pooled.clean.sum() == 3 * 99


def test_levels_bound_the_values_and_hardly_move_the_score() -> None:
    rng = np.random.default_rng(4)
    D = rng.random((100, 100))
    truth = rng.random((100, 100)) < 1 - D
    exact, coarse = count_curve(D, truth), count_curve(D, truth, levels=1000)
    assert len(coarse.values) <= 1001 and len(exact.values) == 10_000
    assert exact.average_precision != coarse.average_precision
    assert exact.average_precision == pytest.approx(coarse.average_precision, abs=1e-3)


def test_a_truth_of_the_image_is_cropped_to_the_map() -> None:
    rng = np.random.default_rng(5)
    D, truth = rng.random((10, 12)), rng.random((20, 22)) < 0.5
    inner = truth[5:-5, 5:-5]
    assert count_curve(D, truth).average_precision == count_curve(D, inner).average_precision


def test_undefined_is_none() -> None:
    counts = count_curve(np.random.default_rng(6).random((4, 4)), np.zeros((4, 4), bool))
    assert counts.curve() is None and counts.average_precision is None
    assert count_curve(np.ones((0, 4)), np.zeros((0, 4), bool)).average_precision is None


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match="truth must be bool"):
        count_curve(np.ones((4, 4)), np.zeros((4, 4), np.uint8))
    with pytest.raises(ValueError, match="does not fit"):
        count_curve(np.ones((4, 4)), np.zeros((5, 5), bool))
    with pytest.raises(ValueError, match="NaN"):
        count_curve(np.full((4, 4), np.nan), np.zeros((4, 4), bool))
