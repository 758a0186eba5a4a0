"""A state that was edited or damaged is one sentence, and nothing of the run is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from desra.train import train
from desra.train.run_folder import KIND
from desra.utils.errors import InputError
from helpers.small import photograph, save_png
from helpers.training import opt_of, read


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photographs")
    for i in range(2):
        save_png(folder / f"p{i}.png", photograph(i, 40, 48))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, photographs: Path) -> Path:
    """A run that is not finished."""
    root = tmp_path_factory.mktemp("runs")
    train(opt_of(root, photographs, train__total_iter=3, train__scheduler=None))
    return root


def other_shape(state: dict[str, Any]) -> None:
    next(iter(state["optimizers"]["g"]["state"].values()))["exp_avg"] = torch.zeros(5)


def no_number(state: dict[str, Any]) -> None:
    next(iter(state["optimizers"]["g"]["state"].values()))["exp_avg"] = b"x"


def no_rate(state: dict[str, Any]) -> None:
    state["optimizers"]["g"]["param_groups"][0]["lr"] = "fast"


def one_beta(state: dict[str, Any]) -> None:
    state["optimizers"]["g"]["param_groups"][0]["betas"] = (0.9,)


def no_switch(state: dict[str, Any]) -> None:
    state["optimizers"]["g"]["param_groups"][0]["amsgrad"] = "yes"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("iteration", "x"),
        ("iteration", -1),
        ("samples", None),
        ("processes", 2),
        ("processes", 0),
        ("best", 3),
        ("rng", []),
        ("rng", {}),
        ("rng.0", 3),
        ("rng.0.torch", 3),
        ("rng.0.torch", torch.zeros(3)),
        ("rng.0.numpy", [1, 2, 3, 4]),
        ("rng.0.python", (3, 4, 5)),
        ("identity", "x"),
        ("net_g", {}),
        ("net_g", None),
        ("net_d", None),
        ("ema", 3),
        ("optimizers", {}),
        ("optimizers.g", 3),
        ("optimizers.g.state", 3),
        ("scalers", None),
        ("data", ...),
        ("rng", ...),
        ("best", ...),
        ("optimizers", ...),
        ("", other_shape),
        ("", no_number),
        ("", no_rate),
        ("", one_beta),
        ("", no_switch),
    ],
)
def test_refused(folder: Path, photographs: Path, path: str, value: Any):
    file = folder / "tiny/training_states/latest.state"
    whole = file.read_bytes()
    state = read(file)
    if callable(value):
        value(state)
    else:
        *parents, last = [int(key) if key.isdigit() else key for key in path.split(".")]
        place: Any = state
        for key in parents:
            place = place[key]
        if value is ...:
            del place[last]
        else:
            place[last] = value
    torch.save(state, file)
    ledger = folder / "tiny" / KIND.ledger  # without it the digest does not tell
    entered = ledger.read_bytes()
    ledger.unlink()
    damaged = file.read_bytes()
    networks = {p: p.read_bytes() for p in (folder / "tiny/models").iterdir()}
    opt = opt_of(folder, photographs, train__total_iter=6, train__scheduler=None)
    try:
        with pytest.raises(
            InputError, match=r"^name: .*latest\.state .* --overwrite to begin anew"
        ):
            train(opt)
        assert file.read_bytes() == damaged
        assert networks == {p: p.read_bytes() for p in (folder / "tiny/models").iterdir()}
    finally:
        file.write_bytes(whole)
        ledger.write_bytes(entered)


@pytest.mark.parametrize("place", [0.001, 0.1, 0.3, 0.5, 0.7, 0.9, 0.999])
@pytest.mark.parametrize(
    "name", ["training_states/latest.state", "models/net_g_latest.pth", "models/net_g_3.pth"]
)
def test_a_flipped_bit_is_seen(folder: Path, photographs: Path, name: str, place: float):
    file = folder / "tiny" / name
    whole = file.read_bytes()
    damaged = bytearray(whole)
    damaged[int(place * len(whole))] ^= 16
    file.write_bytes(damaged)
    opt = opt_of(folder, photographs, train__total_iter=6, train__scheduler=None)
    try:
        with pytest.raises(
            InputError, match=rf"^name: [^\n]*{name} is not as this run wrote it [^\n]*$"
        ):
            train(opt)
        assert file.read_bytes() == damaged
    finally:
        file.write_bytes(whole)


def test_a_damaged_state_can_be_overwritten(photographs: Path, tmp_path: Path):
    """As the sentence about it says."""
    latest = train(opt_of(tmp_path, photographs, train__total_iter=3))
    (tmp_path / "tiny/training_states/latest.state").write_bytes(b"damaged")
    with pytest.raises(InputError, match="give --overwrite to begin anew"):
        train(opt_of(tmp_path, photographs, train__total_iter=3))
    train(opt_of(tmp_path, photographs, train__total_iter=3), overwrite=True)
    assert latest.is_file()
