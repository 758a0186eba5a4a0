"""Against SciPy's bootstrap, and against drawing images one by one."""

from __future__ import annotations

import doctest
import math

import numpy as np
import pytest
from scipy import stats

from desra.metrics import bootstrap as module
from desra.metrics.bootstrap import intervals
from desra.metrics.quality import SquaredError


def test_a_mean_as_scipy_has_it():
    values = np.random.default_rng(0).gamma(2.0, size=25)
    rows = np.column_stack([values, np.ones(25)])
    found = intervals(rows, lambda total: {"mean": total[0] / total[1]}, 20_000)["mean"]
    expected = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert found is not None
    width = expected.high - expected.low
    assert found == pytest.approx([expected.low, expected.high], abs=0.03 * width)
    assert found[0] < values.mean() < found[1]


def test_a_ratio_of_sums_as_a_loop_has_it():
    rng = np.random.default_rng(2)
    before = rng.integers(0, 9, 12)
    removed = rng.binomial(before, 0.6)
    rows = np.column_stack([removed, before]).astype(float)
    found = intervals(rows, lambda total: {"rate": total[0] / total[1]}, 8000)["rate"]
    drawn = []
    for _ in range(8000):
        images = rng.integers(0, 12, 12)
        drawn.append(sum(removed[i] for i in images) / sum(before[i] for i in images))
    expected = np.percentile(drawn, [2.5, 97.5])
    assert found == pytest.approx(expected.tolist(), abs=0.015)
    assert expected[1] - expected[0] > 0.1
    # The mean of the images' own rates is something else.
    rates = [r / b for r, b in zip(removed, before, strict=True) if b]
    assert abs(np.mean(rates) - removed.sum() / before.sum()) > 0.005


def test_the_seed_decides():
    rows = np.random.default_rng(3).random((9, 1))

    def once(seed: int) -> object:
        return intervals(rows, lambda total: {"sum": float(total[0])}, 200, seed)

    assert once(4) == once(4) != once(5)


def test_one_image_says_nothing_and_equal_ones_have_no_width():
    def mean(total: np.ndarray) -> dict[str, float | None]:
        return {"mean": total[0] / total[1]}

    assert intervals(np.array([[3.0, 1.0]]), mean) == {"mean": None}
    assert intervals(np.array([[3.0, 1.0]] * 2), mean) == {"mean": [3.0, 3.0]}


def test_draws_without_a_value_have_no_part():
    """One image of three has regions: a third of the draws is 0/0, all others are 1/2."""
    rows = np.array([[1.0, 2.0], [0, 0], [0, 0]])

    def rate(total: np.ndarray) -> dict[str, float | None]:
        return {"rate": total[0] / total[1] if total[1] else None, "never": None}

    assert intervals(rows, rate, 500) == {"rate": [0.5, 0.5], "never": None}


@pytest.mark.parametrize(("errors", "defined"), [([0, 0, 0, 5], False), ([0, 2, 5, 5] * 4, True)])
def test_an_infinite_end_is_none(errors: list[int], defined: bool):
    """Drawn without any error (0.75^4 of the draws here, against 16^-16) a PSNR is infinite."""
    rows = np.array([[e, 1] for e in errors], float)
    found = intervals(rows, lambda row: {"psnr": SquaredError(row[0], int(row[1])).psnr})["psnr"]
    assert (found is not None) == defined
    assert found is None or all(map(math.isfinite, found))


def test_examples():
    result = doctest.testmod(module)
    assert result.attempted >= 2 and result.failed == 0
