"""Options and states of small training runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from desra.options.loading import parse
from desra.options.train import TrainOptions
from helpers.small import train_settings


def opt_of(root: Path, photographs: Path, gan: bool = True, **changes: Any) -> TrainOptions:
    """Tiny options; ``changes`` are ``section__key``."""
    settings = train_settings(root, photographs, gan)
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = settings
        for key in parents:
            place = place[key]
        place[last] = value
    return parse(TrainOptions, settings, "test")


def read(path: Path) -> dict[str, Any]:
    return torch.load(path, weights_only=True)


def same(a: Any, b: Any) -> bool:
    """Equal bit for bit, all the way down."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return set(a) == set(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b
