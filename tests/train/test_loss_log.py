"""Means of losses, and the first that is not finite."""

from __future__ import annotations

import pytest
import torch

from desra.train.loss_log import LossLog


def scalars(**values: float) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(value) for name, value in values.items()}


def test_means_are_over_the_steps_that_have_the_loss():
    losses = LossLog("models")
    losses.add(1, ["a"], scalars(l_d=1.0))
    losses.add(2, ["b"], scalars(l_d=3.0, l_g=5.0))
    losses.check()
    assert losses.means() == {"l_d": 2.0, "l_g": 5.0}
    assert losses.means() == {}
    losses.add(3, ["c"], scalars(l_d=7.0))
    assert losses.means() == {"l_d": 7.0}


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_the_step_is_named_though_others_followed(bad: float):
    losses = LossLog("runs/x/models")
    losses.add(1, ["a"], scalars(l_d=1.0))
    losses.check()
    losses.add(2, ["b", "c"], scalars(l_d=1.0, l_g=bad))
    losses.add(3, ["d"], scalars(l_d=bad, l_g=1.0))
    words = (
        r"l_g not finite at iteration 2 \(samples: b, c\); lower the learning rate "
        r"\(train\.optim_g\.lr\), .*The last good checkpoint is in runs/x/models"
    )
    with pytest.raises(FloatingPointError, match=words):
        losses.check()


def test_finite_losses_may_overflow_in_their_sum():
    losses = LossLog("models")
    losses.add(1, ["a"], scalars(one=3e38, two=3e38))
    losses.check()
