"""What desra 0.1.0 wrote is read and continued: `written_by_0_1_0/make.py` made it with 0.1.0."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from desra.detect import detect
from desra.evaluate import evaluate
from desra.io import manifest
from desra.options.detect import DetectOptions
from desra.options.evaluate import EvaluateOptions
from desra.options.loading import load, parse
from desra.options.report import ReportOptions
from desra.options.run import RunOptions
from desra.options.sweep import SweepOptions
from desra.options.train import TrainOptions
from desra.report import report
from desra.run import run
from desra.sweep import sweep
from desra.train import train
from helpers.paths import TESTS


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folders, unpacked where the test works: paths in their options are relative."""
    shutil.unpack_archive(TESTS / "written_by_0_1_0" / "folders.zip", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def stamps(root: Path) -> dict[Path, int]:
    """When each picture was last written."""
    return {path: path.stat().st_mtime_ns for path in root.rglob("*.png")}


def test_detect_makes_nothing_again():
    before = stamps(Path("results"))
    rows = detect(load(DetectOptions, "detect.yml"))
    assert [row.stem for row in rows] == ["p0", "p1", "p2", "p3"]
    assert stamps(Path("results")) == before
    assert sum(row.regions for row in rows) > 0


def test_the_rows_of_a_manifest():
    lines = Path("results", manifest.FILE).read_text().splitlines()
    old = {row["stem"]: row for row in map(json.loads, lines)}
    rows = manifest.read(Path("results"))
    assert rows.keys() == old.keys()
    for stem, row in rows.items():
        assert row.regions == old[stem]["components"]
        assert row.mask_pixels == old[stem]["mask_pixels"]


def test_stages_that_read_a_folder():
    content = {"before": "results", "after": "results", "output": "scores"}
    scores = evaluate(parse(EvaluateOptions, content, "test"))
    rows = manifest.read(Path("results")).values()
    assert scores["total"]["regions_before"] == sum(row.regions for row in rows)
    page = report(parse(ReportOptions, {"before": "results", "output": "page"}, "test"))
    assert page.is_file()
    assert sweep(parse(SweepOptions, {"input": "results", "output": "table"}, "test"))
    assert Path("table/sweep.csv").is_file()


def test_a_training_goes_on():
    """To what 0.1.0 itself came to; to the last bit only on the machine that it ran on."""
    train(load(TrainOptions, "train.yml"))
    expected = torch.load("expected.pth", weights_only=True)
    latest = torch.load("experiments/tiny/models/net_g_latest.pth", weights_only=True)
    begun = torch.load("experiments/tiny/models/net_g_3.pth", weights_only=True)
    assert latest.keys() == expected.keys()
    for key, tensors in expected.items():
        for name, tensor in tensors.items():
            torch.testing.assert_close(latest[key][name], tensor, rtol=1e-4, atol=1e-6)
        assert any(not torch.equal(begun[key][n], tensor) for n, tensor in tensors.items())


def test_other_losses_are_not_continued():
    """The comparison with what 0.1.0 kept is as strict as with a state of today."""
    with pytest.raises(ValueError, match=r"train\.losses\.pix\.weight"):
        train(load(TrainOptions, "train.yml", ["train:pixel_opt:loss_weight=3"]))


def test_a_run_goes_on_with_the_next_round():
    old = json.loads(Path("run/lineage.json").read_text())
    run(load(RunOptions, "run.yml"))
    content = json.loads(Path("run/lineage.json").read_text())
    assert [record["round"] for record in content["rounds"]] == [1, 2]
    assert content["rounds"][0]["network"] == old["rounds"][0]["network"]
    assert content["rounds"][0]["seconds"] == old["rounds"][0]["seconds"]  # nothing done again
    assert content["original"] == old["original"]
