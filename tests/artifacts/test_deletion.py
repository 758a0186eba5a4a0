"""Deletion against double loops, and what must hold whatever the picture."""

from __future__ import annotations

import math

import numpy as np
import pytest

from desra.artifacts import (
    DeletionSpec,
    bands,
    compose_pseudo_gt,
    delete_artifacts,
    deletion_weight,
    seam_step,
)


def blobs(seed: int, height: int, width: int, disks: int = 6) -> np.ndarray:
    """A mask of disks, some of which touch the border of the image."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    mask = np.zeros((height, width), np.bool_)
    for _ in range(disks):
        cy, cx = rng.integers(0, height), rng.integers(0, width)
        mask |= np.hypot(y - cy, x - cx) < rng.integers(2, 15)
    assert mask.any() and not mask.all()
    return mask


def images(seed: int, shape: tuple[int, ...], dtype: type = np.uint8) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype) for _ in range(2)]


def weights_of(mask: np.ndarray, spec: DeletionSpec) -> np.ndarray:
    """The definition, from the distances of each pixel to all that lie outside."""
    outside = np.argwhere(~mask)
    weights = np.zeros(mask.shape)
    for y, x in np.argwhere(mask):
        d = np.hypot(*(outside - (y, x)).T).min()
        t = min((d - 0.5) / spec.feather, 1.0) if spec.feather else 1.0
        weights[y, x] = spec.strength * t * t * (3 - 2 * t)
    return weights


@pytest.mark.parametrize("spec", [DeletionSpec(), DeletionSpec(0.6, 3.5), DeletionSpec(0.3, 0)])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_weight_is_its_definition(seed: int, spec: DeletionSpec):
    mask = blobs(seed, 34, 29)
    np.testing.assert_allclose(deletion_weight(mask, spec), weights_of(mask, spec), atol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [(), (1,), (3,)])
def test_the_result_is_the_weighted_mean_rounded_once(channels: tuple[int, ...], dtype: type):
    mask, spec = blobs(3, 40, 50), DeletionSpec(0.8, 5)
    mse, gan = images(0, (40, 50, *channels), dtype)
    result = delete_artifacts(mse, gan, mask, spec)
    assert result.dtype == dtype and result.shape == gan.shape
    w = weights_of(mask, spec).reshape(40, 50, *[1] * len(channels))
    exact = w * mse + (1 - w) * gan.astype(float)
    assert np.abs(result - exact).max() <= 0.5 + 1e-3
    np.testing.assert_array_equal(result[~mask], gan[~mask])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_whole_images_come_through_exactly(dtype: type):
    mask = blobs(4, 60, 70)
    mse, gan = images(1, (60, 70, 3), dtype)
    hard = delete_artifacts(mse, gan, mask, DeletionSpec(feather=0))
    np.testing.assert_array_equal(hard, compose_pseudo_gt(mse, gan, mask))
    soft = delete_artifacts(mse, gan, mask, DeletionSpec(feather=4))
    deep = weights_of(mask, DeletionSpec(1, 4)) == 1
    assert deep.any() and deep.sum() < mask.sum()
    np.testing.assert_array_equal(soft[deep], mse[deep])
    np.testing.assert_array_equal(delete_artifacts(mse, gan, mask, DeletionSpec(0.0)), gan)
    np.testing.assert_array_equal(delete_artifacts(gan, gan, mask), gan)
    everywhere = np.ones_like(mask)  # the image's border is no edge
    np.testing.assert_array_equal(delete_artifacts(mse, gan, everywhere), mse)
    np.testing.assert_array_equal(delete_artifacts(mse, gan, ~everywhere), gan)


def test_is_a_new_array():
    mse, gan = images(2, (20, 20, 3))
    before = gan.copy()
    delete_artifacts(mse, gan, np.zeros((20, 20), np.bool_))[:] = 7
    np.testing.assert_array_equal(gan, before)


@pytest.mark.parametrize("feather", [0, 1, 7.5, 40])
def test_rows_are_those_of_the_whole(feather: float):
    mask, spec = blobs(5, 120, 64), DeletionSpec(0.9, feather)
    mse, gan = images(3, (120, 64, 3))
    whole, weight = delete_artifacts(mse, gan, mask, spec), deletion_weight(mask, spec)
    for start, stop in ((0, 1), (0, 50), (13, 14), (30, 97), (100, 120), (119, 120)):
        rows = slice(start, stop)
        np.testing.assert_array_equal(deletion_weight(mask, spec, rows), weight[rows])
        np.testing.assert_array_equal(delete_artifacts(mse, gan, mask, spec, rows), whole[rows])


@pytest.mark.parametrize("height", [0, 1, 511, 512, 513, 1500])
def test_bands_are_all_rows_once(height: int):
    parts = list(bands(height))
    assert [row for rows in parts for row in range(height)[rows]] == list(range(height))
    assert all(0 < rows.stop - rows.start <= 512 for rows in parts)


# ------------------------------------------------------------------------------------- the seam


def step_at(image: np.ndarray, mask: np.ndarray, y: int, x: int) -> np.ndarray:
    """Mean colour inside minus outside, weighted by a Gaussian around a pixel."""
    v, u = np.mgrid[: mask.shape[0], : mask.shape[1]]
    near = np.exp(-((v - y) ** 2 + (u - x) ** 2) / (2 * 8.0**2))
    near *= (abs(v - y) <= 32) & (abs(u - x) <= 32)
    inside, outside = near * mask, near * ~mask
    return (
        np.einsum("yx,yxc->c", inside, image) / inside.sum()
        - np.einsum("yx,yxc->c", outside, image) / outside.sum()
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_seam_is_the_step_that_deletion_adds(dtype: type):
    mask, spec = blobs(6, 50, 60), DeletionSpec(0.7, 3)
    mse, gan = images(4, (50, 60, 3), dtype)
    deleted = delete_artifacts(mse, gan, mask, spec)
    framed = np.pad(mask, 1, constant_values=True)
    outline = [(y, x) for y, x in np.argwhere(mask) if not framed[y : y + 3, x : x + 3].all()]
    added = [
        np.abs(step_at(deleted, mask, y, x) - step_at(gan, mask, y, x)).mean() for y, x in outline
    ]
    levels = 1 if dtype == np.uint8 else 257
    expected = np.mean(added) / levels
    assert expected > 1
    assert seam_step(mse, gan, mask, spec) == pytest.approx(expected, abs=1e-4)


def test_a_shift_in_colour_is_read_off():
    mask = blobs(7, 80, 90)
    mse, gan = np.full((80, 90, 3), 113, np.uint8), np.full((80, 90, 3), 100, np.uint8)
    for strength, step in ((1, 13), (6 / 13, 6), (0, 0)):
        hard = DeletionSpec(strength, feather=0)
        assert seam_step(mse, gan, mask, hard) == pytest.approx(step, abs=1e-4)
    soft = [seam_step(mse, gan, mask, DeletionSpec(feather=f)) or 0.0 for f in (0, 4, 8, 16)]
    assert soft == sorted(soft, reverse=True) and soft[-1] < 4


def test_the_seam_of_a_large_image_is_that_of_its_parts(monkeypatch: pytest.MonkeyPatch):
    mask = blobs(8, 150, 40, disks=12)
    mse, gan = images(5, (150, 40, 3))
    whole = seam_step(mse, gan, mask)
    monkeypatch.setattr("desra.artifacts.row_bands._ROWS", 17)
    assert len(list(bands(150))) == 9
    assert seam_step(mse, gan, mask) == pytest.approx(whole, rel=1e-6)


@pytest.mark.parametrize("value", [False, True])
def test_a_mask_without_outline_has_no_seam(value: bool):
    mse, gan = images(6, (20, 20, 3))
    assert seam_step(mse, gan, np.full((20, 20), value)) is None


# ------------------------------------------------------------------------------------ what is wrong


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"mask": np.zeros((9, 8), np.bool_)}, "mask must be bool of the image's size"),
        ({"mask": np.zeros((8, 8), np.uint8)}, "mask must be bool of the image's size"),
        ({"sr_mse": np.zeros((8, 9, 3), np.uint8)}, "same shape"),
        ({"sr_mse": np.zeros((8, 8, 3), np.uint16)}, "same shape and dtype"),
    ],
)
def test_what_does_not_fit_is_said(changed: dict[str, np.ndarray], words: str):
    given = {
        "sr_mse": np.zeros((8, 8, 3), np.uint8),
        "sr_gan": np.zeros((8, 8, 3), np.uint8),
        "mask": np.zeros((8, 8), np.bool_),
    }
    for function in (delete_artifacts, seam_step):
        with pytest.raises(ValueError, match=words):
            function(**{**given, **changed})


def test_floats_are_refused():
    image = np.zeros((8, 8, 3), np.float32)
    with pytest.raises(ValueError, match="must be uint8 or uint16, got float32"):
        delete_artifacts(image, image, np.zeros((8, 8), np.bool_))


@pytest.mark.parametrize(
    "wrong",
    [
        {"strength": -0.1},
        {"strength": 1.1},
        {"feather": -1},
        {"strength": math.nan},
        {"feather": math.inf},
    ],
)
def test_values_out_of_range(wrong: dict[str, float]):
    with pytest.raises(ValueError, match=f"deletion {next(iter(wrong))} must be in"):
        DeletionSpec(**wrong)
