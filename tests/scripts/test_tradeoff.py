"""The curve of a finetuning over its strength, against the blended network run by hand."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest

from desra import weights
from desra.artifacts import MaskRule, WindowSpec, find_regions, full_size_mask
from desra.detect import detect
from desra.detectors import Images, find_detector
from desra.io.images import read_mask, read_rgb8
from desra.networks.sr_network import SRNetwork
from desra.options.detect import DetectOptions
from helpers.paths import SCRIPTS
from helpers.scripts import load_script
from helpers.small import photograph, save_compact, save_png

SCRIPT = SCRIPTS / "tradeoff.py"


@pytest.fixture
def tradeoff() -> ModuleType:
    return load_script("tradeoff.py")


AREA = 5  # 20 px_at_x4 at scale 2


@pytest.fixture
def given(tmp_path: Path) -> list[str]:
    """A command line: what detect wrote, the network before, a network after."""
    before, after = (save_compact(tmp_path / f"{i}.pth", seed=i) for i in (0, 1))
    save_png(tmp_path / "lq/a.png", lq := photograph(0, 40, 48))
    gan = SRNetwork.from_checkpoint(before, device="cpu")(lq)
    save_png(tmp_path / "gan/a.png", gan)
    save_png(tmp_path / "mse/a.png", cv2.GaussianBlur(gan, (0, 0), 3))  # no texture left
    folders = {"lq": "lq", "sr_gan": "gan", "sr_mse": "mse"}
    detect(
        DetectOptions.model_validate(
            {
                "input": {k: str(tmp_path / v) for k, v in folders.items()},
                "scale": 2,
                "output": str(tmp_path / "found"),
                "mask": {"min_area": 20, "threshold": 0.75},
                "detector": {"type": "relative_local_variance"},
                "window": {"size": 9},
            }
        )
    )
    return [
        "--detected",
        str(tmp_path / "found"),
        "--before",
        str(before),
        "--after",
        f"mine={after}",
        "-o",
        str(tmp_path / "curve"),
        "--strengths",
        "0.25",
        "1",
    ]


def points_of(tmp_path: Path) -> list[dict[str, Any]]:
    """What was measured, for each of the circumstances."""
    parts = json.loads((tmp_path / "curve.json").read_text()).values()
    return [part["points"]["mine"] for part in parts]


def regions_of(tmp_path: Path, detector: str, area: int, threshold: float, size: int) -> int:
    """Of the network before, by the functions of the method."""
    mse, gan = (read_rgb8(tmp_path / f"found/{kind}/a.png") for kind in ("sr_mse", "sr_gan"))
    lq = read_rgb8(tmp_path / "lq/a.png")
    D = find_detector(detector, ["mse", "lq"])(Images(gan, mse, lq), WindowSpec(size))
    return find_regions(full_size_mask(D, gan.shape, MaskRule(threshold, min_area=area))).count


def test_a_point_of_the_curve(
    tradeoff: ModuleType,
    given: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):
    """With the detector, the window and the rule that detect kept."""
    assert tradeoff.main(given) == 0
    said = capsys.readouterr().out
    assert said.count(" mine\n") == 2
    assert "found by relative_local_variance below 0.75, regions of more than 20 px_at" in said
    assert (tmp_path / "curve.png").stat().st_size > 5000
    (points,) = points_of(tmp_path)

    blended = tmp_path / "blended.pth"
    weights.blend(str(tmp_path / "0.pth"), str(tmp_path / "1.pth"), 0.25, blended)
    lq = read_rgb8(tmp_path / "lq/a.png")
    now = SRNetwork.from_checkpoint(blended, device="cpu")(lq).astype(float)
    was = read_rgb8(tmp_path / "found/sr_gan/a.png")
    clean = ~read_mask(tmp_path / "found/mask/a.png")
    assert 0 < clean.mean() < 1
    error = np.square(now - was)[clean].mean()
    assert points["0.25"]["psnr_outside"] == pytest.approx(10 * np.log10(255**2 / error), abs=0.05)
    assert points["1"]["psnr_outside"] < points["0.25"]["psnr_outside"]
    expected = regions_of(tmp_path, "relative_local_variance", AREA, 0.75, 9)
    assert points["1"]["regions"] == points["0.25"]["regions"] == expected > 0


def test_a_point_is_measured_again_when_what_it_depends_on_changed(
    tradeoff: ModuleType, given: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    measured: list[float] = []

    def counted(before: Any, after: str, strength: float, scoring: Any) -> dict[str, Any]:
        measured.append(strength)
        return MEASURE(before, after, strength, scoring)

    MEASURE = tradeoff.measure
    monkeypatch.setattr(tradeoff, "measure", counted)
    assert tradeoff.main(given) == tradeoff.main(given) == 0
    assert measured == [0.25, 1]
    assert tradeoff.main([*given, "0.5"]) == 0
    assert measured == [0.25, 1, 0.5]
    first = points_of(tmp_path)[0]

    measured.clear()
    assert tradeoff.main([*given, "--min-area", "7"]) == 0  # beside the others, which stay
    assert tradeoff.main([*given, "--detector", "local_ssim", "--min-area", "0"]) == 0
    assert measured == [0.25, 1] * 2
    kept, of_seven, of_ssim = points_of(tmp_path)
    assert kept == first and set(of_seven) == {"0.25", "1"}
    assert of_seven["1"]["regions"] == regions_of(tmp_path, "relative_local_variance", 7, 0.75, 9)
    assert of_ssim["1"]["regions"] == regions_of(tmp_path, "local_ssim", 0, 0.75, 9)
    assert tradeoff.main(given) == 0 and measured == [0.25, 1] * 2

    save_compact(tmp_path / "1.pth", seed=2)
    assert tradeoff.main(given) == 0
    assert measured == [0.25, 1] * 3
    now = points_of(tmp_path)[0]
    assert set(now) == {"0.25", "1"} and now["1"]["psnr_outside"] != first["1"]["psnr_outside"]


def test_wrong_input_is_said_in_a_sentence(
    tradeoff: ModuleType, given: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    other = save_compact(tmp_path / "other.pth", scale=4)
    (tmp_path / "list.json").write_text("[]")
    for more, words in (
        (["--after", "nothing"], "--after: 'nothing' must be written NAME=WEIGHTS"),
        (["--after", "x=nowhere.pth"], "weights: the file nowhere.pth does not exist"),
        (["--after", f"x={other}"], "of different networks"),
        (["--detected", str(tmp_path)], "--detected: "),
        (["--detector", "evidense"], "did you mean 'evidence'"),
        (["--min-area", "-1"], "--detected: mask.min_area: "),
        (["--min-area", "1e6"], "--detected: nothing is found"),
        (["--import", "no_such_module"], "'no_such_module' cannot be imported"),
        (["-o", str(tmp_path / "list")], "list.json holds no points of this script"),
    ):
        assert tradeoff.main([*given, *more]) == 2, more
        said = capsys.readouterr().err
        assert words in said and "Traceback" not in said, more
