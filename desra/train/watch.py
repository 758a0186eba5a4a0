"""The losses since they were last told: their means, and the first that is not finite."""

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


class Losses:
    """Kept on the device as they come, so that a GPU is waited for when they are told only.

    Args:
        kept: where the last good checkpoint is, for the message.
    """

    def __init__(self, kept: object):
        self._steps: list[_Step] = []
        self._checked = 0  # of these
        self._kept = kept

    def add(self, iteration: int, samples: Sequence[str], losses: dict[str, Tensor]) -> None:
        """Note what a step gave: detached scalars."""
        self._steps.append(_Step(iteration, samples, losses))

    def check(self) -> None:
        """See whether all are finite; all processes together.

        Raises:
            FloatingPointError: names the loss, the iteration and the samples.
        """
        # The gradients of one process have spoilt all others a step later.
        found = [bad for bad in distributed.gather(self._first_bad()) if bad is not None]
        if found:
            _, sentence = min(found)
            raise FloatingPointError(
                f"{sentence}; lower the learning rate (train.optim_g.lr), look at these samples, "
                f"or use `precision: fp32`. The last good checkpoint is in {self._kept}"
            )

    def _first_bad(self) -> tuple[int, str] | None:
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
        """Over the steps that are kept and all processes; forgets these steps."""
        names = list(dict.fromkeys(name for step in self._steps for name in step.losses))
        means: list[Tensor] = []
        for name in names:
            values = [step.losses[name] for step in self._steps if name in step.losses]
            means.append(torch.stack(values).mean())
        self._steps, self._checked = [], 0
        if not means:
            return {}
        together = torch.stack(means).cpu().double()
        distributed.average_on_cpu(together)
        return dict(zip(names, together.tolist(), strict=True))
