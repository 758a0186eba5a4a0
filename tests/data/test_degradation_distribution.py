"""The degradation against basicsr's own torch version: kernels, means, spreads and spectra.

Each picture is degraded by basicsr's RealESRGANDataset and RealESRGANModel and by ours, with the
published parameters and independent chance. What is compared of each LR image: mean and standard
deviation of each channel, and the logarithm of the power in eight rings of the spectrum, of luma
and of chroma. How much two sets may differ by chance is measured on two runs of basicsr's version.

The parameters are so random that a wrong one hides in the whole; so kernels and noise are compared
by themselves too, and planted faults have to be seen.

Sharpening is left out on both sides (it has a test of its own, and basicsr's takes a second a
picture). JPEG is compared twice: with a real encoder in basicsr's version too, which everything
else has to agree with closely; and as published, where chroma may differ: DiffJPEG repeats chroma
pixels where a real decoder interpolates them.
"""

from __future__ import annotations

import random
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data
import torch
from scipy.stats import ks_2samp

from desra.data import degradations as d
from desra.options.degradation import Degradation
from helpers.paths import SCRIPTS

pytestmark = pytest.mark.slow

N, SIDE, SCALE = 400, 128, 4
LQ = SIDE // SCALE
NAMES = [f"{what} of {channel}" for what in ("mean", "std") for channel in "RGB"] + [
    f"{what} in ring {ring}" for what in ("luma", "chroma") for ring in range(8)
]

RADIUS = np.hypot(np.fft.fftfreq(LQ)[:, None], np.fft.fftfreq(LQ))
RING = np.minimum(RADIUS * 16, 7).astype(int).ravel()
LUMA, CHROMA = np.array([0.299, 0.587, 0.114]), np.array([-0.169, -0.331, 0.5])


def features(lq: np.ndarray) -> np.ndarray:
    """The numbers of NAMES, of an LR image (h, w, 3)."""
    rings = []
    for weights in (LUMA, CHROMA):
        power = np.abs(np.fft.fft2(lq @ weights)) ** 2
        power[0, 0] = 0
        rings.append(np.log(np.bincount(RING, power.ravel()) / np.bincount(RING) + 1e-6))
    return np.concatenate([lq.mean((0, 1)), lq.std((0, 1)), *rings])


@pytest.fixture(scope="module")
def crops() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    pictures = [np.asarray(getattr(skimage.data, name)()) for name in ("astronaut", "coffee")]
    made = []
    for number in range(N):
        picture = pictures[number % 2]
        top, left = (rng.integers(n - SIDE + 1) for n in picture.shape[:2])
        made.append(np.ascontiguousarray(picture[top : top + SIDE, left : left + SIDE]))
    return made


@pytest.fixture(scope="module")
def published() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPTS))
        from benchmarks import published_degradation
    return published_degradation


def real_jpeg(images: torch.Tensor, qualities: torch.Tensor) -> torch.Tensor:
    """basicsr's loop over samples with OpenCV's encoder instead."""
    made = []
    for image, quality in zip(images, qualities, strict=True):
        bgr = (image.numpy()[::-1].transpose(1, 2, 0) * 255).round().astype(np.uint8)
        _, code = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, round(float(quality))])
        rgb = cv2.imdecode(code, cv2.IMREAD_COLOR)[..., ::-1].transpose(2, 0, 1)
        made.append(torch.from_numpy(np.divide(rgb, 255, dtype=np.float32)))
    return torch.stack(made)


def of_basicsr(
    published: ModuleType, crops: list[np.ndarray], seed: int, jpeg: Any = None, **settings: Any
) -> np.ndarray:
    state = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(seed), np.random.seed(seed), torch.manual_seed(seed)
    model = published.Published(
        crops, SCALE, SIDE, Degradation(**settings), jpeg, sharpen=lambda image: image
    )
    made = []
    for number in range(len(crops)):
        data = model.dataset[number]
        data["gt"] = data["gt"][:, :SIDE, :SIDE]  # which it has padded to 400
        model.feed_data(torch.utils.data.default_collate([data]))
        made.append(features(model.lq[0].permute(1, 2, 0).double().numpy()))
    random.setstate(state[0]), np.random.set_state(state[1]), torch.set_rng_state(state[2])
    return np.array(made)


