"""Calibration of class intervals, on SR pairs whose D is known in closed form."""

from __future__ import annotations

import csv
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

from desra import calibrate
from desra.calibrate.folder import KIND
from desra.calibrate.results import ClassResult, plot
from desra.detectors.segment import read_table, segment_weights
from desra.io import manifest
from desra.io.images import write_image
from desra.io.ledger import Ledger
from desra.options.calibrate import CalibrateOptions
from desra.options.loading import parse, read_yaml
from desra.utils.errors import InputError

C = (0.03 * 255) ** 2
MSE_AMPLITUDE = 20
# Amplitude of the GAN image's checkerboard -> interval of D = (2 a b + C) / (a^2 + b^2 + C).
INTERVALS = {20: 0, 40: 3, 60: 7, 100: 12}


def checkerboard(height: int, width: int, amplitude: int) -> np.ndarray:
    """128 +- amplitude: the standard deviation of every patch is the amplitude."""
    signs = 1 - 2 * (np.add.outer(np.arange(height), np.arange(width)) % 2)
    return np.repeat((128 + amplitude * signs)[..., None], 3, axis=2).astype(np.uint8)


def save(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


def save_pair(root: Path, stem: str, amplitude: int, size: tuple[int, int] = (40, 40)) -> None:
    save(root / f"sr_mse/{stem}.png", checkerboard(*size, MSE_AMPLITUDE))
    save(root / f"sr_gan/{stem}.png", checkerboard(*size, amplitude))


def options_for(root: Path, **changes: Any) -> CalibrateOptions:
    content = {
        "input": {"sr_gan": str(root / "sr_gan"), "sr_mse": str(root / "sr_mse")},
        "output": str(root / "out"),
    }
    return parse(CalibrateOptions, {**content, **changes}, "test")


def labels_section(root: Path, names: list[str]) -> dict[str, Any]:
    return {"type": "labels", "labels": str(root / "labels"), "names": names}


def csv_rows(root: Path) -> list[dict[str, str]]:
    with (root / "out/intervals.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("amplitude", INTERVALS)
def test_a_known_similarity_gives_its_interval(tmp_path: Path, amplitude: int):
    D = (2 * MSE_AMPLITUDE * amplitude + C) / (MSE_AMPLITUDE**2 + amplitude**2 + C)
    interval = next(i for i in range(20) if 1 - (i + 1) / 20 <= D)
    assert interval == INTERVALS[amplitude]
    save_pair(tmp_path, "a", amplitude)
    assert calibrate.calibrate(options_for(tmp_path)).classes == {"all": interval}


@pytest.mark.parametrize(("quantile", "interval"), [(0.85, 0), (0.89, 0), (0.91, 7), (0.0, 0)])
def test_the_quantile_is_over_all_pixels_of_all_images(
    tmp_path: Path, quantile: float, interval: int
):
    save_pair(tmp_path, "alike", 20, (100, 100))  # a map of 90 x 90 at D = 1
    save_pair(tmp_path, "other", 60, (40, 40))  # 30 x 30 at D = 0.606: a tenth of all
    table = calibrate.calibrate(options_for(tmp_path, quantile=quantile))
    assert table.classes == {"all": interval}
    (row,) = csv_rows(tmp_path)
    assert (row["pixels"], row["images"]) == ("9000", "2")
    assert float(row["share"]) == (0.9 if interval == 0 else 1.0)


def test_intervals_of_another_number(tmp_path: Path):
    save_pair(tmp_path, "a", 60)  # D = 0.606
    table = calibrate.calibrate(options_for(tmp_path, intervals=5))
    assert (table.intervals, table.classes) == (5, {"all": 1})
    assert read_table(str(tmp_path / "out/intervals.yml")) == table


def save_two_classes(root: Path) -> list[str]:
    """A class alike, a class at D = 0.606, a strip between them without class, a class unseen."""
    signs = checkerboard(40, 80, 1).astype(int) - 128
    amplitude = np.where(np.arange(80) < 40, 20, 60)[None, :, None]
    labels = np.full((40, 80), 255, np.uint8)
    labels[:, :30], labels[:, 50:] = 0, 2
    for stem in ("a", "sub/b"):
        save(root / f"sr_mse/{stem}.png", (128 + 20 * signs).astype(np.uint8))
        save(root / f"sr_gan/{stem}.png", (128 + amplitude * signs).astype(np.uint8))
        save(root / f"labels/{stem}.png", labels)
        labels = labels.copy()
        labels[labels == 2] = 255  # the second image has the first class alone
    return ["Sky", "unicorn: 'no'", "no"]


def test_every_class_has_its_own_interval_and_the_table_is_read_back(tmp_path: Path):
    names = save_two_classes(tmp_path)
    opt = options_for(tmp_path, segment=labels_section(tmp_path, names))
    table = calibrate.calibrate(opt)
    assert table.classes == {"Sky": 0, "no": 7}

    rows = csv_rows(tmp_path)
    assert [r["class"] for r in rows] == names
    # Labels are cropped like D: 5 pixels less at the top, the bottom, and on the outer side.
    assert [r["pixels"] for r in rows] == [str(2 * 30 * 25), "0", str(30 * 25)]
    assert [r["images"] for r in rows] == ["2", "0", "1"]
    assert [r["interval"] for r in rows] == ["0", "", "7"]
    assert [r["share"] for r in rows] == ["1.0000", "", "1.0000"]

    read_back = opt.segment.model_copy(update={"table": str(tmp_path / "out/intervals.yml")})
    np.testing.assert_array_equal(segment_weights(read_back, names), [1.0, 1.0, 20 / 13])


def test_results_of_detect_are_an_input(tmp_path: Path):
    save_pair(tmp_path, "sub/a", 60)
    save(tmp_path / "sr_gan/stranger.png", checkerboard(40, 40, 20))  # not in the manifest
    row = manifest.Row(
        stem="sub/a",
        lq=None,
        lq_size=None,
        sr_size=(40, 40),
        scale=4,
        mask_pixels=0,
        regions=0,
        mean_D=None,
        seconds={},
        settings="",
        notes=(),
    )
    manifest.write(tmp_path, [row])
    table = calibrate.calibrate(options_for(tmp_path, input={"results": str(tmp_path)}))
    assert table.classes == {"all": 7}


def test_faults_are_said_together_before_any_work(tmp_path: Path):
    for stem in ("a", "b", "c", "d"):
        save_pair(tmp_path, stem, 20)
    save(tmp_path / "sr_mse/a.png", checkerboard(40, 41, 20))
    save(tmp_path / "labels/b.png", np.zeros((40, 40), np.uint8))
    save(tmp_path / "labels/c.png", np.zeros((10, 10), np.uint8))
    with pytest.raises(InputError) as caught:
        calibrate.calibrate(options_for(tmp_path, segment=labels_section(tmp_path, ["x"])))
    head, *faults = str(caught.value).splitlines()
    assert head == "these inputs cannot be used:" and len(faults) == 3
    assert "differ in size" in faults[0] and "c.png is 10x10" in faults[1]
    assert "holds no label map d.png" in faults[2]
    assert not (tmp_path / "out").exists()


def test_unpaired_images_and_images_without_a_class(tmp_path: Path):
    save_pair(tmp_path, "a", 20)
    save(tmp_path / "labels/a.png", np.full((40, 40), 255, np.uint8))
    with pytest.raises(InputError, match="no pixel has a class"):
        calibrate.calibrate(options_for(tmp_path, segment=labels_section(tmp_path, ["x"])))
    save(tmp_path / "sr_gan/b.png", checkerboard(40, 40, 20))
    with pytest.raises(InputError, match=r"1 only in input\.sr_gan: b"):
        calibrate.calibrate(options_for(tmp_path))
    with pytest.raises(InputError, match=r"input\.results: .* holds no manifest"):
        calibrate.calibrate(options_for(tmp_path, input={"results": str(tmp_path)}))


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"sr_gan": "a"},
        {"results": "a", "sr_gan": "b", "sr_mse": "c"},
        {"results": "a", "sr_mse": "b"},
    ],
)
def test_inputs_are_of_one_kind(tmp_path: Path, given: dict[str, str]):
    with pytest.raises(InputError, match=r"input: give results .*, or sr_gan and sr_mse"):
        options_for(tmp_path, input=given)


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    save_pair(tmp_path, "a", 60)
    opt = tmp_path / "calibrate.yml"
    opt.write_text(yaml.safe_dump(options_for(tmp_path).model_dump(by_alias=True)))
    assert calibrate.main(["-opt", str(opt)]) == 0
    assert read_yaml(tmp_path / "out/intervals.yml") == {"intervals": 20, "classes": {"all": 7}}
    assert calibrate.main(["-opt", str(opt), "--force_yml", "quantile=1.0"]) == 2
    assert "quantile: " in capsys.readouterr().err


