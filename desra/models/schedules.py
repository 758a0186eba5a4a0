"""Optimisers and learning-rate schedules, as the sections of the options describe them."""

from typing import Any

from torch import nn
from torch import optim as optimizers
from torch.optim import lr_scheduler
from torch.optim.optimizer import Optimizer

from desra.options.base import RegisteredClass
from desra.options.train import OptimizerOptions, StepOptions
from desra.registry import CosineAnnealingRestartLR, MultiStepRestartLR
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


def make_optimizer(section: OptimizerOptions, net: nn.Module, key: str) -> Optimizer:
    """Make an optimiser of torch, of those weights that learn.

    Args:
        section: its name in ``torch.optim`` and its arguments.
        net: the network.
        key: the section's key path, for messages.

    Raises:
        InputError: no such optimiser, or arguments that it does not take.
    """
    cls = getattr(optimizers, section.type, None)
    if not isinstance(cls, type):
        raise InputError(f"{key}.type: torch.optim has no '{section.type}'")
    return _build(cls, section, key, [p for p in net.parameters() if p.requires_grad])


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
    if section is not None and section.type in _RESTARTING:
        _check_restarts(step, section)
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
        parts.append(_build(_PLAIN[section.type], section, "train.scheduler", optimizer, **extra))
    return lr_scheduler.ChainedScheduler(parts) if parts else None


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
    try:
        return cls(*first, **extra, **arguments)
    except (TypeError, ValueError) as error:
        raise InputError(f"{key}: {section.type} does not take these options: {error}") from error
