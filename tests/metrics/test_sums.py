"""What adds up, and the lists of numbers that a bootstrap draws from."""

from __future__ import annotations

import numpy as np
import pytest

from desra.metrics.curve import CurveCounts, count_curve
from desra.metrics.mask_scores import ChangeCounts
from desra.metrics.quality import SquaredError
from desra.metrics.sums import Count, Mean, Ratio, StrictMean, Sums


@pytest.mark.parametrize(
    "parts",
    [
        [Count(2), Count(3)],
        [Ratio(1, 2), Ratio(0, 5)],
        [Mean(2.5, 2), Mean(1, 1)],
        [StrictMean(2.5, 2, 0), StrictMean(0, 0, 1)],
        [SquaredError(10, 3), SquaredError(4, 1)],
        [ChangeCounts(*range(8)), ChangeCounts(*range(8, 16))],
    ],
    ids=lambda parts: type(parts[0]).__name__,
)
def test_lists_of_parts_add_up_to_that_of_the_total(parts: list[Sums]):
    total = sum(parts[1:], start=parts[0])
    lists = np.array([total.numbers_of(part) for part in parts])
    assert total.from_numbers(lists.sum(axis=0).tolist()) == total
    assert type(total) is type(parts[0])


def test_lists_of_curves_lie_on_the_values_of_all():
    rng = np.random.default_rng(0)
    maps = [rng.integers(0, 6, (5, 7)) / 5, rng.integers(2, 9, (4, 4)) / 8]
    parts = [count_curve(D, D < 0.4) for D in maps] + [CurveCounts.none()]
    total = sum(parts[1:], start=parts[0])
    lists = np.array([total.numbers_of(part) for part in parts])
    assert lists.shape == (3, 2 * len(total.values)) and not lists[2].any()
    again = total.from_numbers(lists.sum(axis=0).tolist())
    assert again.average_precision == total.average_precision
    # Drawn without the first image, its values do not occur.
    second = total.from_numbers(lists[1].tolist())
    np.testing.assert_array_equal(second.values, parts[1].values)
    assert second.average_precision == parts[1].average_precision
    assert CurveCounts.none().average_precision is None


def test_without_a_whole_nothing_is_defined():
    assert (
        Ratio().value is Mean().value is Mean.of(None).value is Mean.of(float("inf")).value is None
    )
    assert (Ratio(1, 4).value, Mean(3, 2).value, Count(4).value) == (0.25, 1.5, 4)
    assert StrictMean(3, 2).value == 1.5 and StrictMean(3, 2, 1).value is None
