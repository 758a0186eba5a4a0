"""Optimisers and schedules by their sections: rates by a closed form, what is wrong in words."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from desra.models.schedules import make_optimizer, make_schedule
from desra.options.train import OptimizerOptions, StepOptions
from desra.utils.errors import InputError


def step_of(**changes: Any) -> StepOptions:
    plain = {"total_iter": 10, "optim_g": {"lr": 1.0}, "losses": {"pix": {"type": "L1Loss"}}}
    return StepOptions.model_validate({**plain, **changes})


def rates(step: StepOptions) -> list[float]:
    """The learning rate of each iteration."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule, found = make_schedule(step, optimizer), []
    for _ in range(step.total_iter):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if schedule is not None:
            schedule.step()
    return found


def test_an_optimizer_of_what_learns():
    net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    net[0].requires_grad_(False)
    section = OptimizerOptions.model_validate({"type": "SGD", "lr": 0.5, "momentum": 0.9})
    optimizer = make_optimizer(section, net, "train.optim_g")
    assert type(optimizer) is torch.optim.SGD
    (group,) = optimizer.param_groups
    assert [id(p) for p in group["params"]] == [id(p) for p in net[1].parameters()]
    assert (group["lr"], group["momentum"]) == (0.5, 0.9)


@pytest.mark.parametrize("name", ["Adamm", "lr_scheduler", "functional"])
def test_an_optimizer_that_does_not_exist(name: str):
    section = OptimizerOptions(type=name)
    with pytest.raises(InputError, match=rf"^train\.optim_d\.type: torch\.optim has no '{name}'$"):
        make_optimizer(section, nn.Linear(1, 1), "train.optim_d")


def test_arguments_that_are_not_taken():
    section = OptimizerOptions.model_validate({"type": "Adam", "lrr": 1})
    with pytest.raises(InputError, match=r"^train\.optim_g: Adam does not take these options: "):
        make_optimizer(section, nn.Linear(1, 1), "train.optim_g")
    with pytest.raises(InputError, match=r"^train\.scheduler: StepLR does not take these options"):
        rates(step_of(scheduler={"type": "StepLR"}))


def test_rates():
    assert make_schedule(step_of(), torch.optim.SGD([torch.zeros(1)], lr=1.0)) is None
    assert rates(step_of(warmup_iter=4)) == pytest.approx([0.25, 0.5, 0.75, *[1.0] * 7])
    stepped = {"type": "MultiStepLR", "milestones": [2, 7], "gamma": 0.5}
    assert rates(step_of(scheduler=stepped)) == pytest.approx([1] * 2 + [0.5] * 5 + [0.25] * 3)
    both = [0.25, 0.5, *[0.375], *[0.5] * 4, *[0.25] * 3]
    assert rates(step_of(scheduler=stepped, warmup_iter=4)) == pytest.approx(both)


@pytest.mark.parametrize("name", ["LBFGS", "SparseAdam", "Optimizer"])
def test_an_optimizer_that_cannot_step_as_a_training_does(name: str):
    section = OptimizerOptions.model_validate({"type": name})
    with pytest.raises(InputError, match=rf"^train\.optim_g: {name} "):
        make_optimizer(section, nn.Linear(1, 1), "train.optim_g")


@pytest.mark.parametrize(
    "options",
    [
        {"lr": "fast"},
        {"lr": True},
        {"lr": float("nan")},
        {"lr": float("inf")},
        {"betas": 3},
        {"betas": [0.9]},
        {"weight_decay": "x"},
        {"lr": {}},
    ],
)
def test_an_optimizer_of_wrong_types(options: dict[str, Any]):
    section = OptimizerOptions.model_construct(**{"type": "Adam", **options})
    with pytest.raises(InputError, match=rf"^train\.optim_g.*{next(iter(options))}"):
        make_optimizer(section, nn.Linear(1, 1), "train.optim_g")


@pytest.mark.parametrize(
    "scheduler",
    [
        {"type": "StepLR", "step_size": 0},
        {"type": "StepLR", "step_size": "x"},
        {"type": "StepLR", "step_size": 2, "gamma": -1},
        {"type": "MultiStepLR", "milestones": 5},
        {"type": "MultiStepLR", "milestones": ["a"]},
        {"type": "CosineAnnealingLR", "T_max": 0},
        {"type": "CosineAnnealingLR", "eta_min": -1},
        {"type": "CosineAnnealingRestartLR", "periods": "ab"},
        {"type": "CosineAnnealingRestartLR", "periods": [10], "restart_weights": 3},
        {"type": "MultiStepRestartLR", "milestones": [3], "restarts": 4},
    ],
)
def test_a_schedule_of_wrong_types(scheduler: dict[str, Any]):
    with pytest.raises(ValueError, match="scheduler"):  # by the options, or as it is built
        rates(step_of(scheduler=scheduler))
