"""Networks that cannot take the crops are said before a step; a trial leaves no trace."""

from __future__ import annotations

import copy
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from desra.models import DeSRAModel
from desra.models.trial import try_network
from desra.options.loading import parse
from desra.options.train import TrainOptions
from desra.utils.errors import InputError
from helpers.small import train_settings

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("section", "words"),
    [
        (
            {"type": "EDVR", "num_feat": 8},
            r"network_d\.type: EDVR, which takes \(x\), cannot",
        ),
        ({"type": "SpyNet"}, r"network_d\.type: SpyNet, which takes \(ref, supp\), cannot be run"),
        ({"type": "UNetDiscriminatorSN", "num_in_ch": 2}, "to have 2 channels, but got 3"),
    ],
)
def test_a_discriminator_of_something_else(section: dict[str, Any], words: str, tmp_path: Path):
    settings = train_settings(tmp_path, tmp_path, gan=True) | {"network_d": section}
    with pytest.raises(InputError, match=words) as error:
        DeSRAModel(parse(TrainOptions, settings, "test"))
    assert "net(images) with float32 (N, 3, " in str(error.value)


class Net(nn.Module):
    """What it makes is that of a function."""

    def __init__(self, make: Any) -> None:
        super().__init__()
        self.make = make
        self.norm = nn.BatchNorm2d(3)

    def forward(self, images: Tensor) -> Any:
        return self.make(self.norm(images))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda images: [images], "makes list of float32"),
        (lambda images: images.long(), r"makes \(1, 3, 8, 8\) of float32"),
        (lambda images: images[..., :0], r"makes \(1, 3, 8, 0\)"),
        (lambda images: images.no_such, "AttributeError"),
    ],
)
def test_what_makes_no_logits(make: Any, words: str):
    with pytest.raises(InputError, match=words):
        try_network(Net(make), "network_d", 8, None, CPU)


def test_another_size_than_the_crops():
    with pytest.raises(InputError, match=r"makes \(1, 3, 8, 8\) .* must give \(N, 3, 16, 16\)"):
        try_network(Net(lambda images: images), "network_g", 8, (3, 16, 16), CPU)


def test_memory_is_not_judged():
    def large(_: Tensor) -> Tensor:
        raise torch.OutOfMemoryError

    try_network(Net(large), "network_d", 8, None, CPU)


def test_no_trace_is_left():
    net = Net(lambda images: images + torch.rand(1) + random.random() + np.random.random())
    before = copy.deepcopy(net.state_dict())
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    try_network(net, "network_g", 8, (3, 8, 8), CPU)
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1:] == (random.getstate(), np.random.get_state()[1].tolist())
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name])
