"""The table of the rounds: numbers where they belong, intervals where they are known."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from desra.run import table
from desra.run.lineage import Lineage, Record
from desra.run.verdict import Verdict

GOOD = Verdict("heldout", 0.5, None)


def scores(left: int, rate: float, **more: Any) -> dict[str, Any]:
    return {
        "regions_before": 24,
        "regions_after": left,
        "regions_added": 1,
        "removal_rate": rate,
        "psnr_outside": 44.204,
        "detail_kept": 0.9404,
        "niqe_before": 5.8,
        "niqe_after": None,
        "intervals": {},
        **more,
    }


@pytest.fixture
def lineage() -> Lineage:
    content = Lineage(Path("nowhere"), {}, {}, {})
    content.images("heldout").update(a={}, b={})
    content.images("finetuned").update(c={})
    interval = {"intervals": {"removal_rate": [0.5, 0.875], "psnr_outside": None}}
    content.rounds.extend(
        [
            Record(1, scores={"heldout": scores(8, 0.75, **interval)}, verdict=GOOD),
            Record(2, scores={"heldout": scores(9, 0.625)}, verdict=replace(GOOD, worse="blur")),
            Record(3),
        ]
    )
    return content


def test_for_the_console(lineage: Lineage):
    title, heads, *rows = table.text(lineage).splitlines()
    assert title == "2 images held out:"
    assert heads.split()[:3] == ["round", "regions", "left"]
    cells = [row.split("  ") for row in rows]
    assert [[c.strip() for c in row if c.strip()] for row in cells] == [
        ["0", "24", "-", "-", "-", "-", "5.80"],
        ["1", "8", "0.75 [0.50, 0.88]", "1", "44.20", "0.940", "-"],
        ["2", "9", "0.62", "1", "44.20", "0.940", "-", "given up"],
    ]


def test_for_reports(lineage: Lineage, tmp_path: Path):
    table.write(lineage, tmp_path, 0.2)
    content = json.loads((tmp_path / "rounds.json").read_text())
    columns, rows = content["columns"], content["rows"]
    assert [dict(zip(columns, row, strict=True)) for row in rows][1] == {
        "images": "held out",
        "round": 1,
        "regions left": 8,
        "removed": 0.75,
        "removed, low": 0.5,
        "removed, high": 0.875,
        "added": 1,
        "PSNR outside (dB)": 44.204,
        "detail kept": 0.9404,
        "NIQE": None,
        "verdict": "",
    }
    curves = {curve["title"]: curve["series"] for curve in content["curves"]}
    assert curves["removed"] == [
        {"name": "held out", "x": [1, 2], "y": [0.75, 0.625]},
        {"name": "held out, low", "x": [1], "y": [0.5]},
        {"name": "held out, high", "x": [1], "y": [0.875]},
    ]
    assert curves["NIQE"] == [{"name": "held out", "x": [0], "y": [5.8]}]
    assert "0.2 times the area" in content["note"]

    assert lineage.rounds[0].scores
    lineage.rounds[0].scores["heldout"]["intervals"] = {}
    table.write(lineage, tmp_path, 1.0)
    content = json.loads((tmp_path / "rounds.json").read_text())
    assert "removed, low" not in content["columns"]
    assert {len(row) for row in content["rows"]} == {len(content["columns"])}
    assert "times the area" not in content["note"]
