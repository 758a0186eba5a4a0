"""Pairs of networks that are none: one warning each."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from desra.models import SRPair
from desra.registry import ARCH_REGISTRY, find
from helpers.small import save_compact


def test_the_same_network_twice(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    one, other = save_compact(tmp_path / "a.pth"), save_compact(tmp_path / "b.pth")
    SRPair.from_checkpoints(one, other, device="cpu")
    (warning,) = caplog.messages
    assert "sr_gan and sr_mse are the same network" in warning


def test_a_partner_of_another_kind(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    torch.manual_seed(0)
    net = find(ARCH_REGISTRY, "SRVGGNetCompact", "")(num_feat=8, num_conv=1, upscale=2)
    torch.save({"params": net.state_dict()}, tmp_path / "wide.pth")
    SRPair.from_checkpoints(save_compact(tmp_path / "a.pth"), tmp_path / "wide.pth", device="cpu")
    (warning,) = caplog.messages
    assert "of another kind or size" in warning


def test_a_pair(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    gan, mse = save_compact(tmp_path / "a.pth", seed=1), save_compact(tmp_path / "b.pth", seed=2)
    SRPair.from_checkpoints(gan, mse, device="cpu")
    SRPair.from_checkpoints(gan, None, device="cpu")
    SRPair.embedded(device="cpu")
    assert not caplog.messages
