"""Closed forms and brute force against each measure."""

import math

import numpy as np
import pytest
from skimage import data
from skimage.filters import gaussian
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from desra.artifacts import WindowSpec
from desra.metrics.quality import (
    Detail,
    Mean,
    SquaredError,
    consistency,
    detail,
    niqe,
    psnr,
    squared_error,
    ssim,
)

RNG = np.random.default_rng(0)
A = RNG.integers(0, 256, (24, 31, 3), dtype=np.uint8)
B = RNG.integers(0, 256, (24, 31, 3), dtype=np.uint8)
WHERE = RNG.random((24, 31)) < 0.3
NOWHERE = np.zeros((24, 31), bool)
PHOTO = data.astronaut()


def gaussian_window() -> np.ndarray:
    x = np.arange(-5, 6)
    one = np.exp(-(x**2) / (2 * 1.5**2))
    return np.outer(one, one) / one.sum() ** 2


def brute_force_moments(a: np.ndarray, b: np.ndarray):
    """Per whole window and channel: means, variances and covariance, in (h - 10, w - 10, c)."""
    weight = gaussian_window()[..., None]
    shape = (a.shape[0] - 10, a.shape[1] - 10, 3)
    out = np.empty((5, *shape))
    for i in range(shape[0]):
        for j in range(shape[1]):
            x = a[i : i + 11, j : j + 11].astype(float)
            y = b[i : i + 11, j : j + 11].astype(float)
            mx, my = (weight * x).sum((0, 1)), (weight * y).sum((0, 1))
            out[:, i, j] = (
                mx,
                my,
                (weight * (x - mx) ** 2).sum((0, 1)),
                (weight * (y - my) ** 2).sum((0, 1)),
                (weight * (x - mx) * (y - my)).sum((0, 1)),
            )
    return out


MOMENTS = brute_force_moments(A, B)


# ------------------------------------------------------------------------------------------ PSNR


def test_psnr_of_a_constant_difference_has_a_closed_form():
    a = np.full((5, 7, 3), 100, np.uint8)
    assert psnr(a, a + np.uint8(10)) == pytest.approx(10 * math.log10(255**2 / 100))
    assert psnr(a + np.uint8(10), a) == psnr(a, a + np.uint8(10))  # no wrap-around below 0
    black, white = np.zeros_like(a), np.full_like(a, 255)
    assert psnr(black, white) == pytest.approx(0)
    assert psnr(a, a) == math.inf


def test_psnr_is_that_of_scikit_image():
    assert psnr(A, B) == pytest.approx(peak_signal_noise_ratio(A, B))


def test_psnr_counts_the_masked_pixels_alone():
    pixels = [
        (int(A[i, j, c]) - int(B[i, j, c])) ** 2
        for i, j in zip(*np.nonzero(WHERE), strict=True)
        for c in range(3)
    ]
    assert squared_error(A, B, WHERE) == SquaredError(sum(pixels), len(pixels))
    b = np.where(WHERE[..., None], A, B)
    assert psnr(A, b, WHERE) == math.inf
    assert psnr(A, b, ~WHERE) == pytest.approx(psnr(A, B, ~WHERE))
    assert psnr(A, B, NOWHERE) is None


def test_squared_errors_pool_before_the_division():
    parts = squared_error(A, B, WHERE) + squared_error(A, B, ~WHERE)
    assert parts == squared_error(A, B)
    assert parts.psnr == psnr(A, B)


# ------------------------------------------------------------------------------------------ SSIM


