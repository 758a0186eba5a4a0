"""A metric is one row: nothing else has to be told of it."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from desra.evaluate import evaluate
from desra.evaluate.stage import tables
from desra.io.images import write_image
from desra.metrics import rows
from desra.metrics.metric import (
    Metric,
    Tile,
    before_and_after,
    by_base,
    intervals_of,
    measure,
    total_of,
    values_of,
)
from desra.metrics.sums import Count, Mean, Ratio
from desra.options.evaluate import EvaluateOptions
from desra.options.loading import parse
from desra.report.entries import summary
from desra.report.tables import label, read_json, score_tables
from desra.run import table, verdict
from desra.run.lineage import Lineage, Record
from helpers.report_results import make_results
from helpers.small import photograph

RED = Metric(
    key="red_shift",
    label="Shift of red",
    measure=lambda change: Mean.of(
        float(change.after[..., 0].mean() - change.before[..., 0].mean())
    ),
    kind="mean",
    digits=3,
    unit="levels",
    column="red",
    rounds="red",
    tile=Tile(heading="Red", note="of all pixels", digits=2),
)
SHADE = before_and_after(
    "shade",
    "Shade",
    lambda change, when: Ratio(int((change.image(when) < 50).sum()), change.mask.size * 3),
    better="lower",
)


@pytest.fixture
def evaluated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of scores, with three metrics more than there are."""
    monkeypatch.setattr(rows, "CHANGE", (*rows.CHANGE, RED, *SHADE))
    before, after = make_results(tmp_path)
    options = {"before": str(before), "after": str(after), "output": str(tmp_path / "out")}
    evaluate(parse(EvaluateOptions, options, "test"))
    return tmp_path / "out"


def test_a_row_reaches_every_place(evaluated: Path, tmp_path: Path):
    path = str(evaluated / "scores.json")
    scores = read_json(path, "scores")
    keys = {"red_shift", "shade_before", "shade_after"}
    assert keys <= scores["total"].keys() and keys <= scores["intervals"].keys()
    assert all(keys <= image.keys() for image in scores["images"].values())
    shifts = [image["red_shift"] for image in scores["images"].values()]
    value, (low, high) = scores["total"]["red_shift"], scores["intervals"]["red_shift"]
    assert value == pytest.approx(np.mean(shifts))
    assert min(shifts) <= low <= value <= high <= max(shifts) and low < high

    text = (evaluated / "scores.txt").read_text("utf-8")
    assert f"Shift of red: {value:.3f} [{low:.3f}, {high:.3f}] levels (mean over 5 images)" in text
    assert re.search(r"^Shade \(lower is better\): \S+ \[.*\] -> \S+ \[.*\] over all", text, re.M)
    heads, first = text.splitlines()[:2]
    place = heads.index("  red") + len("  red")
    assert (
        first[:place].split()[-1] == f"{scores['images'][first.split('  ')[-1]]['red_shift']:.3f}"
    )

    both, change, *_ = score_tables(scores, path)
    assert [row for row in change["rows"] if row[0] == "Shift of red"]
    (shade,) = (row for row in both["rows"] if row[0] == "Shade (lower is better)")
    assert len(shade) == 5 and " to " in shade[2] and " to " in shade[4]
    state = {"regions": 0, "pixels": 0}
    entry = {"size": (2, 2), "before": state, "after": state, "removed": 0, "added": 0}
    tiles = {tile["label"]: tile for tile in summary([entry], scores["total"], {})}
    assert tiles["Red"] == {"label": "Red", "value": f"{value:.2f} levels", "note": "of all pixels"}

    lineage = Lineage(tmp_path / "run", {}, {}, {})
    lineage.images("heldout")["a"] = {}
    total = {**scores["total"], "intervals": scores["intervals"]}
    lineage.rounds.append(Record(1, scores={"heldout": total}))
    shown = table.text(lineage)
    assert " red" in shown.splitlines()[1]
    assert f"{value:.3f} [{low:.3f}, {high:.3f}]" in shown
    (tmp_path / "run").mkdir()
    table.write(lineage, tmp_path / "run", 1.0)
    content = json.loads((tmp_path / "run/rounds.json").read_text())
    assert content["rows"][1][content["columns"].index("red")] == value
    assert [curve["title"] for curve in content["curves"]][-1] == "red"


