"""The examples in the docstrings run and say the truth."""

from __future__ import annotations

import doctest
import importlib

import pytest


@pytest.mark.parametrize(
    "name",
    [
        "artifacts.borders",
        "artifacts.local_variance",
        "artifacts.mask",
        "artifacts.pseudo_gt",
        "artifacts.semantic",
        "metrics.curve",
        "metrics.mask_scores",
    ],
)
def test_examples(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"desra.{name}"))
    assert result.attempted > 0 and result.failed == 0