def of_ours(crops: list[np.ndarray], seed: int = 5, **settings: Any) -> np.ndarray:
    made = []
    for number, crop in enumerate(crops):
        rng = np.random.default_rng([seed, number])
        gt = np.divide(crop, 255, dtype=np.float32)
        made.append(features(d.degrade(gt, SCALE, Degradation(**settings), rng).astype(float)))
    return np.array(made)


@pytest.fixture(scope="module")
def reference(published: ModuleType, crops: list[np.ndarray]) -> np.ndarray:
    return of_basicsr(published, crops, 1, real_jpeg)


def largest_z(a: np.ndarray, b: np.ndarray) -> tuple[float, str]:
    """Of the means of the features, paired by picture."""
    difference = a - b
    z = np.abs(difference.mean(0)) / (difference.std(0) / np.sqrt(len(difference)))
    return float(z.max()), NAMES[int(z.argmax())]


def largest_by_chance(a: np.ndarray, b: np.ndarray) -> float:
    """The largest z that two such sets pass once in 1000 times: signs of differences at random."""
    difference = a - b
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (5000, len(difference)))
    z = signs @ difference / np.sqrt((difference**2).sum(0))
    return float(np.quantile(np.abs(z).max(1), 0.999))


def smallest_p(a: np.ndarray, b: np.ndarray) -> float:
    """Of Kolmogorov and Smirnov's test of each feature, times the number of features."""
    columns = range(a.shape[1])
    return min(ks_2samp(a[:, i], b[:, i], method="asymp").pvalue for i in columns) * a.shape[1]


# ------------------------------------------------------------------------------------ whole


def test_means_and_spectra_agree(
    published: ModuleType, crops: list[np.ndarray], reference: np.ndarray
):
    again = of_basicsr(published, crops, 2, real_jpeg)
    z, name = largest_z(of_ours(crops), reference)
    assert z < largest_by_chance(again, reference), name


def test_whole_distributions_agree(crops: list[np.ndarray], reference: np.ndarray):
    assert smallest_p(of_ours(crops), reference) > 1e-3


