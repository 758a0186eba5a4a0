"""Images that do not agree are told; those of real networks, and their real LR images, agree."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from skimage import data

from desra.detect import detect
from desra.detect.agreement import Agreement, faults, shift
from desra.detectors import Images
from desra.models import SRPair
from desra.options.detect import DetectOptions
from helpers.small import photograph, save_png

Change = Callable[[np.ndarray], np.ndarray]


@cache
def pair() -> SRPair:
    return SRPair.embedded(device="cpu")


@cache
def upscaled(name: str) -> Images:
    photo = getattr(data, name)()[..., :3]
    lq = cv2.resize(photo, None, fx=0.3, fy=0.3, interpolation=cv2.INTER_AREA)[:72, :96]
    return pair()(np.ascontiguousarray(lq), name)


def changed(images: Images, side: str, change: Change, with_lq: bool = True) -> Images:
    parts = {"gan": images.gan, "mse": images.mse}
    parts[side] = np.ascontiguousarray(change(parts[side]))
    lq = images.lq if with_lq else None
    return Images(parts["gan"], parts["mse"], lq, scale=4, stem=images.stem)


def in_gray(image: np.ndarray) -> np.ndarray:
    return np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)


def moved(x: int, y: int) -> Change:
    def move(image: np.ndarray) -> np.ndarray:
        matrix = np.array([[1, 0, x], [0, 1, y]], float)
        size = image.shape[1], image.shape[0]
        return cv2.warpAffine(image, matrix, size, borderMode=cv2.BORDER_REPLICATE)

    return move


@pytest.mark.parametrize("name", ["astronaut", "coffee", "chelsea", "rocket"])
def test_images_of_good_networks_agree(name: str) -> None:
    images = upscaled(name)
    for with_lq in (True, False):
        assert not list(faults(changed(images, "gan", lambda image: image, with_lq)))
    gray = {side: in_gray(getattr(images, side)) for side in ("gan", "mse", "lq")}
    assert not list(faults(Images(**gray, scale=4)))
    jpeg = cv2.imdecode(cv2.imencode(".jpg", images.lq, [1, 40])[1], 1)
    assert not list(faults(Images(images.gan, images.mse, jpeg, scale=4)))


@pytest.mark.parametrize("side", ["gan", "mse"])
@pytest.mark.parametrize("with_lq", [True, False])
@pytest.mark.parametrize("name", ["astronaut", "coffee", "chelsea"])
@pytest.mark.parametrize(
    ("kind", "change", "words"),
    [
        ("gray", in_gray, "is gray and"),
        ("exchanged", lambda image: image[..., ::-1], "red and blue of"),
        ("colours", lambda image: image // 2, "mean colours of"),
        ("shift", moved(2, 0), "is shifted against"),
        ("shift", moved(0, -2), "is shifted against"),
        ("shift", moved(-8, 4), "is shifted against"),
    ],
)
def test_what_does_not_agree_is_told(
    side: str, with_lq: bool, name: str, kind: str, change: Change, words: str
) -> None:
    (fault,) = faults(changed(upscaled(name), side, change, with_lq))
    assert fault[0] == kind and words in fault[1] and f"sr_{side}" in fault[1]


@pytest.mark.parametrize(("x", "y"), [(2, 0), (0, -2), (-6, 3), (10, 10)])
def test_the_shift_is_measured(x: int, y: int) -> None:
    """In cells of four pixels, to about a tenth."""
    reference = photograph(3, 400, 480)
    small = [
        cv2.resize(image.astype(np.float32), (120, 100), interpolation=cv2.INTER_AREA)
        for image in (moved(x, y)(reference), reference)
    ]
    np.testing.assert_allclose(4 * np.array(shift(*small)), (x, y), atol=0.4)


def test_deep_and_large_and_tiny_images() -> None:
    images = upscaled("coffee")
    deep = Images(images.gan.astype(np.uint16) * 257, images.mse, images.lq, scale=4)
    assert not list(faults(deep))
    assert not list(faults(Images(images.gan[:3], images.mse[:3], scale=4)))
    assert not list(faults(Images(images.gan[:9, :9], images.mse[:9, :9], scale=4)))
    assert not list(faults(Images(images.gan)))
    rng = np.random.default_rng(0)
    wide = [rng.integers(0, 256, (8, 4000, 3), np.uint8) for _ in "gm"]
    assert not list(faults(Images(*wide, scale=4)))


def test_each_kind_is_told_once(caplog: Any) -> None:
    agreement = Agreement()
    for name in ("coffee", "astronaut"):
        for change in (in_gray, moved(2, 0)):
            agreement.check(changed(upscaled(name), "mse", change))
    assert [message.split(":")[0] for message in caplog.messages] == ["coffee", "coffee"]


def test_detect_tells_it_of_finished_pairs(tmp_path: Path, caplog: Any) -> None:
    images = upscaled("astronaut")
    for name, image in (("sr_gan", images.gan), ("sr_mse", images.mse[..., ::-1])):
        for stem in "ab":
            save_png(tmp_path / name / f"{stem}.png", image)
    for stem in "ab":
        save_png(tmp_path / "lq" / f"{stem}.png", images.lq)
    folders = {name: str(tmp_path / name) for name in ("sr_gan", "sr_mse", "lq")}
    caplog.set_level(logging.WARNING, "desra")
    detect(DetectOptions(input=folders, output=str(tmp_path / "out"), device="cpu"))
    (line,) = caplog.messages
    assert line.startswith("a: red and blue of sr_mse and lq are exchanged")