def test_a_plot_for_each_class_that_was_seen(tmp_path: Path):
    pytest.importorskip("matplotlib")
    names = save_two_classes(tmp_path)
    names[2] = "a/b $"
    opt = options_for(tmp_path, segment=labels_section(tmp_path, names), plots=True)
    calibrate.calibrate(opt)
    (tmp_path / "out/plots/000_Sky.png").rename(tmp_path / "plot")
    with Ledger(tmp_path / "out", KIND):
        write_image(tmp_path / "out/plots/009_old.png", np.zeros((2, 2, 3), np.uint8))
    calibrate.calibrate(opt)
    plots = sorted((tmp_path / "out/plots").iterdir())
    assert [p.name for p in plots] == ["000_Sky.png", "002_a_b_.png"]
    assert plots[0].read_bytes() == (tmp_path / "plot").read_bytes()
    foreign = tmp_path / "out/plots/mine.png"
    save(foreign, np.zeros((2, 2), np.uint8))
    calibrate.calibrate(opt)
    assert foreign.exists()
    first, second = (cv2.imread(str(p)) for p in plots)
    assert first.std() > 10 and not np.array_equal(first, second)


def test_what_a_plot_says(tmp_path: Path):
    figure_module = pytest.importorskip("matplotlib.figure")
    figure = figure_module.Figure()
    counts = np.array([60, 30, 10, 0])
    result = ClassResult("grass", 1, images=3, counts=counts)
    plot(figure, result, 0.85, tmp_path / "a.png")
    (axes,) = figure.axes
    curve, quantile, interval = axes.lines
    np.testing.assert_allclose(curve.get_xdata(), [1, 0.75, 0.5, 0.25, 0])
    np.testing.assert_allclose(curve.get_ydata(), [0, 0.6, 0.9, 1, 1])
    assert set(quantile.get_ydata()) == {0.85} and set(interval.get_xdata()) == {0.5}
    assert axes.get_title() == "grass: 100 pixels in 3 images"
    assert axes.get_xlim() == (1, 0)


def test_missing_matplotlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    save_pair(tmp_path, "a", 20)
    with pytest.raises(InputError, match=r"run: pip install 'desra\[plot\]', or set plots: false"):
        calibrate.calibrate(options_for(tmp_path, plots=True))


def test_memory_does_not_grow_with_the_number_of_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    side = 200
    monkeypatch.setattr(cv2, "getNumThreads", lambda: 1)  # how threads overlap varies

    def peak(count: int) -> int:
        for i in range(count):
            save_pair(tmp_path, f"{i}", 40, (side, side))
        tracemalloc.start()
        calibrate.calibrate(options_for(tmp_path))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(1)  # what is imported on first use
    few = peak(3)
    assert few > 2 * 3 * side**2  # else tracemalloc doesn't see a pair
    assert peak(24) < 1.1 * few
