"""Masks as run lengths."""

from __future__ import annotations

import numpy as np
import pytest

from desra.io.rle import RLE
from helpers.drawn_masks import blobs


def test_runs_go_down_the_columns() -> None:
    mask = np.array([[0, 1, 0], [1, 1, 0]], bool)
    assert RLE.of(mask) == RLE((2, 3), (1, 3, 2))
    assert RLE.of(mask).area == 3
    assert RLE.of(~mask).counts == (0, 1, 3, 2)
    assert RLE.of(np.zeros((2, 2), bool)).counts == (4,)


@pytest.mark.parametrize(
    "mask", [blobs(0), ~blobs(1), np.ones((3, 4), bool), np.zeros((5, 1), bool), blobs(2).T]
)
def test_runs_lose_no_pixel(mask: np.ndarray) -> None:
    back = RLE.of(mask).mask()
    assert back.dtype == np.bool_
    np.testing.assert_array_equal(back, mask)


def test_runs_must_fill_the_size() -> None:
    for counts in ((1, 2), (5, -1)):
        with pytest.raises(ValueError, match="the runs cover"):
            RLE((2, 2), counts)
