"""Tables and curves of the report."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from desra.report.tables import (
    CURVE_POINTS,
    interval,
    read_json,
    read_table,
    rounded,
    score_tables,
    values,
)
from desra.utils.errors import InputError
from helpers.report_results import write_scores, write_table


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0, "0"),
        (0.0, "0"),
        (1234567, "1,234,567"),
        (0.5, "0.5000"),
        (4.0, "4"),
        (41.2345, "41.23"),
        (-1.23456, "-1.235"),
        (0.00002, "2.0e-05"),
    ],
)
def test_numbers_for_people(value: Any, text: str) -> None:
    assert rounded(value) == text


def test_intervals_for_people() -> None:
    assert interval([0.25, 0.75]) == "0.2500 to 0.7500"
    assert interval(None) == interval([None, 1.0]) == interval([1.0]) == ""


def test_totals(tmp_path: Path) -> None:
    path = str(write_scores(tmp_path / "scores.json"))
    both, change, masks, curve = score_tables(read_json(path, "scores"), path)
    assert both["columns"] == ["", "before", "after"]
    assert both["rows"] == [
        ["Regions", "4", "3"],
        ["NIQE (lower is better)", "5", "-"],
        ["musiq", "60.25", "61.50"],
    ]
    assert change["columns"] == ["", "value", "95 % interval"]
    assert ["Removal rate (regions)", "0.5000", "0.2500 to 0.7500"] in change["rows"]
    assert ["PSNR to before, outside the masks, pooled (dB)", "41.23", ""] in change["rows"]
    assert masks["rows"] == [["IoU, mean over images", "0.5000"]]
    (series,) = curve["curves"][0]["series"]
    assert len(series["x"]) == len(series["y"]) <= CURVE_POINTS + 1
    assert (series["x"][0], series["x"][-1]) == (0, 1)
    for recall, precision in zip(series["x"], series["y"], strict=True):
        assert precision == pytest.approx(1 - recall * 999 / 2000)


def test_scores_and_rounds_of_version_0_1_0(tmp_path: Path) -> None:
    """It said components for regions."""
    path = tmp_path / "scores.json"
    path.write_text(
        json.dumps(
            {
                "total": {"images": 2, "components_before": 4, "components_after": 3},
                "intervals": {},
                "images": {"a": {"components_removed": 1}},
            }
        )
    )
    both, _ = score_tables(read_json(str(path), "scores"), str(path))
    assert both["rows"] == [["Regions", "4", "3"]]
    assert values({"components_removed": 1, "gone": "x"}) == {"regions_removed": 1}
    rounds = {"title": "Rounds", "columns": ["round", "components left"], "rows": [[0, 9]]}
    path.write_text(json.dumps(rounds))
    assert read_table(str(path))["columns"] == rounds["columns"]


@pytest.mark.parametrize(
    "scores",
    [
        {},
        {"total": None, "masks": None},
        {"masks": {"total": None, "pr_curve": None}},
        {"masks": {"pr_curve": {"recall": [], "precision": []}}},
        {"total": {"nested": {"a": 1}}},
    ],
)
def test_what_is_absent_is_left_out(scores: dict[str, Any]) -> None:
    assert score_tables(scores, "scores.json") == []


def test_a_table_of_another_stage(tmp_path: Path) -> None:
    table = read_table(str(write_table(tmp_path / "rounds.json")))
    assert table["rows"] == [["before", 4], ["1", None]]
    assert table["curves"][0]["series"][1]["y"] == [0, None, 0.25]  # NaN is a gap
    (tmp_path / "short.json").write_text('{"title": "t"}')
    assert read_table(str(tmp_path / "short.json"))["curves"] == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[1]", "must hold an object"),
        ("{", "is no JSON file"),
        ("{}", "title: this key is needed"),
        ('{"title": "t", "colums": []}', "colums: unknown key; did you mean 'columns'?"),
        ('{"title": "t", "columns": ["a"], "rows": [[1], [1, 2]]}', "row 2 has 2 cells"),
        (
            json.dumps(
                {
                    "title": "t",
                    "curves": [
                        {
                            "title": "c",
                            "x": "x",
                            "y": "y",
                            "series": [{"name": "n", "x": [1], "y": []}],
                        }
                    ],
                }
            ),
            "must have the same length, not 1 and 0",
        ),
    ],
)
def test_wrong_files_in_one_sentence(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "table.json"
    path.write_text(content)
    with pytest.raises(InputError, match=re.escape(words)) as caught:
        read_table(str(path))
    assert str(path) in str(caught.value)


def test_missing_file() -> None:
    with pytest.raises(InputError, match="scores: nowhere.json cannot be read: No such file"):
        read_json("nowhere.json", "scores")
    with pytest.raises(InputError, match="scores: x.json: total must be an object"):
        score_tables({"total": [1]}, "x.json")


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ({"total": 3}, "total must be an object"),
        ({"total": {"psnr_outside": 1e400}}, "total"),
        ({"total": {"psnr_outside": 10**400}}, "total"),
        ({"intervals": {"psnr_outside": "wide"}}, "intervals.psnr_outside"),
        ({"intervals": {"psnr_outside": ["a", "b"]}}, "intervals.psnr_outside.0"),
        ({"intervals": [1]}, "intervals must be an object"),
        ({"images": {"a": 3}}, "images.a must be an object"),
        ({"images": []}, "images must be an object"),
        ({"masks": 3}, "masks must be an object"),
        ({"masks": {"pr_curve": {"recall": 3, "precision": [1]}}}, "masks.pr_curve.recall"),
        (
            {"masks": {"pr_curve": {"recall": [0.1], "precision": ["x"]}}},
            "masks.pr_curve.precision",
        ),
        ({"masks": {"pr_curve": {"recall": [0.1], "precision": []}}}, "masks.pr_curve"),
    ],
)
def test_edited_scores_are_one_sentence(content: Any, place: str, tmp_path: Path) -> None:
    file = tmp_path / "scores.json"
    file.write_text(json.dumps(content).replace("Infinity", "1e400"))
    with pytest.raises(InputError, match=rf"^scores: .*scores\.json: {re.escape(place)}.*again$"):
        read_json(str(file), "scores")
