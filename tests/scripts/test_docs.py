"""What is written about the library: its pages, the examples in its docstrings, the change log."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import desra
from helpers.paths import ROOT


@pytest.mark.slow
def test_the_pages_of_the_api_are_built_without_a_warning(tmp_path: Path):
    pytest.importorskip("pdoc")
    command = [sys.executable, str(ROOT / "scripts/docs/build.py"), str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    page = (tmp_path / "desra/networks/sr_network.html").read_text(encoding="utf-8")
    assert 'id="SRNetwork.from_checkpoint"' in page and 'id="SRNetwork.__call__"' in page
    assert 'id="SRNetwork._fill"' not in page
    # A shape that is not marked as code loses its asterisks.
    pages = [path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.html")]
    assert len(pages) > 40 and not any("<em>scale" in text for text in pages)


@pytest.mark.parametrize("name", ["networks.sr_network", "networks.pair", "networks.load"])
def test_examples_in_docstrings(name: str):
    import torch

    module = importlib.import_module(f"desra.{name}")
    result = doctest.testmod(module, extraglobs={"torch": torch})
    assert result.attempted and not result.failed


def test_the_changelog_has_this_version():
    text = (ROOT / ".github/CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## {desra.__version__} " in text and "## Unreleased" in text


def test_the_new_names_in_the_changelog_exist():
    """In the table of moved modules; where one ends in ``*``, its package does."""
    text = (ROOT / ".github/CHANGELOG.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"Modules that notebooks.*?\n\n(.*?)\n\n", text, flags=re.DOTALL)
    names = [
        n
        for row in table.splitlines()[2:]
        for n in re.findall(r"`(desra\.[\w.*]+)`", row.split("|")[2])
    ]
    assert len(names) > 25
    for name in names:
        pkgutil.resolve_name(name.removesuffix(".*"))


def test_the_workflow_and_the_forms():
    folder = ROOT / ".github"
    workflow = yaml.safe_load((folder / "workflows/ci.yml").read_text(encoding="utf-8"))
    steps = workflow["jobs"]["test"]["steps"]
    assert [step["run"] for step in steps if "run" in step] == [".ci/run"]
    forms = sorted((folder / "ISSUE_TEMPLATE").glob("*.yml"))
    assert len(forms) == 2
    for form in forms:
        content = yaml.safe_load(form.read_text(encoding="utf-8"))
        assert {"name", "description", "body"} <= content.keys()
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    entries = [hook["entry"] for repo in hooks["repos"] for hook in repo["hooks"]]
    assert entries == ["ruff check --fix", "ruff format"]
