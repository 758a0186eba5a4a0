"""D against a double loop over pixels that knows nothing of filters."""

from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest

from desra.artifacts import WindowSpec, absolute_difference_map, artifact_map, local_std


def gaussian(size: int, sigma: float) -> np.ndarray:
    distance = np.arange(size) - size // 2
    line = np.exp(-(distance**2) / (2 * sigma**2))
    window = np.outer(line, line)
    return window / window.sum()


def brute_std(image: np.ndarray, size: int = 11, sigma: float = 1.5) -> np.ndarray:
    """Local standard deviation as a centred sum, which cannot cancel."""
    weight = gaussian(size, sigma)
    height, width, channels = image.shape
    rows, columns = max(height - size + 1, 0), max(width - size + 1, 0)
    out = np.zeros((rows, columns, channels))
    for r in range(rows):
        for c in range(columns):
            for k in range(channels):
                patch = image[r : r + size, c : c + size, k].astype(np.float64)
                mean = (weight * patch).sum()
                out[r, c, k] = np.sqrt((weight * (patch - mean) ** 2).sum() + 1e-8)
    return out


def brute_map(mse: np.ndarray, gan: np.ndarray, size: int = 11, sigma: float = 1.5) -> np.ndarray:
    a, b = brute_std(mse, size, sigma), brute_std(gan, size, sigma)
    c = (0.03 * 255) ** 2
    return ((2 * a * b + c) / (a**2 + b**2 + c)).mean(axis=2)


def noise(seed: int, shape: tuple[int, ...], low: int = 0, high: int = 256) -> np.ndarray:
    return np.random.default_rng(seed).integers(low, high, shape, dtype=np.uint8)


PAIRS = {
    "random": (noise(0, (24, 31, 3)), noise(1, (24, 31, 3))),
    "texture against flat": (np.full((20, 20, 3), 90, np.uint8), noise(2, (20, 20, 3))),
    "flat": (np.full((18, 15, 3), 200, np.uint8), np.full((18, 15, 3), 7, np.uint8)),
    "offset 128": (noise(3, (20, 17, 3), 128, 130), noise(4, (20, 17, 3), 126, 131)),
    "offset 200": (np.full((20, 17, 3), 200, np.uint8), noise(5, (20, 17, 3), 199, 202)),
    "one window": (noise(6, (11, 11, 3)), noise(7, (11, 11, 3))),
    "longer than a strip": (noise(8, (150, 13, 3)), noise(9, (150, 13, 3))),
}


@pytest.mark.parametrize("name", PAIRS)
def test_equals_the_double_loop(name: str) -> None:
    mse, gan = PAIRS[name]
    D = artifact_map(mse, gan)
    assert D.dtype == np.float64
    np.testing.assert_allclose(D, brute_map(mse, gan), rtol=0, atol=1e-7)
    assert D.min() >= 0.0 and D.max() <= 1.0


def test_another_window() -> None:
    mse, gan = PAIRS["random"]
    D = artifact_map(mse, gan, WindowSpec(size=7, sigma=2.0))
    assert D.shape == (18, 25)
    np.testing.assert_allclose(D, brute_map(mse, gan, 7, 2.0), rtol=0, atol=1e-9)


def test_local_std_and_absolute_difference_equal_the_double_loop() -> None:
    mse, gan = PAIRS["random"]
    a, b = brute_std(mse), brute_std(gan)
    np.testing.assert_allclose(local_std(mse), a, rtol=0, atol=1e-8)
    np.testing.assert_allclose(
        absolute_difference_map(mse, gan), ((a - b) ** 2).mean(axis=2), rtol=0, atol=1e-7
    )


@pytest.mark.parametrize("shape", [(10, 40, 3), (40, 10, 3), (3, 3, 3), (1, 1, 3), (0, 20, 3)])
def test_smaller_than_the_window_is_empty(shape: tuple[int, ...]) -> None:
    image = np.zeros(shape, np.uint8)
    expected = (max(shape[0] - 10, 0), max(shape[1] - 10, 0))
    assert artifact_map(image, image).shape == expected
    assert local_std(image).shape == (*expected, 3)


def test_low_where_texture_was_invented_and_symmetric() -> None:
    mse, gan = PAIRS["texture against flat"]
    D = artifact_map(mse, gan)
    assert D.max() < 0.7
    np.testing.assert_array_equal(D, artifact_map(gan, mse))


def test_a_flat_pair_is_the_same_everywhere() -> None:
    for grey in (0, 128, 200, 255):
        D = artifact_map(*(np.full((30, 30, 3), g, np.uint8) for g in (grey, 255 - grey)))
        np.testing.assert_allclose(D, 1.0, rtol=0, atol=1e-8)