def test_a_row_of_masks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    size = Metric(
        key="masked_share",
        label="Masked share",
        measure=lambda against: Ratio(int(against.mask.sum()), against.mask.size),
        note="({part} of {whole} pixels)",
    )
    known = rows.against_truth
    monkeypatch.setattr(rows, "against_truth", lambda protocol="full": (*known(protocol), size))
    for seed in range(3):
        mask = photograph(seed, 20, 24)[..., 0] < 60 + 40 * seed
        write_image(tmp_path / f"mask/{seed}.png", mask)
    options = {
        "masks": {"pred": str(tmp_path / "mask"), "truth": str(tmp_path / "mask")},
        "output": str(tmp_path / "out"),
    }
    part = evaluate(parse(EvaluateOptions, options, "test"))["masks"]
    low, high = part["intervals"]["masked_share"]
    assert low < part["total"]["masked_share"] < high
    text = (tmp_path / "out/scores.txt").read_text("utf-8")
    assert f"Masked share: {part['total']['masked_share']:.2f} [{low:.2f}, {high:.2f}] (" in text
    assert " of 1440 pixels)" in text
    assert label("masked_share") == "Masked share"


def test_keys_are_there_once_and_every_row_has_a_name():
    for metrics in (rows.CHANGE, rows.against_truth(), rows.against_truth("released")):
        keys = [metric.key for metric in metrics]
        assert len(set(keys)) == len(keys)
        assert all(metric.label for metric in metrics)
        for base, group in by_base(metrics).items():
            assert len(group) == 1 or [m.key for m in group] == [f"{base}_before", f"{base}_after"]
        besides = {metric.beside for metric in metrics} - {""}
        assert besides <= by_base(metrics).keys()


def test_the_verdict_of_a_run_asks_for_scores_that_there_are():
    keys = set(re.findall(r'"((?:regions|detail)_\w+)"', inspect.getsource(verdict)))
    assert keys and keys <= {metric.key for metric in rows.CHANGE}


def test_a_mean_before_and_after_is_over_the_same_images():
    def value(comparison: dict[str, float | None], when: str) -> Mean:
        return Mean.of(comparison[when])

    metrics = before_and_after("niqe", "NIQE", value, kind="mean")
    images: list[dict[str, Any]] = [
        {"before": 4.0, "after": 5.0},
        {"before": 6.0, "after": None},
        {"before": float("inf"), "after": 7.0},
    ]
    scores = [measure(metrics, image) for image in images]
    assert values_of(metrics, total_of(scores)) == {"niqe_before": 4.0, "niqe_after": 5.0}
    assert intervals_of(metrics, scores)["niqe_after"] == [5.0, 5.0]


def test_counts_have_no_interval_and_pooled_is_not_the_mean():
    metrics = (
        Metric(key="n", label="n", measure=lambda n: Count(n), kind="count"),
        Metric(key="half", label="half", measure=lambda n: Ratio(n // 2, n)),
    )
    scores = [measure(metrics, n) for n in (1, 9)]
    assert values_of(metrics, total_of(scores)) == {"n": 10, "half": 0.4}
    assert intervals_of(metrics, scores).keys() == {"half"}


def test_what_nobody_met_is_not_printed():
    gt = Metric(key="a", label="a", measure=lambda n: Mean.of(n), kind="mean", needs="gt")
    other = Metric(key="b", label="b", measure=lambda _: Mean(), kind="mean", needs="gt")
    alone = Metric(key="c", label="c", measure=lambda _: Mean(), kind="mean")
    for value, names in ((None, ["c"]), (1.0, ["a", "b", "c"])):
        total = measure((gt, other, alone), value)
        none = dict.fromkeys(total)
        lines = tables.summary((gt, other, alone), total, none).splitlines()
        assert [line.split(":")[0] for line in lines] == names


def test_older_files_had_another_word():
    older = {"components_before": 3, "images": 2, "removal_rate": None, "my_components_x": 1}
    expected = {"regions_before": 3, "images": 2, "removal_rate": None, "my_components_x": 1}
    assert rows.from_older(older) == expected == rows.from_older(expected)
