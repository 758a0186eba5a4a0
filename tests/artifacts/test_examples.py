"""The examples in the docstrings run and say the truth."""

from __future__ import annotations

import doctest
import importlib

import pytest


@pytest.mark.parametrize(
    "name", ["borders", "curve", "local_variance", "mask", "pseudo_gt", "scores", "semantic"]
)
def test_examples(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"desra.artifacts.{name}"))
    assert result.attempted > 0 and result.failed == 0
