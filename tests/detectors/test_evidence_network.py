"""What the default detector measures, against SciPy and plain loops; what it finds."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import skimage.data
from scipy import ndimage

from desra.data.injection import inject
from desra.detectors import Images, evidence_network, find_detector
from desra.detectors.evidence_network import WINDOWS, judge, measure
from desra.metrics.curve import count_curve

LUMA = np.array([0.299, 0.587, 0.114])
BANDS = ("fine", "middle", "coarse", "coarser", "colour")
NAMES = sorted(
    [f"{band} {who}" for band, who in itertools.product(BANDS, "mgd")]
    + ["brightness d", "tint d", "lq", "off g", "off m"]
)


def pictures(height: int = 96, width: int = 128, scale: int = 4):
    """(sr_mse, sr_gan, lq) that differ in all ways."""
    rng = np.random.default_rng(0)
    photograph = skimage.data.astronaut()[60 : 60 + height, 150 : 150 + width].astype(float)
    smooth = ndimage.gaussian_filter(photograph, (1.5, 1.5, 0))
    sharp = photograph + rng.normal(0, 4, photograph.shape)
    lq = photograph.reshape(height // scale, scale, width // scale, scale, 3).mean(axis=(1, 3))
    lq += rng.normal(0, 2, lq.shape)
    return tuple(np.clip(np.round(x), 0, 255).astype(np.uint8) for x in (smooth, sharp, lq))


def gaussian(x: np.ndarray, sigma: float) -> np.ndarray:
    return ndimage.gaussian_filter(x, sigma, mode="mirror", truncate=4.0)


def cells(x: np.ndarray, s: int) -> np.ndarray:
    h, w = x.shape[0] // s, x.shape[1] // s
    return x[: h * s, : w * s].reshape(h, s, w, s, *x.shape[2:]).mean(axis=(1, 3))


def by_scipy(sr_mse, sr_gan, lq, s: int) -> dict[str, np.ndarray]:
    """All energies in float64, straight from their definitions."""
    m, g = sr_mse.astype(float), sr_gan.astype(float)
    images = {"m": m, "g": g, "d": g - m}
    energies = {}
    for who, x in images.items():
        y = x @ LUMA
        soft, softer = gaussian(y, s / 4), gaussian(y, s / 2)
        energies[f"fine {who}"] = cells((y - soft) ** 2, s)
        energies[f"middle {who}"] = cells((soft - softer) ** 2, s)
        chroma = [x[..., c] - y for c in (0, 2)]
        energies[f"colour {who}"] = cells(sum((c - gaussian(c, s / 2)) ** 2 for c in chroma), s)
        low = cells(y, s)
        energies[f"coarse {who}"] = (low - gaussian(low, 1)) ** 2
        energies[f"coarser {who}"] = (gaussian(low, 1) - gaussian(low, 2)) ** 2
        if who == "d":
            energies["brightness d"] = gaussian(low, 2) ** 2
            energies["tint d"] = sum(cells(c, s) ** 2 for c in chroma)
    given = (cells(m, s) if lq is None else lq.astype(float)) @ LUMA
    energies["lq"] = (given - gaussian(given, 1)) ** 2
    for who in "gm":
        energies[f"off {who}"] = (cells(images[who] @ LUMA, s) - given) ** 2
    return energies


@pytest.mark.parametrize("with_lq", [True, False])
@pytest.mark.parametrize("scale", [4, 2])
def test_measure_against_scipy(with_lq: bool, scale: int) -> None:
    sr_mse, sr_gan, lq = pictures(scale=scale)
    given = lq if with_lq else None
    found = measure(sr_mse, sr_gan, given, scale)
    assert found.dtype == np.float32
    assert found.shape == (96 // scale, 128 // scale, len(WINDOWS) * len(NAMES) + 1)
    energies = by_scipy(sr_mse, sr_gan, given, scale)
    assert sorted(energies) == NAMES
    for n, (window, name) in enumerate(itertools.product(WINDOWS, NAMES)):
        expected = np.log(np.sqrt(np.maximum(gaussian(energies[name], window), 0)) + 0.5)
        # OpenCV's Gaussians end at another distance than SciPy's.
        np.testing.assert_allclose(found[..., n], expected, atol=0.02, err_msg=name)
    brightness = gaussian(cells(sr_gan @ LUMA, scale), 1) / 255
    np.testing.assert_allclose(found[..., -1], brightness, atol=1e-3)


def test_strips_are_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    given = pictures(height=200)
    whole = measure(*given, 4)
    monkeypatch.setattr(evidence_network, "_STRIP", 7)
    np.testing.assert_allclose(measure(*given, 4), whole, atol=1e-4)


def test_equal_images_differ_in_nothing() -> None:
    sr_mse, _, lq = pictures()
    found = measure(sr_mse, sr_mse, lq, 4)
    for n, (_, name) in enumerate(itertools.product(WINDOWS, NAMES)):
        if name.endswith(" d"):
            np.testing.assert_allclose(found[..., n], np.log(0.5), atol=1e-6, err_msg=name)


def test_judge_against_loops() -> None:
    sr_mse, sr_gan, lq = pictures()
    measured = measure(sr_mse, sr_gan, lq, 4)
    odds = judge(measured)
    assert odds.shape == measured.shape[:2]
    layers = evidence_network._layers()
    for place in [(0, 0), (5, 9), (-1, -1)]:
        x = [float(v) for v in measured[place]]
        for number, (weight, bias) in enumerate(layers):
            x = (weight.astype(float) @ x + bias).tolist()
            if number < len(layers) - 1:
                x = [np.tanh(v) for v in x]
        assert odds[place] == pytest.approx(x[0], abs=1e-3)


@pytest.mark.parametrize("size", [(12, 12), (13, 30), (47, 61), (96, 128)])
def test_the_map_has_the_size_of_all_maps(size: tuple[int, int]) -> None:
    sr_mse, sr_gan, _ = (x[: size[0], : size[1]] for x in pictures())
    D = find_detector("evidence", ["mse"])(Images(sr_gan, sr_mse))
    assert D.dtype == np.float64 and D.shape == (size[0] - 10, size[1] - 10)
    assert np.isfinite(D).all() and D.min() >= 0.0 and D.max() <= 1.0


def test_an_image_smaller_than_the_window_has_no_map() -> None:
    tiny = np.zeros((8, 40, 3), np.uint8)
    assert find_detector("evidence", ["mse"])(Images(tiny, tiny)).size == 0


def test_images_of_unequal_size_are_refused() -> None:
    sr_mse, sr_gan, lq = pictures()
    with pytest.raises(ValueError, match="same shape"):
        find_detector("evidence", ["mse", "lq"])(Images(sr_gan, sr_mse[:-4], lq))
    with pytest.raises(ValueError, match="is not 4 times lq"):
        find_detector("evidence", ["mse", "lq"])(Images(sr_gan, sr_mse, lq[1:]))


@pytest.mark.parametrize("kind", ["noise", "stripes", "foreign_texture", "smoothing", "warp"])
def test_it_finds_what_was_injected_and_the_papers_finds_less(kind: str) -> None:
    """In the truth, whose own texture the MSE-SR image lacks."""
    photograph = np.ascontiguousarray(skimage.data.astronaut()[:320, 100:420])
    lq = cells(photograph.astype(float), 4).round().astype(np.uint8)
    sr_mse = np.round(ndimage.zoom(lq.astype(float), (4, 4, 1), order=3)).clip(0, 255)
    sr_mse = sr_mse.astype(np.uint8)
    donor = np.asarray(skimage.data.coffee())
    scores = {"evidence": [], "relative_local_variance": []}
    for seed in range(3):
        made = inject(photograph, kind, 0.8, 0.06, np.random.default_rng(seed), donor)
        for name, found in scores.items():
            D = find_detector(name, ["mse", "lq"])(Images(made.image, sr_mse, lq))
            found.append(count_curve(D, made.truth).average_precision)
    assert np.mean(scores["evidence"]) > 0.5
    assert np.mean(scores["evidence"]) > np.mean(scores["relative_local_variance"]) + 0.1
