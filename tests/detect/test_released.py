"""``protocol: released`` against the published procedure, written out plainly and slow.

Through the stages and their files, on images made here. Nothing of desra computes the expected
values: window, threshold, morphology, regions, class weights and scores are NumPy and loops,
where desra filters separably, in bands, by OpenCV. test_golden.py compares with what the
authors' own code wrote, for those who have it.
"""

from __future__ import annotations

import json
from collections import deque
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from desra.detect import detect
from desra.evaluate import evaluate
from desra.io.images import read_rgb8, write_image
from desra.options.detect import DetectOptions
from desra.options.evaluate import EvaluateOptions
from desra.options.loading import parse

SIZE = (190, 260)
NAMES = ["wall", "tree", "sea", "bulletin board", "a class that the paper's table lacks"]
INTERVALS = [1, 5, 7, 11, 0]  # of the paper's table

# ------------------------------------------------------------------------------- the procedure


def texture(image: np.ndarray) -> np.ndarray:
    """Eq. 2: the standard deviation in each whole 11x11 window, Gaussian of sigma 1.5."""
    line = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
    window = np.outer(line, line) / np.outer(line, line).sum()
    patches = sliding_window_view(image.astype(np.float64), (11, 11), axis=(0, 1))
    mean = np.einsum("hwcij,ij->hwc", patches, window)
    variance = np.zeros_like(mean)
    for i, j in np.ndindex(11, 11):  # centred, so nothing cancels
        variance += window[i, j] * (patches[..., i, j] - mean) ** 2
    return np.sqrt(variance + 1e-8)


def similarity(mse: np.ndarray, gan: np.ndarray) -> np.ndarray:
    """Eq. 7, mean over the channels: 5 pixels smaller on each side."""
    a, b, c = texture(mse), texture(gan), (0.03 * 255) ** 2
    return ((2 * a * b + c) / (a * a + b * b + c)).mean(axis=2)


def neighbourhoods(mask: np.ndarray, outside: bool) -> np.ndarray:
    """The 5x5 pixels around each one."""
    return sliding_window_view(np.pad(mask, 2, constant_values=outside), (5, 5))


def find_regions(mask: np.ndarray) -> list[np.ndarray]:
    """The 8-connected ones, each as a mask."""
    left, found = mask.copy(), []
    while left.any():
        start = tuple(np.argwhere(left)[0])
        one, queue = np.zeros_like(mask), deque([start])
        left[start] = False
        while queue:
            row, column = queue.popleft()
            one[row, column] = True
            for place in np.ndindex(3, 3):
                r, c = row + place[0] - 1, column + place[1] - 1
                if 0 <= r < mask.shape[0] and 0 <= c < mask.shape[1] and left[r, c]:
                    left[r, c] = False
                    queue.append((r, c))
        found.append(one)
    return found


def without_holes(mask: np.ndarray) -> np.ndarray:
    """Filled is what no 8-connected path of background joins to the outside."""
    background = np.pad(~mask, 1, constant_values=True)
    return ~find_regions(background)[0][1:-1, 1:-1]  # the first one holds the corner


def mask_of(D: np.ndarray) -> np.ndarray:
    """Threshold 0.7, one erosion, three dilations, holes, regions of more than 4000 pixels.

    Beyond the border lies what leaves erosion and dilation as they are, as in OpenCV.
    """
    mask = neighbourhoods(D < 0.7, outside=True).all(axis=(2, 3))
    for _ in range(3):
        mask = neighbourhoods(mask, outside=False).any(axis=(2, 3))
    kept = [one for one in find_regions(without_holes(mask)) if one.sum() > 4000]
    return np.any([np.zeros_like(mask), *kept], axis=0)


def ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def scores(masks: dict[str, np.ndarray], truths: dict[str, np.ndarray]) -> dict[str, Any]:
    """IoU as a mean over images; regions pooled, hit where at least half of their area is."""
    ious, hit, all_of = [], {"pred": 0, "true": 0}, {"pred": 0, "true": 0}
    for stem, mask in masks.items():
        truth = truths[stem][5:-5, 5:-5]
        ious.append((mask & truth).sum() / (mask | truth).sum())
        for name, one, other in (("pred", mask, truth), ("true", truth, mask)):
            found = find_regions(one)
            all_of[name] += len(found)
            hit[name] += sum((part & other).sum() >= part.sum() / 2 for part in found)
    return {
        "iou": np.mean(ious),
        "region_precision": ratio(hit["pred"], all_of["pred"]),
        "region_recall": ratio(hit["true"], all_of["true"]),
    }


