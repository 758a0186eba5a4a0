"""A model of one's own: what it must be, and that the training around it asks for no more."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from desra.models import DeSRAModel, TrainableModel
from desra.options.train import TrainOptions
from desra.registry import ARCH_REGISTRY, MODEL_REGISTRY, build
from desra.train import train
from desra.utils.errors import InputError
from helpers.training import opt_of, read


class BareModel(TrainableModel):
    """The contract and nothing else: one weight decays."""

    def __init__(self, opt: TrainOptions):
        self.opt, self.device, self.dtype = opt, torch.device("cpu"), torch.float32
        self.net_g: nn.Module = build(ARCH_REGISTRY, opt.network_g.spec(), "network_g")
        self.optimizers = {"g": torch.optim.SGD(self.net_g.parameters(), lr=0.5)}

    def optimize(self, batch: dict[str, Any], iteration: int) -> dict[str, Tensor]:
        with torch.no_grad():
            for weight in self.net_g.parameters():
                weight.mul_(0.5)
        return {"l_iteration": torch.tensor(float(iteration))}

    def weights(self) -> dict[str, dict[str, Tensor]]:
        return {"params": self.net_g.state_dict()}

    def averaged(self) -> nn.Module:
        return self.net_g

    def preview(self, lq: Tensor) -> Tensor:
        with torch.no_grad():
            return self.net_g(lq)

    def state(self) -> dict[str, Any]:
        return {"net_g": self.net_g.state_dict()}

    def load_state(self, state: dict[str, Any]) -> None:
        self.net_g.load_state_dict(state["net_g"])


class HalfModel(TrainableModel):
    """Lacks most."""

    def __init__(self, opt: TrainOptions):
        raise AssertionError("is never built")

    def averaged(self) -> nn.Module:
        return nn.Identity()


class BasicsrsStepModel(BareModel):
    """Defines the step of basicsr's models, which is never called."""

    def optimize_parameters(self, current_iter: int) -> None:
        raise AssertionError("is never called")


@pytest.fixture(autouse=True)
def registered() -> None:
    for cls in (BareModel, HalfModel, BasicsrsStepModel):
        if cls.__name__ not in MODEL_REGISTRY:
            MODEL_REGISTRY.register(cls)


def test_ours_is_one():
    assert issubclass(DeSRAModel, TrainableModel)


def test_a_model_of_ones_own_trains_and_resumes(
    photographs: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    changes = {"model_type": "BareModel", "scale": 2}
    short = opt_of(tmp_path, photographs, gan=False, train__total_iter=3, **changes)
    before = build(ARCH_REGISTRY, short.network_g.spec(), "").state_dict()
    first = read(train(short))["params"]
    whole = opt_of(tmp_path, photographs, gan=False, train__scheduler=None, **changes)
    assert set(first) == set(before)
    with caplog.at_level(logging.INFO, "desra"), pytest.raises(InputError, match="other options"):
        train(whole)
    last = read(train(whole, overwrite=True))["params"]
    name = next(iter(last))
    torch.testing.assert_close(last[name], first[name] / 8)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("HalfModel", "must be a subclass .*TrainableModel and define load_state, optimize"),
        ("BasicsrsStepModel", r"model_type: .* is never called here; define optimize\(batch"),
        ("SRModel", r"model_type: SRModel must be a subclass of desra\.models\.TrainableModel$"),
        ("Modl", r"model_type\.type: 'Modl' is not registered"),
    ],
)
def test_what_is_no_model_is_said(name: str, words: str, photographs: Path, tmp_path: Path):
    with pytest.raises(InputError, match=words):
        train(opt_of(tmp_path, photographs, gan=False, model_type=name))
    assert not (tmp_path / "tiny").exists()
