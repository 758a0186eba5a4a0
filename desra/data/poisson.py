"""Draw Poisson counts for an 8-bit image, exactly, several times faster than numpy's sampler.

An 8-bit image has 256 means at most, so the inverse of each cumulative distribution fits a table
(the guide-table method: Chen and Asau, "On generating random variates from an empirical
distribution", 1974). 16 random bits choose a cell of the table; only where the count changes
inside a cell are 32 more compared with the distribution itself.
"""

from functools import lru_cache

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.special import pdtr

_CELLS = 2048  # of [0, 1), a power of 2 up to 2^16
_SHIFT = 16 - (_CELLS.bit_length() - 1)


@lru_cache(maxsize=9)
def _tables(count: int) -> tuple[NDArray[np.int16], NDArray[np.bool_], NDArray[np.float64]]:
    """Return the tables of each grey level (row): the count at each cell's start, whether it
    changes inside the cell, and P(X <= k) for each k."""
    mean = np.arange(256)[:, None] / 255 * count
    most = count + 12 * int(np.sqrt(count)) + 20  # beyond 2^-48 for a mean of count
    below = pdtr(np.arange(most + 1), mean)
    below[:, -1] = 1.0
    edges = np.arange(_CELLS + 1) / _CELLS
    edges[0] = 2.0**-48  # skips counts that never occur
    # The count of u is the smallest k with u < P(X <= k).
    at = np.stack([np.searchsorted(row, edges, side="right") for row in below])
    start = np.minimum(at[:, :-1], most).astype(np.int16)
    return start, at[:, 1:] != at[:, :-1], below


def poisson_counts(levels: NDArray[np.uint8], count: int, rng: Generator) -> NDArray[np.float32]:
    """Draw independent Poisson counts with means ``levels / 255 * count``.

    Args:
        levels: uint8, any shape.
        count: mean of level 255, at most 256.
        rng: the random generator.

    Returns:
        Whole numbers, float32, of the same shape.
    """
    start, changes, below = _tables(count)
    bits = rng.integers(0, 1 << 16, levels.size, dtype=np.uint16)
    row = levels.ravel()
    place = row.astype(np.int32) * _CELLS + (bits >> _SHIFT)
    counts = start.ravel()[place]
    open_ = np.flatnonzero(changes.ravel()[place])
    u = (bits[open_] + rng.random(open_.size)) / (1 << 16)
    while open_.size:
        later = u >= below[row[open_], counts[open_]]
        open_, u = open_[later], u[later]
        counts[open_] += 1
    return counts.astype(np.float32).reshape(levels.shape)


def numpy_poisson_counts(
    levels: NDArray[np.uint8], count: int, rng: Generator
) -> NDArray[np.float32]:
    """Draw the same by numpy's sampler, with its stream of random numbers.

    The embedded pictures were made with it, and must stay the same.
    """
    means = levels.astype(np.float32) / np.float32(255) * np.float32(count)
    return rng.poisson(means).astype(np.float32)