def test_rounding_never_leaves_the_range() -> None:
    """A negative has the same texture but for rounding, which alone would lift D above 1."""
    image = noise(20, (150, 150))
    assert artifact_map(image, 255 - image).max() <= 1.0


def test_a_flat_image_far_from_zero_is_not_nan() -> None:
    """At a million grey levels E[x^2] - E[x]^2 of a flat patch is negative in float64 too."""
    gan = noise(21, (20, 20)).astype(np.float64)
    D = artifact_map(np.full((20, 20), 1e6), gan)
    np.testing.assert_allclose(D, artifact_map(np.zeros((20, 20)), gan), rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x[..., ::-1],
        lambda x: x[::-1, ::2],
        lambda x: np.ascontiguousarray(x.transpose(2, 0, 1)).transpose(1, 2, 0),
        np.asfortranarray,
    ],
)
def test_memory_layout_does_not_matter(view) -> None:
    mse, gan = view(noise(10, (30, 40, 3))), view(noise(11, (30, 40, 3)))
    expected = artifact_map(np.ascontiguousarray(mse), np.ascontiguousarray(gan))
    np.testing.assert_array_equal(artifact_map(mse, gan), expected)


def test_gray_is_one_channel() -> None:
    mse, gan = noise(12, (20, 25)), noise(13, (20, 25))
    D = artifact_map(mse, gan)
    np.testing.assert_allclose(D, brute_map(mse[..., None], gan[..., None]), rtol=0, atol=1e-8)
    np.testing.assert_array_equal(artifact_map(mse[..., None], gan[..., None]), D)
    assert local_std(mse).shape == (10, 15)
    assert local_std(mse[..., None]).shape == (10, 15, 1)


def test_every_range_gives_the_same_map() -> None:
    mse, gan = noise(14, (30, 30, 3), 100, 110), noise(15, (30, 30, 3))
    D = artifact_map(mse, gan)
    wide = artifact_map(
        mse.astype(np.uint16) * 257, gan.astype(np.uint16) * 257, WindowSpec(data_range=65535)
    )
    unit = artifact_map(mse / 255.0, gan / 255.0, WindowSpec(data_range=1.0))
    np.testing.assert_allclose(wide, D, rtol=0, atol=1e-9)
    np.testing.assert_allclose(unit, D, rtol=0, atol=1e-9)


def test_threads_do_not_change_the_map() -> None:
    mse, gan = noise(16, (300, 40, 3)), noise(17, (300, 40, 3))
    threads = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        one = artifact_map(mse, gan)
        cv2.setNumThreads(4)
        four = artifact_map(mse, gan)
    finally:
        cv2.setNumThreads(threads)
    np.testing.assert_array_equal(one, four)


def test_inputs_are_left_as_they_were() -> None:
    mse, gan = noise(18, (20, 20, 3)).astype(np.float64), noise(19, (20, 20, 3)).astype(np.float64)
    before = mse.copy(), gan.copy()
    artifact_map(mse, gan)
    np.testing.assert_array_equal(mse, before[0])
    np.testing.assert_array_equal(gan, before[1])


@pytest.mark.parametrize(
    ("mse", "gan", "words"),
    [
        (np.zeros((20, 20, 3), np.uint8), np.zeros((20, 21, 3), np.uint8), "the same shape"),
        (np.zeros((20, 20, 4), np.uint8), np.zeros((20, 20, 4), np.uint8), "alpha"),
        (np.zeros((20, 20, 3), int), np.zeros((20, 20, 3), int), "must be uint8, uint16"),
        (np.zeros((20, 20, 3)), np.full((20, 20, 3), np.nan), "sr_gan has values .* not finite"),
        (np.full((20, 20, 3), 999, np.uint16), np.zeros((20, 20, 3), np.uint16), "data_range"),
    ],
)
def test_wrong_images_are_named(mse: np.ndarray, gan: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        artifact_map(mse, gan)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"size": 10}, "size must be odd"),
        ({"size": -1}, "size must be odd"),
        ({"sigma": 0.0}, "sigma must be a positive number, got 0.0"),
        ({"data_range": float("nan")}, "data_range must be a positive number"),
        ({"k2": -0.03}, "k2 must be"),
    ],
)
def test_wrong_windows_are_named(setting: dict[str, float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        WindowSpec(**setting)


def test_the_package_does_not_import_torch() -> None:
    code = "import sys, desra.artifacts; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
