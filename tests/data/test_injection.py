"""Injected artifacts lie where the truth says, are as strong as asked, and repeat by their seed."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data
from scipy import ndimage

from desra.artifacts import local_std
from desra.data.injection import KINDS, VISIBLE, inject, spot

PHOTOGRAPH = np.ascontiguousarray(skimage.data.astronaut()[100:260, 60:300])
DONOR = np.asarray(skimage.data.coffee())
GREY = np.full((120, 160, 3), 128, np.uint8)


def injected(kind: str, strength: float = 1.0, seed: int = 0, image: np.ndarray = PHOTOGRAPH):
    return inject(image, kind, strength, 0.1, np.random.default_rng(seed), DONOR)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_changes_far_from_the_spot(kind: str) -> None:
    made = injected(kind)
    assert made.image.dtype == np.uint8 and made.image.shape == PHOTOGRAPH.shape
    assert made.truth.any() and not made.truth.all()
    far = ndimage.distance_transform_edt(~made.truth) > 8
    np.testing.assert_array_equal(made.image[far], PHOTOGRAPH[far])
    difference = made.image[made.truth].astype(float) - PHOTOGRAPH[made.truth]
    assert made.change == pytest.approx(np.sqrt((difference**2).mean()))
    assert made.change >= VISIBLE


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_same_artifact_and_stronger_changes_more(kind: str) -> None:
    weak, strong = injected(kind, 0.3), injected(kind, 1.0)
    np.testing.assert_array_equal(injected(kind).image, strong.image)
    assert not np.array_equal(injected(kind, seed=1).truth, strong.truth)
    assert weak.change < strong.change


@pytest.mark.parametrize("area", [0.01, 0.05, 0.2])
@pytest.mark.parametrize("shape", [(200, 300), (300, 120)])
def test_a_spot_has_its_area_in_one_piece_inside(area: float, shape: tuple[int, int]) -> None:
    for seed in range(10):
        alpha = spot(shape, area, np.random.default_rng(seed))
        inside = alpha >= 0.5
        assert ndimage.label(inside)[1] == 1
        assert alpha.min() == 0.0 and alpha.max() <= 1.0
        # A large spot is made rounder, hence smaller, where the image is too narrow for it.
        assert 0.6 * area < inside.mean() < 1.3 * area


def test_amplitudes_by_closed_form_on_gray() -> None:
    deep = ndimage.binary_erosion(
        (made := injected("checkerboard", 0.5, image=GREY)).truth, iterations=5
    )
    assert set(np.unique(made.image[deep])) == {118, 138}  # 128 -+ 20 x 0.5
    made = injected("stripes", 1.0, image=GREY)
    deep = ndimage.binary_erosion(made.truth, iterations=5)
    levels = made.image[deep].astype(float) - 128
    assert np.abs(levels).max() == 24
    assert levels.std() == pytest.approx(24 / np.sqrt(2), rel=0.1)


def test_each_kind_does_what_its_name_says() -> None:
    def inside(kind: str, measure) -> tuple[float, float]:
        made = injected(kind, image=PHOTOGRAPH)
        deep = ndimage.binary_erosion(made.truth, iterations=9)
        return measure(PHOTOGRAPH)[deep].mean(), measure(made.image)[deep].mean()

    def texture(image: np.ndarray) -> np.ndarray:
        return np.pad(local_std(image).mean(axis=2), 5)

    def luma(image: np.ndarray) -> np.ndarray:
        return image @ np.array([0.299, 0.587, 0.114])

    before, after = inside("smoothing", texture)
    assert after < 0.5 * before
    for kind in ("noise", "stripes", "checkerboard", "ringing"):
        before, after = inside(kind, texture)
        assert after > before, kind
    made = injected("colour_bleed", 0.4, image=GREY)
    deep = ndimage.binary_erosion(made.truth, iterations=9)
    assert np.abs(luma(made.image)[deep] - 128).max() <= 1  # rounding
    assert np.ptp(made.image[deep].mean(axis=0)) > 4
    warped = injected("warp", image=GREY)
    np.testing.assert_array_equal(warped.image, GREY)  # there is nothing to bend
    foreign = injected("foreign_texture", image=GREY)
    assert np.ptp(foreign.image[foreign.truth]) > 20  # of the donor


def test_what_cannot_be_seen_says_so() -> None:
    assert injected("smoothing", image=GREY).change == 0.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "scratch"}, "kind must be one of checkerboard"),
        ({"strength": 0.0}, "strength must be in"),
        ({"area": 0.3}, "area in"),
        ({"kind": "foreign_texture", "donor": None}, "needs a donor"),
    ],
)
def test_errors(change: dict, message: str) -> None:
    given = {"kind": "noise", "strength": 1.0, "area": 0.1, "donor": DONOR} | change
    with pytest.raises(ValueError, match=message):
        inject(PHOTOGRAPH, rng=np.random.default_rng(0), **given)


def test_a_small_donor_is_mirrored() -> None:
    made = inject(
        PHOTOGRAPH, "foreign_texture", 1.0, 0.1, np.random.default_rng(0), DONOR[:40, :30]
    )
    assert made.change >= VISIBLE
