"""The partner of a run's network: given, known, not needed, or asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from desra.networks.pair import partner_of
from desra.options.loading import parse
from desra.options.run import RunOptions
from desra.utils.errors import InputError
from helpers.small import run_settings, save_compact


def test_a_partner_is_found_or_asked_for(lq: Path, tmp_path: Path):
    def partner(**changes: Any) -> Any:
        settings = run_settings(lq, tmp_path / "out", **changes)
        opt = parse(RunOptions, settings, "test")
        return partner_of(opt.sr_gan, opt.sr_mse)

    assert partner().weights == "embedded:mse"
    assert partner(sr_gan={"weights": "RealESRGAN_x4plus"}).weights == "RealESRNet_x4plus"
    mine = {"weights": str(save_compact(tmp_path / "mine.pth"))}
    assert partner(sr_gan=mine, sr_mse={"weights": "a.pth"}).weights == "a.pth"
    with pytest.raises(InputError, match="sr_mse: give the MSE-trained partner of .*mine.pth"):
        partner(sr_gan=mine)
    plan = {"detector": {"type": "bicubic_reference"}}
    assert partner(sr_gan=mine, sr_mse=None, detect=plan) is None
