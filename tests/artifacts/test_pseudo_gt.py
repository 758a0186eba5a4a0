from __future__ import annotations

import numpy as np
import pytest

from desra.artifacts import compose_pseudo_gt


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("shape", [(5, 7, 3), (5, 7, 4), (5, 7)])
def test_is_equation_10(shape: tuple[int, ...], dtype: type) -> None:
    rng = np.random.default_rng(0)
    mse = rng.integers(0, 256, shape).astype(dtype)
    gan = rng.integers(0, 256, shape).astype(dtype)
    mask = rng.random((5, 7)) < 0.5
    y = compose_pseudo_gt(mse, gan, mask)
    assert y.dtype == dtype
    m = mask.reshape((5, 7) + (1,) * (len(shape) - 2)).astype(int)
    np.testing.assert_array_equal(y, m * mse + (1 - m) * gan)


def test_is_a_new_array() -> None:
    gan = np.zeros((4, 4, 3), np.uint8)
    y = compose_pseudo_gt(gan + 9, gan, np.zeros((4, 4), bool))
    y[:] = 7
    assert not gan.any()


@pytest.mark.parametrize(
    ("mse", "mask", "words"),
    [
        (np.zeros((4, 5, 3), np.uint8), np.zeros((4, 4), bool), "same shape and dtype"),
        (np.zeros((4, 4, 3), np.float32), np.zeros((4, 4), bool), "same shape and dtype"),
        (np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.uint8), "bool .* got uint8"),
        (np.zeros((4, 4, 3), np.uint8), np.zeros((3, 4), bool), r"size \(4, 4\)"),
    ],
)
def test_mistakes_are_named(mse: np.ndarray, mask: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        compose_pseudo_gt(mse, np.zeros((4, 4, 3), np.uint8), mask)
