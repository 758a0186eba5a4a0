"""Outlines against the masks that they came from, filled again by skimage and OpenCV."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy import ndimage
from skimage.draw import polygon2mask

from desra.io.outlines import along_pixels, through_centres

RNG = np.random.default_rng(7)


def blobs(seed: int, shape: tuple[int, int] = (47, 63), sigma: float = 1.5) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=shape)
    smooth = ndimage.gaussian_filter(noise, sigma)
    return smooth > 0.5 * smooth.std()


RING = np.pad(np.pad(np.zeros((3, 4), bool), 2, constant_values=True), 2)
RINGS = np.pad(np.pad(RING, 2, constant_values=True), 1)  # one in the hole of the other
SIEVE = np.ones((15, 15), bool)
SIEVE[3::4, 3::4] = False
TOUCHING = np.eye(6, dtype=bool) | np.eye(6, dtype=bool)[::-1]
PINCHED = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 0]], bool)  # the hole is open by a corner
MASKS = {
    "blobs": blobs(0),
    "their ground": ~blobs(1),
    "noise": RNG.random((23, 31)) < 0.5,
    "ring": RING,
    "rings": RINGS,
    "sieve": SIEVE,
    "touching": TOUCHING,
    "pinched": PINCHED,
    "all": np.ones((4, 7), bool),
    "none": np.zeros((4, 7), bool),
    "a pixel": np.eye(1, 5, dtype=bool),
    "a line": np.ones((1, 9), bool),
    "a diagonal": np.eye(9, dtype=bool),
}


@pytest.mark.parametrize("name", MASKS)
def test_polygons_along_pixels_are_exact(name: str) -> None:
    """No pixel is lost, none is in two polygons, and none is cut: the points are whole numbers."""
    mask = MASKS[name]
    times = np.zeros(mask.shape, int)
    for points in along_pixels(mask):
        assert points.dtype == np.int64
        times += polygon2mask(mask.shape, points[:, ::-1] - 0.5)
    np.testing.assert_array_equal(times, mask)


def test_polygons_along_pixels_have_corners_only() -> None:
    (points,) = along_pixels(MASKS["all"])
    assert points.tolist() == [[0, 0], [7, 0], [7, 4], [0, 4]]


@pytest.mark.parametrize("name", MASKS)
def test_polygons_through_centres_are_exact_without_tolerance(name: str) -> None:
    mask = MASKS[name]
    filled = np.zeros(mask.shape, np.uint8)
    for points in through_centres(mask, 0):
        assert len(points) >= 3
        cv2.fillPoly(filled, [points.astype(np.int32)], 1)
    np.testing.assert_array_equal(filled > 0, mask)


@pytest.mark.parametrize("seed", range(4))
def test_simple_polygons_follow_the_mask_to_a_pixel(seed: int) -> None:
    """Of regions as detect makes them: some hundred pixels and more."""
    mask = blobs(seed, (300, 400), 9)
    filled, points_of = np.zeros(mask.shape, np.uint8), 0
    exact = sum(map(len, through_centres(mask, 0)))
    for points in through_centres(mask, 0.75):
        cv2.fillPoly(filled, [points.astype(np.int32)], 1)
        points_of += len(points)
    differ = (filled > 0) ^ mask
    edge = ndimage.distance_transform_edt(mask) + ndimage.distance_transform_edt(~mask)
    assert edge[differ].max() < 2 and points_of < 0.5 * exact
    assert (mask & (filled > 0)).sum() / (mask | (filled > 0)).sum() > 0.95
