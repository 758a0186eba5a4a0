"""Checkpoints: the right key, safe loading, atomic writing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from desra import checkpoints
from desra.errors import InputError


def net(value: float) -> nn.Conv2d:
    conv = nn.Conv2d(1, 1, 1)
    nn.init.constant_(conv.weight, value)
    nn.init.constant_(conv.bias, value)
    return conv


def saved(content: object, path: Path) -> str:
    torch.save(content, path)
    return str(path)


def loaded(path: str) -> float:
    target = net(-1)
    checkpoints.load_into(target, path, "key")
    assert target.weight.item() == target.bias.item()
    return target.weight.item()


A, B = net(1).state_dict(), net(2).state_dict()


@pytest.mark.parametrize(
    ("content", "value"),
    [
        ({"params": A, "params_ema": B}, 2),
        ({"params_ema": B, "params": A}, 2),
        ({"params": A}, 1),
        (dict(A), 1),
        ({"params": {f"module.{k}": v for k, v in B.items()}}, 2),
        ({f"module.{k}": v for k, v in B.items()}, 2),
        ({**A, "iteration": 7}, 1),
    ],
)
def test_the_right_tensors_are_found(content: object, value: float, tmp_path: Path):
    assert loaded(saved(content, tmp_path / "n.pth")) == value


def test_safetensors(tmp_path: Path):
    save_file(dict(B), tmp_path / "n.safetensors")
    assert loaded(str(tmp_path / "n.safetensors")) == 2


@pytest.mark.parametrize("name", ["n.pth", "n.safetensors"])
@pytest.mark.parametrize("kept", [0.5, 0.9, 0])
def test_a_truncated_file(name: str, kept: float, tmp_path: Path):
    path = tmp_path / name
    if path.suffix == ".pth":
        saved({"params": A}, path)
    else:
        save_file(dict(A), path)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(InputError, match=name):
        loaded(str(path))


class Evil:
    def __init__(self, sign: Path):
        self.sign = sign

    def __reduce__(self):
        return os.mkdir, (str(self.sign),)


def test_code_is_refused_and_not_run(tmp_path: Path):
    sign = tmp_path / "sign"
    path = saved({"params": A, "extra": Evil(sign)}, tmp_path / "n.pth")
    with pytest.raises(InputError, match="cannot be loaded safely"):
        loaded(path)
    assert not sign.exists()
    torch.load(path, weights_only=False)  # the trap works where it is not guarded against
    assert sign.exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([1, 2], "holds a list, not a dictionary"),
        ({"iteration": 3}, "no weights in it; its keys are iteration"),
        ({"weight": torch.zeros(1, 1, 1, 1)}, "Missing key.*bias"),
        ({**A, "more": torch.zeros(1)}, "Unexpected key.*more"),
        ({**A, "weight": torch.zeros(2, 1, 1, 1)}, "size mismatch for weight"),
    ],
)
def test_what_does_not_fit_is_said(content: object, reason: str, tmp_path: Path):
    with pytest.raises(InputError, match=reason):
        loaded(saved(content, tmp_path / "n.pth"))


@pytest.mark.parametrize("name", ["none.pth", "embedded:psnr", "."])
def test_a_missing_file(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="weights: "):
        checkpoints.resolve(name)


def test_saving_is_all_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "deep" / "n.pth"
    checkpoints.save_atomically({"params": A}, path)
    assert loaded(str(path)) == 1

    def half(content: object, file: BinaryIO) -> None:
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(OSError, match="disk full"):
        checkpoints.save_atomically({"params": B}, path)
    assert loaded(str(path)) == 1
    assert [p.name for p in path.parent.iterdir()] == ["n.pth"]
