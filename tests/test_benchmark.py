"""The benchmark runs, and notices masks that differ. No time is asserted."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from desra.images import write_image

SCRIPT = Path(__file__).parent.parent / "scripts" / "benchmark.py"
SMALL = ["--size", "150", "200", "--repeats", "1"]


@pytest.fixture
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmark_script", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_map(benchmark: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert benchmark.main(["map", *SMALL]) == 0
    out = capsys.readouterr().out
    assert "150 x 200 pixels" in out and "plain / exact" in out and "masks identical" in out


def test_made_pair_has_something_to_find(benchmark: ModuleType) -> None:
    _, mask = benchmark.exact(*benchmark.made_pair())
    assert 0.05 < mask.mean() < 0.95


def test_a_pair_of_files_is_tiled(
    benchmark: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    for name in ("mse", "gan"):
        write_image(tmp_path / f"{name}.png", rng.integers(0, 256, (40, 70, 3)).astype(np.uint8))
    pair = ["--pair", str(tmp_path / "mse.png"), str(tmp_path / "gan.png")]
    assert benchmark.main(["map", *SMALL, *pair]) == 0
    image = rng.integers(0, 256, (40, 70, 3)).astype(np.uint8)
    tiled = benchmark.tiled(image, 150, 200)
    assert tiled.shape == (150, 200, 3)
    np.testing.assert_array_equal(tiled[80:120, 140:200], image[:, :60])


def test_masks_that_differ_are_reported(
    benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = benchmark.plain

    def wrong(sr_mse: np.ndarray, sr_gan: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        D, mask = plain(sr_mse, sr_gan)
        return D, ~mask

    monkeypatch.setattr(benchmark, "plain", wrong)
    assert benchmark.main(["map", *SMALL]) == 1
    assert "masks DIFFER" in capsys.readouterr().out
