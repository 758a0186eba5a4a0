"""What makes a run this run: what the user chose, not what the run sets for each stage."""

from __future__ import annotations

from pathlib import Path

import pytest

from desra.options.loading import parse
from desra.options.run import OWN, RunOptions
from desra.run.identity import chosen, identity, refuse_other
from desra.run.networks import find_networks
from desra.utils.errors import InputError
from helpers.small import run_settings


def test_what_the_run_sets_has_no_part_in_it(lq: Path, tmp_path: Path):
    def keys(output: str, **changes: object) -> dict[str, object]:
        opt = parse(RunOptions, run_settings(lq, tmp_path / output, **changes), "test")
        return identity(opt, find_networks(opt))

    first = keys("a")
    assert first == keys("b", max_rounds=9, min_gain=0.5, device="auto") == chosen(first)
    assert first["detect.mask.min_area"] == 60 and first["train.train.warmup_iter"] == 0
    assert first["train.network_g.type"] == "SRVGGNetCompact" and first["detect.scale"] == 4
    own = [f"{stage}.{key}" for stage, names in OWN.items() for key in names]
    there = [key for key in own if any(k == key or k.startswith(f"{key}.") for k in first)]
    assert sorted(there) == ["detect.scale", "train.network_g", "train.scale"]
    changed = keys("a", evaluate={"sheet_rows": 1, "bootstrap": {"seed": 5}})
    with pytest.raises(InputError, match=r"other options \(evaluate\.bootstrap\.seed: 0 -> 5\)"):
        refuse_other(tmp_path, first, changed)
    refuse_other(tmp_path, {**first, "evaluate.sheet": "none", "detect.masks": None}, first)
