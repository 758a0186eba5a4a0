"""A small network of a zoo, and sums of files."""

from __future__ import annotations

import hashlib

NETWORK_G = {"type": "SRVGGNetCompact", "num_feat": 4, "num_conv": 1, "upscale": 2}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
