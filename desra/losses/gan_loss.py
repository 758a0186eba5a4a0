"""Adversarial losses of the two networks around one of basicsr's ``GANLoss``: standard, and
relativistic average.

Source of the second: Jolicoeur-Martineau, "The relativistic discriminator" (arXiv 1807.00734), as
ESRGAN uses it: how much more real an image looks than the others do on average.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from torch import Tensor

from desra.utils import distributed

Judge = Callable[[Tensor], Tensor]
"""Images, float32 (N, 3, H, W) -> logits, float32: a discriminator."""
Criterion = Callable[..., Tensor]
"""(logits, whether they should say real, is_disc=) -> a scalar."""


class Judged(NamedTuple):
    """One half of a discriminator's step."""

    name: str
    """real or fake."""
    loss: Tensor
    """A scalar."""
    logits: Tensor
    """What the discriminator said."""


def generator_loss(
    gan: Criterion, judge: Judge, fake: Tensor, real: Tensor, relativistic: bool = False
) -> Tensor:
    """What the generator pays for ``fake``; ``real`` counts in the relativistic form only.

    Args:
        gan: the loss of logits.
        judge: the discriminator; its parameters should need no gradient.
        fake, real: float32 (N, 3, H, W) in [0, 1].
        relativistic: compare with the average of the others, of all processes.
    """
    if not relativistic:
        return gan(judge(fake), True, is_disc=False)
    on_real = judge(real).detach()
    on_fake = judge(fake)
    return (
        gan(on_real - distributed.mean(on_fake), False, is_disc=False)
        + gan(on_fake - distributed.mean(on_real), True, is_disc=False)
    ) / 2


def discriminator_losses(
    gan: Criterion, judge: Judge, fake: Tensor, real: Tensor, relativistic: bool = False
) -> Iterator[Judged]:
    """The two halves of the discriminator's loss, each to be propagated before the next is made.

    Real and fake are judged apart, as basicsr does, so that batch statistics are not mixed.

    Args:
        gan, judge, relativistic: as in :func:`generator_loss`.
        fake: float32 (N, 3, H, W) in [0, 1]; needs no gradient.
        real: the same shape.
    """
    if not relativistic:
        for name, images, is_real in (("real", real, True), ("fake", fake, False)):
            logits = judge(images)
            yield Judged(name, gan(logits, is_real, is_disc=True), logits.detach())
        return
    on_fake = judge(fake).detach()
    on_real = judge(real)
    loss = gan(on_real - distributed.mean(on_fake), True, is_disc=True) / 2
    yield Judged("real", loss, on_real.detach())
    on_fake = judge(fake)
    loss = gan(on_fake - distributed.mean(on_real.detach()), False, is_disc=True) / 2
    yield Judged("fake", loss, on_fake.detach())
