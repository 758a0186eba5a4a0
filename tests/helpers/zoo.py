"""A site that serves a small zoo."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.small import save_compact
from helpers.zoo_server import Site

NETWORK_G = {"type": "SRVGGNetCompact", "num_feat": 4, "num_conv": 1, "upscale": 2}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(save_compact(tmp_path / "theirs.pth").read_bytes())
    yield site
    site.close()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