@pytest.mark.parametrize("left_out", ["blur", "jpeg"])
def test_a_stage_left_out_is_seen(
    left_out: str,
    crops: list[np.ndarray],
    reference: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(d, left_out, lambda image, *_: image)
    assert smallest_p(of_ours(crops), reference) < 1e-3


def test_the_published_jpeg_differs_in_chroma_alone(published: ModuleType, crops: list[np.ndarray]):
    """In standard deviations of the samples."""
    ours, theirs = of_ours(crops), of_basicsr(published, crops, 3)
    moved = np.abs((ours - theirs).mean(0)) / theirs.std(0)
    assert moved[:-8].max() < 0.15, NAMES[int(moved[:-8].argmax())]
    assert moved[-8:].max() < 0.5 and moved[-8:].argmax() >= 6  # the finest rings


# ------------------------------------------------------------------------------------ noise

# One stage's noise, on a slope of grey levels, and nothing else.
QUIET: dict[str, Any] = {
    "resize_prob": (0, 0, 1),
    "resize_prob2": (0, 0, 1),
    "jpeg_range": (95, 95.1),
    "jpeg_range2": (95, 95.1),
    "second_blur_prob": 0.0,
    "final_sinc_prob": 0.0,
}
ONLY: dict[str, dict[str, Any]] = {
    "": {**QUIET, "gaussian_noise_prob2": 1.0, "noise_range2": (0, 0.01)},
    "2": {**QUIET, "gaussian_noise_prob": 1.0, "noise_range": (0, 0.01)},
}


@pytest.fixture(scope="module")
def slope() -> list[np.ndarray]:
    ramp = np.arange(64, 64 + SIDE, dtype=np.uint8)
    return [np.ascontiguousarray(np.broadcast_to(ramp[:, None], (SIDE, SIDE, 3)))] * 250


@pytest.fixture(scope="module", params=["", "2"], ids=["first", "second"])
def noise(
    request: pytest.FixtureRequest, published: ModuleType, slope: list[np.ndarray]
) -> tuple[str, np.ndarray]:
    """A stage and basicsr's noise of it."""
    return request.param, of_basicsr(published, slope, 1, real_jpeg, **ONLY[request.param])


def test_noise_agrees(slope: list[np.ndarray], noise: tuple[str, np.ndarray]):
    stage, theirs = noise
    assert smallest_p(of_ours(slope, **ONLY[stage]), theirs) > 1e-3


@pytest.mark.parametrize(
    "fault",
    [
        {"noise_range": (20, 60)},
        {"poisson_scale_range": (1.5, 6)},
        {"gray_noise_prob": 0.8},
    ],
    ids=str,
)
def test_wrong_noise_is_seen(
    fault: dict[str, Any], slope: list[np.ndarray], noise: tuple[str, np.ndarray]
):
    stage, theirs = noise
    settings = {**ONLY[stage], **{name + stage: value for name, value in fault.items()}}
    assert smallest_p(of_ours(slope, **settings), theirs) < 1e-3


# ---------------------------------------------------------------------------------- kernels

KERNELS, ALWAYS = 1500, {"second_blur_prob": 1.0, "final_sinc_prob": 1.0}


def of_kernel(kernel: np.ndarray) -> list[float]:
    """Peak, widths along and across, tilt, negative part, size."""
    k = np.abs(kernel.astype(float)) / np.abs(kernel).sum()
    y, x = np.indices(k.shape) - len(k) // 2
    size = np.abs(np.stack([y, x]))[:, k > 0].max() * 2 + 1
    widths = [(k * x * x).sum(), (k * y * y).sum(), (k * x * y).sum()]
    return np.round([kernel.max(), *widths, -kernel[kernel < 0].sum(), size], 5).tolist()


def kernels_of_basicsr(published: ModuleType) -> list[np.ndarray]:
    random.seed(1), np.random.seed(1)
    picture = np.zeros((8, 8, 3), np.uint8)
    made = published.Published([picture], 4, 8, Degradation(**ALWAYS)).dataset
    samples = [made[0] for _ in range(KERNELS)]
    return [
        np.array([of_kernel(sample[which].numpy()) for sample in samples])
        for which in ("kernel1", "kernel2", "sinc_kernel")
    ]


def kernels_of_ours(monkeypatch: pytest.MonkeyPatch, **settings: Any) -> list[np.ndarray]:
    """Those that degrade filters with."""
    seen: list[list[float]] = []

    def note(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
        seen.append(of_kernel(kernel))
        return image

    monkeypatch.setattr(d, "blur", note)
    for number in range(KERNELS):
        rng = np.random.default_rng(number)
        d.degrade(np.zeros((8, 8, 3), np.float32), 4, Degradation(**ALWAYS, **settings), rng)
    return [np.array(seen[first::3]) for first in range(3)]


@pytest.fixture(scope="module")
def kernels(published: ModuleType) -> list[np.ndarray]:
    return kernels_of_basicsr(published)


def test_kernels_agree(kernels: list[np.ndarray], monkeypatch: pytest.MonkeyPatch):
    for ours, theirs in zip(kernels_of_ours(monkeypatch), kernels, strict=True):
        assert smallest_p(ours, theirs) > 1e-3


@pytest.mark.parametrize(
    ("stage", "fault"),
    [
        (0, {"blur_sigma": (0.2, 3.6)}),
        (0, {"sinc_prob": 0.2}),
        (0, {"kernel_prob": [0.2, 0.5, 0.12, 0.03, 0.12, 0.03]}),
        (1, {"blur_sigma2": (0.2, 1.8)}),
        (2, {"kernel_range": (7, 19)}),
    ],
    ids=str,
)
def test_wrong_kernels_are_seen(
    stage: int, fault: dict[str, Any], kernels: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
):
    assert smallest_p(kernels_of_ours(monkeypatch, **fault)[stage], kernels[stage]) < 1e-3
