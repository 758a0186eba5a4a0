"""Degradations: chance from the generator alone; kernels, noise and JPEG against closed forms."""

from __future__ import annotations

import io
import random

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from desra.data import degradations as d
from desra.options.degradation import Degradation

KINDS = [
    "iso",
    "aniso",
    "generalized_iso",
    "generalized_aniso",
    "plateau_iso",
    "plateau_aniso",
]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def photo(height: int = 48, width: int = 64) -> np.ndarray:
    y, x = np.mgrid[:height, :width].astype(np.float32)
    waves = [0.5 + 0.3 * np.sin(x / a) * np.cos(y / b) for a, b in ((3, 5), (7, 2), (4, 4))]
    noise = rng(9).standard_normal((height, width, 1), dtype=np.float32)
    return np.clip(np.stack(waves, -1) + 0.05 * noise, 0, 1).astype(np.float32)


def kernel(kind: str, seed: int = 0, side: int = 15, sinc: float = 0.0) -> np.ndarray:
    return d.blur_kernel(rng(seed), side, [kind], [1.0], sinc, (0.2, 3.0), (0.5, 4.0), (1.0, 2.0))


# ---------------------------------------------------------------------------------- kernels


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", [7, 13, 21])
def test_kernels_sum_to_one(kind: str, side: int):
    for seed in range(5):
        for sinc in (0.0, 1.0):
            made = kernel(kind, seed, side, sinc)
            assert made.shape == (side, side) and made.dtype == np.float32
            assert made.sum() == pytest.approx(1, abs=1e-5)
            np.testing.assert_allclose(made, made[::-1, ::-1], atol=1e-6)  # no shift


@pytest.mark.parametrize("kind", ["iso", "generalized_iso", "plateau_iso"])
def test_isotropic_kernels_are_symmetric(kind: str):
    for seed in range(5):
        made = kernel(kind, seed)
        np.testing.assert_allclose(made, made.T, atol=1e-7)
        np.testing.assert_allclose(made, made[::-1], atol=1e-7)


def test_the_isotropic_kernel_is_the_gaussian():
    made = d.blur_kernel(rng(), 11, ["iso"], [1.0], 0.0, (1.3, 1.3), (1, 1), (1, 1))
    r2 = np.add.outer(np.arange(-5, 6) ** 2, np.arange(-5, 6) ** 2)
    gaussian = np.exp(-r2 / (2 * 1.3**2))
    np.testing.assert_allclose(made, gaussian / gaussian.sum(), atol=1e-6)


def test_sinc_kernels_cut_at_their_frequency():
    """The response is 1 far below the lowest cutoff, and 0 beyond a cutoff of pi / 2."""
    made = d.sinc_kernel(rng(), 21, np.pi / 3)
    frequency = np.abs(np.fft.fft2(made, (64, 64)))
    assert frequency[0, 0] == pytest.approx(1, abs=1e-5)
    assert frequency[3, 3] == pytest.approx(1, abs=0.2)
    low = d.kernels.circular_lowpass_kernel(np.pi / 3, 21)
    assert np.abs(np.fft.fft2(low, (64, 64)))[32, 32] < 0.05


@pytest.mark.parametrize("kind", ["generalized", "plateau", ""])
def test_kernels_are_basicsrs_for_the_same_parameters(kind: str):
    made = d.blur_kernel(
        rng(), 15, [f"{kind}_iso".strip("_")], [1.0], 0, (1.7, 1.7), (1, 1), (1, 1)
    )
    shape = (15, 1.7, 1.7, 0.0)  # all shape parameters of 1
    oracle = {
        "generalized": lambda: d.kernels.bivariate_generalized_Gaussian(*shape, 1.0),
        "plateau": lambda: d.kernels.bivariate_plateau(*shape, 1.0),
        "": lambda: d.kernels.bivariate_Gaussian(*shape),
    }[kind]()
    np.testing.assert_allclose(made, oracle, atol=1e-8)


