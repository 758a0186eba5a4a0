"""The losses of the last steps: their means, and the first that is not finite."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from desra.utils import distributed
from desra.utils.errors import listed


class _Step(NamedTuple):
    iteration: int
    samples: Sequence[str]
    losses: dict[str, Tensor]


class LossLog:
    """The losses of the steps since the last call of `means`.

    They stay on their device until then, so that a GPU is seldom waited for.

    Args:
        checkpoints: folder of the last good checkpoint, for the message.
    """

    def __init__(self, checkpoints: object):
        self._steps: list[_Step] = []
        self._checked = 0  # how many of these
        self._checkpoints = checkpoints

    def add(self, iteration: int, samples: Sequence[str], losses: dict[str, Tensor]) -> None:
        """Add the losses of a step.

        Args:
            iteration: of the step.
            samples: their names.
            losses: name -> a scalar without gradient.
        """
        self._steps.append(_Step(iteration, samples, losses))

    def check(self) -> None:
        """Check that all losses are finite, in all processes together.

        Raises:
            FloatingPointError: names the loss, the iteration and the samples.
        """
        # The gradients of one process have spoilt all others a step later: the earliest counts.
        faults = [fault for fault in distributed.all_gather(self._first_fault()) if fault]
        if faults:
            _, sentence = min(faults)
            raise FloatingPointError(
                f"{sentence}; lower the learning rate (train.optim_g.lr), look at these samples, "
                f"or use `precision: fp32`. The last good checkpoint is in {self._checkpoints}"
            )

    def _first_fault(self) -> tuple[int, str] | None:
        steps = [step for step in self._steps[self._checked :] if step.losses]
        self._checked = len(self._steps)
        if not steps:
            return None
        values = torch.stack([torch.stack(list(step.losses.values())).sum() for step in steps])
        if bool(values.isfinite().all()):  # the one time that the device is waited for
            return None
        for iteration, samples, losses in steps:
            if bad := [name for name, value in losses.items() if not bool(value.isfinite())]:
                where = f"at iteration {iteration} (samples: {listed(samples)})"
                return iteration, f"{', '.join(bad)} not finite {where}"
        return None  # a sum of finite losses may overflow

    def means(self) -> dict[str, float]:
        """Return the mean of each loss over these steps and all processes, and forget the steps."""
        names = list(dict.fromkeys(name for step in self._steps for name in step.losses))
        means: list[Tensor] = []
        for name in names:
            values = [step.losses[name] for step in self._steps if name in step.losses]
            means.append(torch.stack(values).mean())
        self._steps, self._checked = [], 0
        if not means:
            return {}
        together = torch.stack(means).cpu().double()
        distributed.all_reduce_mean([together])
        return dict(zip(names, together.tolist(), strict=True))
