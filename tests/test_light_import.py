"""``import desra`` is light, and so is all that answers before the work begins."""

from __future__ import annotations

import subprocess
import sys

import pytest

from desra.__main__ import STAGES
from helpers.heavy import HEAVY


def loaded_by(code: str, watched: list[str]) -> list[str]:
    """Those of the watched modules that are loaded after ``code`` in a process of its own."""
    code += f"; import sys; print([name for name in {watched} if name in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    return [name for name in watched if repr(name) in result.stdout.splitlines()[-1]]


def test_the_test_sees_what_is_loaded():
    assert loaded_by("import json, numpy", ["json", "numpy", "torch"]) == ["json", "numpy"]


def test_importing_desra_loads_nothing_heavy():
    assert loaded_by("import desra; assert desra.__version__", [*HEAVY, "pydantic"]) == []


def test_the_list_of_stages_loads_nothing_heavy():
    code = "from desra.__main__ import main; main(['-h'])"
    assert loaded_by(code, [*HEAVY, "pydantic"]) == []


# The options hold settings of desra.artifacts, which needs these two: a tenth of a second.
NEEDED_BY_OPTIONS = ("numpy", "cv2")


@pytest.mark.parametrize("stage", STAGES)
def test_the_help_of_a_stage_loads_nothing_heavy(stage: str):
    code = (
        "import contextlib, runpy, sys\n"
        f"sys.argv = ['', '-h']\n"
        "with contextlib.suppress(SystemExit):\n"
        f"    runpy.run_module('desra.{stage}', run_name='__main__')\n"
        "pass"
    )
    assert loaded_by(code, [n for n in HEAVY if n not in NEEDED_BY_OPTIONS]) == []
