"""The mask rule against a plain SciPy implementation with a loop over labels."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from desra.artifacts import MaskRule, artifact_mask, fill_holes, find_regions, full_size_mask


def naive_mask(D: np.ndarray, rule: MaskRule) -> np.ndarray:
    mask = np.less(D, rule.threshold)
    square = np.ones((rule.kernel, rule.kernel), bool)
    for _ in range(rule.erode):  # outside the image counts as inside the mask for erosion
        mask = ndimage.binary_erosion(mask, square, border_value=1)
    for _ in range(rule.dilate):
        mask = ndimage.binary_dilation(mask, square)
    mask = ndimage.binary_fill_holes(mask, np.ones((3, 3)))
    labels, n = ndimage.label(mask, np.ones((3, 3)))
    out = np.zeros_like(mask)
    for label in range(1, n + 1):
        if (labels == label).sum() > rule.min_area:
            out[labels == label] = True
    return out


def blobs(seed: int, shape: tuple[int, int] = (90, 120), smooth: float = 2.5) -> np.ndarray:
    """A smooth random map in [0, 1] with rings, specks and holes at every threshold."""
    field = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), smooth)
    return (field - field.min()) / (field.max() - field.min())


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "rule",
    [
        MaskRule(threshold=0.4, min_area=300),
        MaskRule(threshold=0.5, min_area=0, dilate=1),
        MaskRule(threshold=0.45, kernel=3, erode=2, dilate=2, min_area=50),
        MaskRule(threshold=0.6, erode=0, dilate=0, min_area=100),
        MaskRule(threshold=0.5, kernel=1, min_area=10),
    ],
)
def test_equals_the_naive_rule(seed: int, rule: MaskRule) -> None:
    D = blobs(seed)
    expected = naive_mask(D, rule)
    assert expected.any() and not expected.all()
    mask = artifact_mask(D, rule)
    assert mask.dtype == np.bool_
    np.testing.assert_array_equal(mask, expected)


def test_defaults_are_the_papers() -> None:
    assert MaskRule() == MaskRule(threshold=0.7, kernel=5, erode=1, dilate=3, min_area=4000)
    D = blobs(9, (300, 300), 12)
    np.testing.assert_array_equal(artifact_mask(D), naive_mask(D, MaskRule()))


def test_the_threshold_is_strict() -> None:
    D = np.full((20, 20), 0.7)
    assert not artifact_mask(D, MaskRule(min_area=0)).any()
    assert artifact_mask(np.nextafter(D, 0), MaskRule(min_area=0)).all()


def test_the_area_is_strict() -> None:
    D = np.ones((30, 30))
    D[5:15, 5:15] = 0.0
    exact = {"erode": 0, "dilate": 0}
    assert artifact_mask(D, MaskRule(min_area=99, **exact)).sum() == 100
    assert artifact_mask(D, MaskRule(min_area=100, **exact)).sum() == 0


def test_diagonal_neighbours_are_one_region() -> None:
    D = np.ones((20, 20))
    D[2:6, 2:6] = 0.0
    D[6:10, 6:10] = 0.0
    assert artifact_mask(D, MaskRule(erode=0, dilate=0, min_area=20)).sum() == 32


def test_a_diagonal_gap_is_no_hole() -> None:
    ring = np.zeros((9, 9), bool)
    ring[2:7, 2:7] = True
    ring[3:6, 3:6] = False
    assert fill_holes(ring).sum() == 25
    ring[2, 2] = False  # the inside now touches the outside at a corner only
    assert ring.sum() == 15
    np.testing.assert_array_equal(fill_holes(ring), ring)


@pytest.mark.parametrize("seed", range(20))
def test_fill_holes_equals_scipy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random((40, 37)) < (0.5, 0.65, 0.8, 0.95)[seed % 4]
    before = mask.copy()
    expected = ndimage.binary_fill_holes(mask, np.ones((3, 3)))
    np.testing.assert_array_equal(fill_holes(mask), expected)
    np.testing.assert_array_equal(mask, before)


def test_border_is_given_back_as_clean() -> None:
    D = np.zeros((20, 30))
    mask = artifact_mask(D, MaskRule(min_area=0), border=5)
    assert mask.shape == (30, 40)
    assert mask.sum() == 600 and mask[5:-5, 5:-5].all()
    np.testing.assert_array_equal(full_size_mask(D, (30, 40, 3), MaskRule(min_area=0)), mask)


def test_without_elements() -> None:
    assert artifact_mask(np.ones((0, 30)), border=5).shape == (10, 40)
    tiny = full_size_mask(np.ones((0, 90)), (8, 100, 3))
    assert tiny.shape == (8, 100) and not tiny.any()


def test_regions() -> None:
    mask = np.zeros((6, 8), bool)
    mask[0, 0] = mask[1, 1] = mask[4, 2:7] = True
    found = find_regions(mask)
    assert found.count == 2
    assert sorted(found.areas[1:]) == [2, 5] and found.areas[0] == 48 - 7
    np.testing.assert_array_equal(found.labels > 0, mask)
    assert find_regions(np.zeros((0, 5), bool)).count == 0
    np.testing.assert_array_equal(find_regions(np.asfortranarray(mask)).labels, found.labels)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: artifact_mask(np.full((9, 9), np.nan)), "NaN"),
        (lambda: artifact_mask(np.ones((9, 9, 3))), r"D must be \(h, w\)"),
        (lambda: artifact_mask(np.ones((9, 9)), border=-1), "border must be 0 or more"),
        (lambda: full_size_mask(np.ones((9, 9)), (19, 20)), "does not fit an image of 19x20"),
        (lambda: find_regions(np.zeros((9, 9), np.uint8)), r"must be bool \(H, W\), got uint8"),
        (lambda: MaskRule(threshold=1.5), r"threshold must be in \[0, 1\], got 1.5"),
        (lambda: MaskRule(threshold=float("nan")), "threshold must be"),
        (lambda: MaskRule(kernel=4), "kernel must be odd"),
        (lambda: MaskRule(erode=-1), r"erode must be in \[0, 1000\]"),
        (lambda: MaskRule(dilate=-1), r"dilate must be in \[0, 1000\]"),
        (lambda: MaskRule(min_area=-1), "min_area must be 0 or more"),
    ],
)
def test_mistakes_are_named(call, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call()
