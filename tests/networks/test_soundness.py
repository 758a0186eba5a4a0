"""Weights that no network can be run with are told, whatever is odd in them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from desra.networks.soundness import fault_of


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        (torch.empty(2, 3, device="meta"), "without values (on the device meta), a.weight"),
        (torch.empty(2, 3, dtype=torch.int64, device="meta"), "without values"),
        (torch.eye(3).to_sparse(), "sparse, a.weight"),
        (torch.eye(3).to_sparse_csr(), "sparse, a.weight"),
        (torch.eye(3, dtype=torch.int64), "has int64 numbers in a.weight"),
        (torch.tensor([1.0, torch.nan]), "1 of 2 values in a.weight"),
    ],
)
@pytest.mark.filterwarnings("ignore:Sparse CSR")
def test_faults(tensor: Tensor, words: str) -> None:
    fault = fault_of({"a.bias": torch.zeros(3), "a.weight": tensor})
    assert fault is not None and words in fault


def test_good_weights() -> None:
    tensors = {"a.weight": torch.eye(3, dtype=torch.float16), "a.count": torch.tensor(3)}
    assert fault_of(tensors | {"b.weight": torch.zeros(()).expand(3, 3)}) is None
