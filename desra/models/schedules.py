"""Optimisers and learning-rate schedules, as the sections of the options describe them."""

import math
import warnings
from typing import Any, cast

import torch
from torch import nn
from torch import optim as optimizers
from torch.optim import lr_scheduler
from torch.optim.optimizer import Optimizer

from desra.options.base import RegisteredClass
from desra.options.train import OptimizerOptions, StepOptions
from desra.registry import CosineAnnealingRestartLR, MultiStepRestartLR, construct
from desra.utils.arguments import shown
from desra.utils.errors import InputError

_PLAIN: dict[str, type] = {
    "MultiStepLR": lr_scheduler.MultiStepLR,
    "CosineAnnealingLR": lr_scheduler.CosineAnnealingLR,
    "StepLR": lr_scheduler.StepLR,
    "ConstantLR": lr_scheduler.ConstantLR,
}
#: basicsr's, which set the rate anew at a restart.
_RESTARTING: dict[str, type] = {
    "CosineAnnealingRestartLR": CosineAnnealingRestartLR,
    "MultiStepRestartLR": MultiStepRestartLR,
}
#: Steps of a schedule that are tried before a training.
_TRIED = 1000


def make_optimizer(section: OptimizerOptions, net: nn.Module, key: str) -> Optimizer:
    """Make an optimiser of torch, of those weights that learn.

    Args:
        section: its name in ``torch.optim`` and its arguments.
        net: the network.
        key: the section's key path, for messages.

    Raises:
        InputError: no such optimiser, arguments that it does not take, or one that cannot make a
            step as a training does.
    """
    cls = getattr(optimizers, section.type, None)
    if not isinstance(cls, type):
        raise InputError(f"{key}.type: torch.optim has no '{section.type}'")
    learning = [p for p in net.parameters() if p.requires_grad]
    optimizer = _build(cls, section, key, learning)
    _try_step(section, learning[0].device, key)
    return optimizer


def make_schedule(step: StepOptions, optimizer: Optimizer) -> Any:
    """Make warm-up and schedule in one, to be stepped once an iteration; None: there is neither.

    Args:
        step: ``warmup_iter``, ``scheduler`` and ``total_iter``.
        optimizer: whose rates it sets.

    Raises:
        InputError: no such schedule, arguments that it does not take or that do not go together, or
            a warm-up that it would undo.
    """
    section, parts = step.scheduler, list[Any]()
    if section is not None:
        _check_lists(section)
    if section is not None and section.type in _RESTARTING:
        _check_restarts(step, section)
        _try_schedule(section, step)
        return _build(_RESTARTING[section.type], section, "train.scheduler", optimizer)
    if step.warmup_iter:
        # LinearLR multiplies the rate that it finds; LambdaLR would set it anew at every step
        # and so undo the schedule chained to it.
        first, steps = 1 / step.warmup_iter, step.warmup_iter - 1
        parts.append(lr_scheduler.LinearLR(optimizer, first, total_iters=steps))
    if section is not None:
        if section.type not in _PLAIN:
            raise InputError(
                f"train.scheduler.type: '{section.type}' is not one of "
                f"{', '.join((*_PLAIN, *_RESTARTING))}"
            )
        extra = {}
        if section.type == "CosineAnnealingLR" and "T_max" not in section.spec():
            extra["T_max"] = step.total_iter
        _try_schedule(section, step, **extra)
        parts.append(_build(_PLAIN[section.type], section, "train.scheduler", optimizer, **extra))
    return lr_scheduler.ChainedScheduler(parts) if parts else None


def _check_lists(section: RegisteredClass) -> None:
    """Refuse what is no list of numbers, 0 or more, where the schedules take one."""
    for key, value in section.spec().items():
        if key not in ("milestones", "periods", "restarts", "restart_weights"):
            continue
        numbers: list[Any] = cast(list[Any], value) if isinstance(value, list) else [None]
        if not all(type(number) in (int, float) and number >= 0 for number in numbers):
            raise InputError(
                f"train.scheduler.{key}: must be a list of numbers, each 0 or more, such as "
                f"[1000, 2000] (given: {value!r})"
            )


def _check_restarts(step: StepOptions, section: RegisteredClass) -> None:
    if step.warmup_iter:
        raise InputError(
            f"train.warmup_iter: {section.type} sets the rate anew and would undo a warm-up; "
            "set it to 0, or choose MultiStepLR or CosineAnnealingLR"
        )
    spec = section.spec()
    for key, pair in (("periods", "restart_weights"), ("restarts", "restart_weights")):
        if key in spec and len(spec[key]) != len(spec.get(pair, [1])):
            raise InputError(f"train.scheduler: {key} and {pair} must be equally long")
    if sum(spec.get("periods", [step.total_iter])) < step.total_iter:
        raise InputError(
            f"train.scheduler.periods: they end after {sum(spec['periods'])} iterations, "
            f"before total_iter, {step.total_iter}"
        )


def _build(cls: type, section: RegisteredClass, key: str, *first: Any, **extra: Any) -> Any:
    """Build an object of a class with the section's arguments."""
    arguments = {k: v for k, v in section.spec().items() if k != "type"}
    return construct(cls, key, arguments, first, extra)


def _try_step(section: OptimizerOptions, device: torch.device, key: str) -> None:
    """Make a step with an optimiser of the section, of a weight of its own.

    Raises:
        InputError: it cannot step as a training does.
    """
    weight = nn.Parameter(torch.ones(2, 2, device=device))
    try:
        optimizer = _build(getattr(optimizers, section.type), section, key, [weight])
        weight.square().sum().backward()
        optimizer.step()
        finite = bool(torch.isfinite(weight).all())
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"{key}: {section.type} cannot make a step ({type(error).__name__}: {error}); it must "
            "update dense weights by step() alone, without a closure; take another, such as Adam"
        ) from error
    if not finite:
        raise InputError(
            f"{key}: a step of {section.type} with these options is not finite "
            f"(given: {shown(section.spec())}); lower its rate"
        )


def _try_schedule(section: RegisteredClass, step: StepOptions, **extra: Any) -> None:
    """Make the first steps of a schedule, with a rate of 1.

    Raises:
        InputError: it fails, or gives rates that are no rates.
    """
    optimizer = optimizers.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    key, cls = "train.scheduler", {**_PLAIN, **_RESTARTING}[section.type]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the order of optimizer.step() and scheduler.step()
        schedule = _build(cls, section, key, optimizer, **extra)
        for _ in range(min(step.total_iter, _TRIED)):
            try:
                schedule.step()
                rate = float(optimizer.param_groups[0]["lr"])
            except Exception as error:
                raise InputError(
                    f"{key}: {section.type} cannot make a step ({type(error).__name__}: {error}; "
                    f"given: {shown(section.spec())})"
                ) from error
            if not -1e-9 < rate < math.inf:  # a cosine ends a rounding error below 0
                raise InputError(
                    f"{key}: {section.type} makes the rate {rate:g} times as large, which must be "
                    f"0 or more (given: {shown(section.spec())})"
                )
