"""The names of the package itself, and what its docstring says of its parts."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import desra
from desra.__main__ import STAGES
from helpers.paths import ROOT

PACKAGE = ROOT / "desra"
NAMES = {
    "ArtifactFinder": "desra.finder",
    "SRPair": "desra.networks.pair",
    "artifact_map": "desra.artifacts",
    "MaskRule": "desra.artifacts",
    "compose_pseudo_gt": "desra.artifacts",
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_that_of_its_module(name: str):
    assert getattr(desra, name) is getattr(importlib.import_module(NAMES[name]), name)


def test_dir_lists_the_names_before_they_are_loaded():
    code = "import desra; print(dir(desra))"
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    assert set(ast.literal_eval(result.stdout)) >= {*NAMES, "__version__"}
    assert set(desra.__all__) == {*NAMES, "__version__"}


def test_type_checkers_see_the_same_names():
    tree = ast.parse((PACKAGE / "__init__.py").read_text("utf-8"))
    (block,) = (n for n in tree.body if isinstance(n, ast.If))
    assert ast.unparse(block.test) == "TYPE_CHECKING"
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    assert {alias.name: node.module for node in imports for alias in node.names} == NAMES


def test_an_unknown_name():
    with pytest.raises(AttributeError, match="module 'desra' has no attribute 'Artifact'"):
        _ = desra.Artifact  # type: ignore[attr-defined]


def test_the_docstring_names_every_part():
    said = desra.__doc__ or ""
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "__main__"}
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    missing = [name for name in modules | folders if f"`desra.{name}`" not in said]
    assert not missing and STAGES.keys() <= modules | folders


def test_types_are_declared():
    assert Path(desra.__file__).with_name("py.typed").is_file()


def test_the_torch_that_is_asked_for_reads_safely():
    """CVE-2025-32434 is mended in 2.6, CVE-2026-24747 in 2.10."""
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    bounds = re.findall(r'"torch(\W[^"]*)"', project)
    assert bounds == [">=2.10"]