# ---------------------------------------------------------------------------------- the images


def pair(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """sr_mse, and sr_gan with textures laid in: large and small, at the border, with a hole."""
    rng = np.random.default_rng(seed)
    height, width = SIZE
    smooth = cv2.resize(rng.random((10, 13, 3)), (width, height), interpolation=cv2.INTER_CUBIC)
    mse = np.clip(40 + 170 * smooth + rng.normal(0, 2, (*SIZE, 3)), 0, 255)
    mse[:60, :70] = 200  # flat and bright, where float32 would cancel
    gan = mse + rng.normal(0, 1.5, mse.shape)
    for top, left, side in ((-20, -30, 90), (70, 20, 110), (100, 190, 85), (5, 160, 40)):
        rows, columns = slice(max(top, 0), top + side), slice(max(left, 0), left + side)
        patch = gan[rows, columns]
        patch += rng.normal(0, rng.uniform(15, 40), patch.shape)
    gan[110:130, 60:80] = mse[110:130, 60:80]
    gan[60:66, 100:104] += 120  # too small
    mse, gan = (x.clip(0, 255).round().astype(np.uint8) for x in (mse, gan))
    return mse, gan


PAIRS = {name: pair(seed) for seed, name in enumerate("abc")}
# Classes in vertical stripes; 255 has none.
LABELS = np.tile(np.repeat([0, 1, 2, 3, 4, 255], 44)[: SIZE[1]], (SIZE[0], 1)).astype(np.uint8)


@pytest.fixture(scope="module")
def maps() -> dict[str, np.ndarray]:
    return {name: similarity(*images) for name, images in PAIRS.items()}


def weighted(D: np.ndarray) -> np.ndarray:
    """Eq. 9."""
    weights = np.ones(256)
    weights[: len(NAMES)] = [20 / (20 - interval) for interval in INTERVALS]
    return np.clip(weights[LABELS[5:-5, 5:-5]] * D, 0, 1)


@pytest.mark.parametrize("semantic", [False, True])
def test_masks_and_scores(tmp_path: Path, maps: dict[str, np.ndarray], semantic: bool):
    for name, (mse, gan) in PAIRS.items():
        write_image(tmp_path / "mse" / f"{name}.png", mse)
        write_image(tmp_path / "gan" / f"{name}.png", gan)
        write_image(tmp_path / "labels" / f"{name}.png", LABELS)
    segment = {"type": "labels", "labels": str(tmp_path / "labels"), "names": NAMES}
    options: dict[str, Any] = {
        "input": {"sr_mse": str(tmp_path / "mse"), "sr_gan": str(tmp_path / "gan")},
        "output": str(tmp_path / "out"),
        "protocol": "released",
        **({"segment": segment} if semantic else {}),
    }
    detect(parse(DetectOptions, options, "test"))
    maps = {name: weighted(D) if semantic else D for name, D in maps.items()}
    masks = {name: mask_of(D) for name, D in maps.items()}
    assert all(0.1 < mask.mean() < 0.9 for mask in masks.values())
    for name, D in maps.items():
        found = read_rgb8(tmp_path / "out" / "map" / f"{name}.png")[..., 0]
        assert np.abs(found - 255 * D).max() <= 0.5 + 1e-4
        found = read_rgb8(tmp_path / "out" / "mask" / f"{name}.png")[..., 0]
        np.testing.assert_array_equal(found, 255 * masks[name])

    truths = {}
    for shift, (name, mask) in enumerate(masks.items()):  # moved: some parts are hit, some missed
        truths[name] = np.roll(np.pad(mask, 5), 40 * shift, axis=1)
        truths[name][:12, :12] = True
        write_image(tmp_path / "truth" / f"{name}.png", truths[name])
    compared = {
        "masks": {"pred": str(tmp_path / "out" / "mask"), "truth": str(tmp_path / "truth")},
        "protocol": "released",
        "output": str(tmp_path / "scores"),
    }
    evaluate(parse(EvaluateOptions, compared, "test"))
    total = json.loads((tmp_path / "scores" / "scores.json").read_bytes())["masks"]["total"]
    expected = scores(masks, truths)
    assert 0 < expected["region_precision"] < 1 and 0 < expected["region_recall"] < 1
    assert {key: total[key] for key in expected} == pytest.approx(expected, abs=1e-12)
