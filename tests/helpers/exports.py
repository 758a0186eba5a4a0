"""Checkpoints to export, and what is said of those that cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from desra import export
from desra.networks.sr_network import SRNetwork
from desra.registry import ARCH_REGISTRY, build

RRDB = {
    "type": "RRDBNet",
    "num_in_ch": 3,
    "num_out_ch": 3,
    "num_feat": 8,
    "num_block": 2,
    "num_grow_ch": 32,
}


def save(path: Path, network_g: dict[str, Any], key: str = "params", seed: int = 0) -> Path:
    torch.manual_seed(seed)
    torch.save({key: build(ARCH_REGISTRY, network_g, "").state_dict()}, path)
    return path


def desra_image(weights: Path | str, image: np.ndarray) -> np.ndarray:
    return SRNetwork.from_checkpoint(weights, device="cpu", precision="fp32")(image)


def refusal(capsys: pytest.CaptureFixture[str], *argv: object) -> str:
    assert export.main([str(a) for a in argv]) == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said and said.count("error: ") == 1
    return said
