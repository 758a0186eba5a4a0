"""Fixtures of all tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.small import photograph, save_compact, save_png
from helpers.zoo_server import Site


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """A folder of three photographs of 48x56 pixels."""
    for i in range(3):
        save_png(tmp_path / "photographs" / f"p{i}.png", photograph(i, 48, 56))
    return tmp_path / "photographs"


@pytest.fixture
def lq(tmp_path: Path) -> Path:
    """A folder of five photographs of 32 x 40 pixels."""
    for i in range(5):
        save_png(tmp_path / "lq" / f"p{i}.png", photograph(i, 32, 40))
    return tmp_path / "lq"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A download site that serves a small network."""
    site = Site(save_compact(tmp_path / "served.pth").read_bytes())
    yield site
    site.close()