def test_ssim_is_the_formula_over_whole_windows():
    mx, my, vx, vy, cov = MOMENTS
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    expected = (2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    assert ssim(A, B) == pytest.approx(expected.mean(), abs=1e-9)
    assert ssim(A, B, WHERE) == pytest.approx(expected[WHERE[5:-5, 5:-5]].mean(), abs=1e-9)


def test_ssim_without_a_mask_is_that_of_scikit_image():
    expected = structural_similarity(
        A, B, data_range=255, channel_axis=2, gaussian_weights=True, use_sample_covariance=False
    )
    assert ssim(A, B) == pytest.approx(expected)
    assert ssim(A, A, WHERE) == pytest.approx(1)


def test_ssim_without_a_window_is_not_defined():
    border = np.ones((24, 31), bool)
    border[5:-5, 5:-5] = False
    assert ssim(A, B, border) is None
    assert ssim(A[:10], B[:10]) is None
    assert ssim(A[:11], B[:11]) is not None


# ---------------------------------------------------------------------------------------- detail


@pytest.mark.parametrize("where", [None, WHERE])
def test_detail_is_the_sum_of_local_standard_deviations(where):
    _, _, before, after, _ = (m if where is None else m[where[5:-5, 5:-5]] for m in MOMENTS)
    epsilon = WindowSpec().epsilon
    expected = [np.sqrt(v + epsilon).sum() for v in (before, after)]
    found = detail(A, B, where)
    assert [found.before, found.after] == pytest.approx(expected)
    assert detail(A, B, where).kept == pytest.approx(expected[1] / expected[0])


def test_detail_kept_is_the_contrast():
    a = A // 4 * 4
    half = (a.astype(int) // 2 + 60).astype(np.uint8)
    assert detail(a, half).kept == pytest.approx(0.5, abs=1e-6)
    assert detail(half, a).kept == pytest.approx(2, abs=1e-6)
    flat = np.full_like(a, 7)
    assert detail(a, flat).kept == pytest.approx(0, abs=1e-4)
    assert detail(flat, flat).kept == 1


def test_detail_without_a_window_is_not_defined():
    assert detail(A, B, NOWHERE).kept is None
    assert detail(A[:10], B[:10], WHERE[:10]).kept is None
    assert detail(A[:10], B[:10]).kept is None


def test_detail_pools_before_the_division():
    assert (Detail(10, 5) + Detail(30, 30)).kept == 35 / 40


# ----------------------------------------------------------------------------------- consistency


def test_consistency_averages_each_lr_pixels_area():
    lq = RNG.integers(0, 250, (6, 9, 3), dtype=np.uint8)
    sr = lq.repeat(4, axis=0).repeat(4, axis=1)
    assert consistency(lq, sr) == math.inf
    sr[::2] += 4  # half of the rows: the average rises by 2
    assert consistency(lq, sr) == pytest.approx(10 * math.log10(255**2 / 4))


@pytest.mark.parametrize("size", [(24, 35, 3), (12, 36, 3), (3, 4, 3)])
def test_consistency_wants_a_whole_factor(size):
    with pytest.raises(ValueError, match="no whole multiple"):
        consistency(np.zeros((6, 9, 3), np.uint8), np.zeros(size, np.uint8))


# ------------------------------------------------------------------------------------------ NIQE


def test_niqe_rises_with_noise_and_with_blur():
    blurred = np.asarray(gaussian(PHOTO, 2, channel_axis=2, preserve_range=True), np.uint8)
    noisy = np.clip(PHOTO + RNG.normal(0, 25, PHOTO.shape), 0, 255).astype(np.uint8)
    clean, blur, noise = (niqe(image) for image in (PHOTO, blurred, noisy))
    assert clean is not None and blur is not None and noise is not None
    assert 2 < clean < 5 < 6 < min(blur, noise)


def test_niqe_looks_at_luma_in_the_right_order_of_channels():
    # Luma weighs red 0.257 and blue 0.098: noise in the one must tell more than in the other.
    noise = RNG.normal(0, 40, PHOTO.shape[:2])
    scores = []
    for channel in (0, 2):
        image = PHOTO.astype(float)
        image[..., channel] += noise
        scores.append(niqe(np.clip(image, 0, 255).astype(np.uint8)))
    assert scores[0] > scores[1] + 1


def test_niqe_of_what_it_cannot_judge_is_not_defined():
    assert niqe(PHOTO[:96, :191]) is None  # one block
    assert niqe(PHOTO[:95]) is None
    assert niqe(np.full((192, 192, 3), 90, np.uint8)) is None
    assert niqe(PHOTO[:96, :192]) is not None


# ---------------------------------------------------------------------------------- sums, errors


def test_a_mean_leaves_out_what_is_not_defined():
    values = [Mean.of(v) for v in (1.0, None, math.inf, 4.0)]
    assert sum(values, start=Mean()) == Mean(5.0, 2)
    assert Mean(5.0, 2).value == 2.5
    assert Mean().value is None


@pytest.mark.parametrize("measure", [psnr, ssim, detail])
@pytest.mark.parametrize(
    ("a", "b", "where", "message"),
    [
        (A, B[1:], None, "same size"),
        (A / 255, B, None, "uint8"),
        (A[..., 0], B[..., 0], None, "uint8"),
        (A, B, WHERE[1:], "a mask must be bool"),
        (A, B, WHERE.astype(np.uint8), "a mask must be bool"),
    ],
)
def test_wrong_arrays_are_refused(measure, a, b, where, message):
    with pytest.raises(ValueError, match=message):
        measure(a, b, where)
