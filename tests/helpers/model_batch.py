"""Batches for `DeSRAModel`."""

from __future__ import annotations

import torch
from torch import Tensor


def batch(seed: int = 0) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return {
        "lq": torch.rand((2, 3, 8, 8), generator=draw),
        "gt": torch.rand((2, 3, 16, 16), generator=draw),
        "mask": (torch.rand((2, 1, 16, 16), generator=draw) > 0.7).float(),
    }