def correlation(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Written as the double sum over the kernel, in float64."""
    side, half = len(kernel), len(kernel) // 2
    padded = np.pad(image.astype(np.float64), [(half, half), (half, half), (0, 0)], mode="reflect")
    height, width = image.shape[:2]
    return sum(
        kernel[i, j] * padded[i : i + height, j : j + width]
        for i in range(side)
        for j in range(side)
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", [7, 13, 21])
def test_blur_is_the_dense_correlation(kind: str, side: int):
    image = photo(40, 50)
    for sinc in (0.0, 1.0):
        made = kernel(kind, 3, side, sinc)
        np.testing.assert_allclose(d.blur(image, made), correlation(image, made), atol=2e-6)


def test_blur_is_a_correlation_and_does_not_mirror_the_kernel():
    image, lopsided = photo(20, 24), np.outer([0.1, 0.2, 0.7], [0.6, 0.3, 0.1]).astype(np.float32)
    for made in (lopsided, lopsided + np.eye(3, dtype=np.float32)):  # of rank 1 and of rank 3
        np.testing.assert_allclose(d.blur(image, made), correlation(image, made), atol=2e-6)


def test_blurring_keeps_constants_and_dims_noise():
    flat = np.full((20, 30, 3), 0.4, np.float32)
    np.testing.assert_allclose(d.blur(flat, kernel("aniso")), flat, atol=1e-5)
    noisy = rng().random((40, 40, 3), dtype=np.float32)
    blurred = d.blur(noisy, kernel("iso", seed=1))
    assert blurred.std() < 0.7 * noisy.std()


# ----------------------------------------------------------------------------------- resize


class Always:
    """A generator that draws one number."""

    def __init__(self, number: int):
        self.number = number

    def integers(self, *_: int) -> int:
        return self.number


@pytest.mark.parametrize("size", [(20, 25), (24, 32), (61, 70)])
@pytest.mark.parametrize(("number", "mode"), [(1, "bilinear"), (2, "bicubic")])
def test_resizing_is_torchs(number: int, mode: str, size: tuple[int, int]):
    """Which the published code uses: half-pixel centres, no antialiasing, not clipped."""
    image = photo(48, 64)
    tensor = torch.from_numpy(image).permute(2, 0, 1)[None]
    expected = F.interpolate(tensor, size=size, mode=mode)[0].permute(1, 2, 0).numpy()
    made = d.resize(image, size, Always(number))  # type: ignore[arg-type]
    np.testing.assert_allclose(made, expected, atol=2e-5)


def test_resizing_by_area_takes_the_mean_of_what_a_pixel_covers():
    image = photo(48, 64)
    made = d.resize(image, (16, 16), Always(0))  # type: ignore[arg-type]
    np.testing.assert_allclose(made, image.reshape(16, 3, 16, 4, 3).mean((1, 3)), atol=1e-6)
    fine = image.repeat(5, 0).repeat(5, 1).reshape(30, 8, 40, 8, 3).mean((1, 3))  # 5 / 8 of a side
    np.testing.assert_allclose(d.resize(image, (30, 40), Always(0)), fine, atol=1e-6)  # type: ignore


# ---------------------------------------------------------------------------------- sharpen


def test_sharpening_is_basicsrs():
    from basicsr.utils import USMSharp

    image = photo(96, 80)
    expected = USMSharp()(torch.from_numpy(image).permute(2, 0, 1)[None])[0].permute(1, 2, 0)
    made = d.sharpen(image)
    assert made.dtype == np.float32 and np.abs(made - image).max() > 0.05
    np.testing.assert_allclose(made, expected.numpy(), atol=1e-5)


# ------------------------------------------------------------------------------------ noise


@pytest.mark.parametrize("sigma", [1.0, 8.0, 25.0])
@pytest.mark.parametrize("gray", [False, True])
def test_gaussian_noise_has_its_sigma(sigma: float, gray: bool):
    noise = d.gaussian_noise(np.full((256, 256, 3), 0.5, np.float32), sigma, gray, rng()) - 0.5
    assert noise.std() * 255 == pytest.approx(sigma, rel=0.02)
    assert abs(noise.mean()) * 255 < 4 * sigma / 256
    channels = np.corrcoef(noise.reshape(-1, 3).T)
    assert np.allclose(channels, 1) if gray else abs(channels[0, 1]) < 0.02


@pytest.mark.parametrize("gray", [False, True])
@pytest.mark.parametrize(("levels", "count"), [([128], 1), ([64, 96, 128, 160, 192], 8)])
def test_poisson_noise_has_its_variance(levels: list[int], count: int, gray: bool):
    """Noise is scale (k / n - v) with k ~ Poisson(n v): its variance is scale^2 v / n."""
    scale = 0.15
    blocks = [np.full((200, 200, 3), level / 255, np.float32) for level in levels]
    noise = d.poisson_noise(np.concatenate(blocks), scale, gray, rng()) - np.concatenate(blocks)
    for level, part in zip(levels, np.split(noise, len(levels)), strict=True):
        expected = scale**2 * level / 255 / count
        assert part.var() == pytest.approx(expected, rel=0.04)
        assert abs(part.mean()) < 5 * np.sqrt(expected) / 200
    if gray:
        assert np.allclose(noise[..., 0], noise[..., 1], atol=1e-6)


def test_noise_stays_in_range():
    for image in (np.zeros((32, 32, 3), np.float32), np.ones((32, 32, 3), np.float32)):
        for noisy in (
            d.gaussian_noise(image, 30, False, rng()),
            d.poisson_noise(image, 3.0, True, rng()),
        ):
            assert noisy.min() >= 0 and noisy.max() <= 1 and noisy.dtype == np.float32


# ------------------------------------------------------------------------------------- jpeg


def test_jpeg_error_falls_with_quality():
    image = photo()
    errors = [float(np.mean((d.jpeg(image, q) - image) ** 2)) for q in (5, 15, 30, 60, 95)]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 4 * errors[-1]


@pytest.mark.parametrize("quality", [30, 60.4, 94.6])
def test_jpeg_is_that_of_another_encoder(quality: float):
    image = cv2.GaussianBlur(photo(64, 96), (0, 0), 1)
    file = io.BytesIO()
    Image.fromarray((image * 255).round().astype(np.uint8)).save(
        file, "JPEG", quality=round(quality), subsampling="4:2:0"
    )
    expected = np.asarray(Image.open(file), np.float32) / 255
    assert np.abs(d.jpeg(image, quality) - expected).max() * 255 <= 3  # colour rounding alone
    assert np.abs(d.jpeg(image, quality) - image).max() * 255 > 3


def test_jpeg_keeps_the_order_of_channels():
    red = np.zeros((16, 16, 3), np.float32)
    red[..., 0] = 1
    assert np.abs(d.jpeg(red, 95) - red).max() < 0.05


# ---------------------------------------------------------------------------------- degrade


@pytest.mark.parametrize("scale", [1, 2, 4])
@pytest.mark.parametrize("size", [(48, 64), (8, 8), (4, 12)])
def test_degrade_gives_rounded_values_of_the_right_size(scale: int, size: tuple[int, int]):
    for seed in range(8):
        lq = d.degrade(photo(*size), scale, Degradation(), rng(seed))
        assert lq.shape == (size[0] // scale, size[1] // scale, 3) and lq.dtype == np.float32
        assert lq.min() >= 0 and lq.max() <= 1
        np.testing.assert_allclose(lq * 255, np.round(lq * 255), atol=1e-4)


def test_degrade_depends_on_the_generator_alone():
    gt = photo()
    kept = gt.copy()
    first = d.degrade(gt, 4, Degradation(), rng(5))
    np.random.seed(1)
    random.seed(1)
    np.testing.assert_array_equal(first, d.degrade(gt, 4, Degradation(), rng(5)))
    assert not np.array_equal(first, d.degrade(gt, 4, Degradation(), rng(6)))
    np.testing.assert_array_equal(gt, kept)


def test_degrade_touches_no_global_generator():
    before = (str(np.random.get_state()), random.getstate(), torch.get_rng_state())
    for seed in range(6):
        d.degrade(photo(), 4, Degradation(), rng(seed))
    assert str(np.random.get_state()) == before[0]
    assert random.getstate() == before[1]
    assert torch.equal(torch.get_rng_state(), before[2])


def test_degrade_still_shows_the_picture():
    gt = photo(128, 128)
    area = gt.reshape(32, 4, 32, 4, 3).mean((1, 3))
    for seed in range(6):
        lq = d.degrade(gt, 4, Degradation(), rng(seed))
        assert np.abs(lq.mean((0, 1)) - area.mean((0, 1))).max() < 0.1
