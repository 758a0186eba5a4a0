"""What is written about the library: its pages, the examples in its docstrings, how to cite it."""

from __future__ import annotations

import doctest
import importlib
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


def test_the_citation():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["cff-version"] == "1.2.0" and citation["title"] == "desra"
    assert citation["version"] == desra.__version__
    paper = citation["preferred-citation"]
    assert paper["title"].startswith("DeSRA: Detect and Delete the Artifacts of GAN-based")
    names = [author["family-names"] for author in paper["authors"]]
    assert names == ["Xie", "Wang", "Chen", "Li", "Shan", "Zhou", "Dong"]
    assert paper["url"].endswith("2307.02457") and paper["year"] == 2023


def test_the_changelog_has_this_version():
    assert f"## {desra.__version__} " in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
