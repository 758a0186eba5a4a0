"""Poisson counts: the distribution itself, and numpy's stream where that is asked for."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from desra.data.poisson import numpy_poisson_counts, poisson_counts


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("level", [1, 30, 100, 255])
@pytest.mark.parametrize("count", [1, 8, 256])
def test_counts_follow_the_poisson_distribution(level: int, count: int):
    """Chi-square over all counts that are expected ten times or more, the others in one class."""
    n = 200_000
    drawn = poisson_counts(np.full(n, level, np.uint8), count, rng(level)).astype(int)
    expected = n * stats.poisson.pmf(np.arange(drawn.max() + 1), level / 255 * count)
    seen, often = np.bincount(drawn), expected >= 10
    seen = [*seen[often], seen[~often].sum()]
    expected = [*expected[often], n - expected[often].sum()]
    assert stats.chisquare(seen, expected).pvalue > 1e-3


def test_variance_grows_with_the_level():
    """Mean and variance of each level are level / 255 * count, within five standard errors."""
    levels, n, count = np.arange(0, 256, 15), 20_000, 64
    drawn = poisson_counts(np.repeat(levels[:, None], n, 1).astype(np.uint8), count, rng())
    mean = levels / 255 * count
    assert (np.abs(drawn.mean(1) - mean) <= 5 * np.sqrt(mean / n)).all()
    error_of_var = np.sqrt((mean + 2 * mean**2) / n)  # the fourth moment is mean + 3 mean^2
    assert (np.abs(drawn.var(1) - mean) <= 5 * error_of_var).all()


def test_counts_are_independent_and_keep_their_places():
    image = np.zeros((3, 200, 300), np.uint8)
    image[1] = 128
    drawn = poisson_counts(image, 32, rng())
    assert drawn.dtype == np.float32 and drawn.shape == image.shape
    assert not drawn[0].any() and not drawn[2].any() and drawn[1].any()
    middle = drawn[1] - drawn[1].mean()
    assert abs((middle[:, 1:] * middle[:, :-1]).mean() / middle.var()) < 0.02
    assert np.array_equal(drawn, poisson_counts(image, 32, rng()))
    assert not np.array_equal(drawn, poisson_counts(image, 32, rng(1)))


def test_numpys_stream():
    levels = rng().integers(0, 256, (20, 30, 3), dtype=np.uint8)
    expected = rng(4).poisson(levels.astype(np.float32) / np.float32(255) * np.float32(64))
    np.testing.assert_array_equal(numpy_poisson_counts(levels, 64, rng(4)), expected)
