"""Which images a run takes in, and on which side: by content, and for good."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from desra.io.images import write_image
from desra.io.ledger import Ledger
from desra.options.loading import parse
from desra.options.run import RunOptions
from desra.run import images
from desra.run.folder import KIND
from desra.run.lineage import Lineage
from desra.utils.errors import InputError
from helpers.small import photograph, run_settings, save_png


def opt_of(lq: Path, output: Path, **changes: Any) -> RunOptions:
    return parse(RunOptions, run_settings(lq, output, **changes), "test")


def take_in(opt: RunOptions, lineage: Lineage, number: int) -> dict[str, list[str]]:
    with Ledger(opt.output, KIND) as ledger:
        return images.take_in(opt, lineage, number, ledger)


def new_lineage() -> Lineage:
    return Lineage(Path("nowhere"), {}, {}, {})


def test_an_image_keeps_its_side_when_others_join(lq: Path, tmp_path: Path):
    opt = opt_of(lq, tmp_path / "out", holdout_share=0.4)
    lineage = new_lineage()
    first = take_in(opt, lineage, 1)
    assert {side: len(names) for side, names in first.items()} == {"heldout": 2, "finetuned": 3}
    for i in range(100):
        save_png(lq / f"more{i}.png", photograph(100 + i, 8, 8))
    second = take_in(opt, lineage, 2)
    assert set(second["heldout"]) | set(second["finetuned"]) == {f"more{i}" for i in range(100)}
    assert abs(len(second["heldout"]) - 40) < 4 * np.sqrt(100 * 0.4 * 0.6)
    other = opt.model_copy(update={"manual_seed": 1, "output": str(tmp_path / "other")})
    third = take_in(other, new_lineage(), 1)
    assert set(third["heldout"]) != set(first["heldout"]) | set(second["heldout"])


def test_what_is_held_out_is_not_finetuned_on_whatever_its_name(lq: Path, tmp_path: Path):
    save_png(tmp_path / "held/other.png", photograph(2, 32, 40))
    opt = opt_of(lq, tmp_path / "out", holdout=str(tmp_path / "held"))
    joined = take_in(opt, new_lineage(), 1)
    assert joined == {"heldout": ["other"], "finetuned": ["p0", "p1", "p3", "p4"]}
    opt = opt_of(lq, tmp_path / "out2", holdout=str(lq))
    with pytest.raises(InputError, match="no image of .* is left to finetune on"):
        take_in(opt, new_lineage(), 1)


def test_what_a_killed_process_has_copied_does_not_stay(lq: Path, tmp_path: Path):
    opt, stray = opt_of(lq, tmp_path / "out"), tmp_path / "out/images/finetuned/stray.png"
    with Ledger(opt.output, KIND):
        write_image(stray, photograph(9, 8, 8))
    save_png(foreign := stray.with_name("foreign.png"), photograph(9, 8, 8))
    take_in(opt, lineage := new_lineage(), 1)
    assert foreign.exists(), "a file that the run did not put there"
    foreign.unlink()
    assert not stray.exists() and "stray" not in lineage.images("finetuned")
    left = {file.stem for file in stray.parent.iterdir()}
    assert left == set(lineage.images("finetuned"))


def test_luck_is_uniform_and_of_content_and_seed():
    draws = np.array([images.luck(str(n), 0) for n in range(4000)])
    assert abs(draws.mean() - 0.5) < 4 * np.sqrt(1 / 12 / 4000) and 0 <= draws.min()
    assert draws.max() < 1
    assert images.luck("7", 0) == draws[7] != images.luck("7", 1)
