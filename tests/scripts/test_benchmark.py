"""The benchmark runs, and notices masks that differ. No time is asserted."""

from __future__ import annotations

import importlib
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
import torch

from desra.io.images import write_image
from helpers.paths import SCRIPTS
from helpers.scripts import load_script

SCRIPT = SCRIPTS / "benchmark.py"
SMALL = ["--size", "150", "200", "--repeats", "1"]


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script; its folder is searched for ``benchmarks``, as when it is run."""
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    return load_script("benchmark.py")


@pytest.fixture
def of_map(benchmark: ModuleType) -> ModuleType:
    return importlib.import_module("benchmarks.map")


def test_map(benchmark: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert benchmark.main(["map", *SMALL]) == 0
    out = capsys.readouterr().out
    assert "150 x 200 pixels" in out and "plain / exact" in out and "masks identical" in out


def test_made_pair_has_something_to_find(of_map: ModuleType) -> None:
    _, mask = of_map.exact(*of_map.made_pair())
    assert 0.05 < mask.mean() < 0.95


def test_a_pair_of_files_is_tiled(
    benchmark: ModuleType, of_map: ModuleType, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    for name in ("mse", "gan"):
        write_image(tmp_path / f"{name}.png", rng.integers(0, 256, (40, 70, 3)).astype(np.uint8))
    pair = ["--pair", str(tmp_path / "mse.png"), str(tmp_path / "gan.png")]
    assert benchmark.main(["map", *SMALL, *pair]) == 0
    image = rng.integers(0, 256, (40, 70, 3)).astype(np.uint8)
    tiled = of_map.tiled(image, 150, 200)
    assert tiled.shape == (150, 200, 3)
    np.testing.assert_array_equal(tiled[80:120, 140:200], image[:, :60])


def test_masks_that_differ_are_reported(
    benchmark: ModuleType,
    of_map: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    plain = of_map.plain

    def wrong(sr_mse: np.ndarray, sr_gan: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        D, mask = plain(sr_mse, sr_gan)
        return D, ~mask

    monkeypatch.setattr(of_map, "plain", wrong)
    assert benchmark.main(["map", *SMALL]) == 1
    assert "masks DIFFER" in capsys.readouterr().out


def test_data(benchmark: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    before = torch.get_num_threads(), cv2.getNumThreads()
    small = ["--threads", "3", "--batch", "1", "--repeats", "1", "--gt-size", "64"]
    assert benchmark.main(["data", *small]) == 0
    assert (torch.get_num_threads(), cv2.getNumThreads()) == before != (3, 3)
    out = capsys.readouterr().out
    assert "threads: 3" in out
    assert "basicsr / desra " in out and "basicsr, plain / desra, plain" in out


def test_sr(benchmark: ModuleType, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (24, 28, 3)).astype(np.uint8)
    write_image(tmp_path / "a.png", image)
    small = ["--size", "24", "20", "--repeats", "1", "--blocks", "1", "--matrix", "64"]
    masks = ["--images", str(tmp_path), "--sr_gan", "embedded:gan", "--sr_mse", "embedded:mse"]
    assert benchmark.main(["sr", *small, *masks]) == 0
    out = capsys.readouterr().out
    assert "24 x 20 pixels" in out and "basicsr fp32" in out and "desra auto" in out
    assert "fp32 images differ by at most 0 grey levels" in out
    assert re.search(r"^a .*(both empty|[01]\.\d{4})$", out, re.MULTILINE)


def test_tiles(benchmark: ModuleType, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name, side in (("cut", 70), ("whole", 40)):
        pixels = rng.integers(0, 256, (side, side, 3)).astype(np.uint8)
        write_image(tmp_path / f"{name}.png", pixels)
    command = ["tiles", "--images", str(tmp_path), "--size", "64", "--overlap", "0", "30"]
    assert benchmark.main(command) == 0
    out = capsys.readouterr().out
    assert "cut" in out and "whole " not in out.replace("whole image", "")
    hard, soft = map(float, re.search(r"^worst +(\S+) +(\S+)$", out, re.MULTILINE).groups())
    assert hard > 10 > 1 > soft


def test_step(benchmark: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--gt-size", "32", "--batch", "1", "--blocks", "1", "--repeats", "1"]
    command = ["step", *small, "--losses", "5", "--seeds", "1", "--memory"]
    assert benchmark.main(command) == 0
    out = capsys.readouterr().out
    assert "plain / desra" in out
    peaks = [float(x) for x in re.findall(r"activations \w+ +peak (\S+) GiB", out)]
    assert len(peaks) == 2 and all(0.05 < peak < 4 for peak in peaks)
    plain, desra = (float(x) for x in re.findall(r"last 1 steps (\S+)", out))
    assert plain == pytest.approx(desra, rel=0.02)  # the same weights, samples and losses
