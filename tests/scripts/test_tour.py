"""The notebook: it runs from top to bottom, and shows what it would show."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from desra.__main__ import STAGES
from helpers.paths import ROOT
from helpers.scripts import load_script

NOTEBOOK = ROOT / "scripts" / "tour.ipynb"
CELLS: list[dict[str, Any]] = json.loads(NOTEBOOK.read_text("utf-8"))["cells"]
CODE = [cell for cell in CELLS if cell["cell_type"] == "code"]
PROSE = [cell for cell in CELLS if cell["cell_type"] == "markdown"]


def text(cell: dict[str, Any]) -> str:
    source = cell["source"]
    return source if isinstance(source, str) else "".join(source)


def pictures(cells: list[Any]) -> list[int]:
    """How many pictures each cell shows."""
    return [
        sum("image/jpeg" in output.get("data", {}) for output in cell["outputs"]) for cell in cells
    ]


def test_it_holds_its_pictures_and_is_small():
    assert NOTEBOOK.stat().st_size < 3e6
    assert sum(pictures(CODE)) >= 10
    assert [cell["execution_count"] for cell in CODE] == list(range(1, len(CODE) + 1))
    kinds = {output["output_type"] for cell in CODE for output in cell["outputs"]}
    assert "error" not in kinds


def test_cells_are_short_and_prose_holds_no_figures_that_code_prints():
    lines = [sum(bool(line.strip()) for line in text(cell).splitlines()) for cell in CODE]
    assert max(lines) <= 10
    for cell in PROSE:
        assert not re.findall(r"\d+\.\d|\d ?%|\d+ (?:dB|s|regions|pictures)\b", text(cell))


def test_files_and_stages_that_it_names_exist():
    whole = "\n".join(map(text, CELLS))
    paths = re.findall(r"options/(?:[\w/]+\.yml|\w+/)", whole)
    assert "options/detect.yml" in paths
    assert not [path for path in paths if not (ROOT / path).exists()]
    stages = re.findall(r"python -m desra\.(\w+)", whole)
    assert stages and set(stages) <= STAGES.keys()


@pytest.mark.slow
def test_it_runs_from_top_to_bottom():
    for module in ("nbclient", "ipykernel", "matplotlib"):
        pytest.importorskip(module, reason=f"no {module} (pip install 'desra[notebook]')")
    module = load_script("run_tour.py")
    cells = [cell for cell in module.run().cells if cell.cell_type == "code"]  # raises if one fails
    assert pictures(cells) == pictures(CODE)  # as many as are kept in the repository
    printed = "".join(o.get("text", "") for cell in cells for o in cell.outputs)
    match = re.search(r"regions: (\d+) before, of these (\d+) removed", printed)
    assert match and 0 < int(match[2]) <= int(match[1])
    assert not [o for cell in cells for o in cell.outputs if o.get("name") == "stderr"]
