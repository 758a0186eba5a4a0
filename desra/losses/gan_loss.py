"""Adversarial losses of the two networks: standard, and relativistic average.

Source of the second: Jolicoeur-Martineau, "The relativistic discriminator" (arXiv 1807.00734), as
ESRGAN uses it: how much more real an image looks than the others do on average.
"""

from collections.abc import Callable, Iterator
from typing import Any, ClassVar, NamedTuple

from torch import Tensor, nn

from desra.losses.needs import DISCRIMINATOR
from desra.registry import LOSS_REGISTRY, BasicsrGANLoss
from desra.utils import distributed

Discriminator = Callable[[Tensor], Tensor]
"""Images, float32 (N, 3, H, W) -> logits, float32."""
Criterion = Callable[..., Tensor]
"""(logits, whether they should say real, is_disc=) -> a scalar."""


class DiscriminatorLoss(NamedTuple):
    """One half of a discriminator's loss."""

    name: str
    """real or fake: the images that were looked at."""
    loss: Tensor
    """A scalar, with gradient."""
    logits: Tensor
    """What the discriminator said, without gradient."""


class AdversarialLoss(nn.Module):
    """What a generator pays to a discriminator, and what the discriminator learns by.

    Subclasses, whose names end in GANLoss, choose the criterion.

    Args:
        criterion: the loss of logits, called as basicsr's GANLoss.
        relativistic: compare with the average of the others, of all processes.
    """

    needs: ClassVar = frozenset({DISCRIMINATOR})

    def __init__(self, criterion: Criterion, relativistic: bool = False):
        super().__init__()
        self.criterion, self.relativistic = criterion, relativistic

    def forward(self, sr: Tensor, gt: Tensor, discriminator: Discriminator) -> Tensor:
        """Return what the generator pays, a scalar.

        Args:
            sr, gt: float32 (N, 3, H, W) in [0, 1]; ``gt`` counts in the relativistic form only.
            discriminator: its parameters should need no gradient.
        """
        if not self.relativistic:
            return self.criterion(discriminator(sr), True, is_disc=False)
        on_real = discriminator(gt).detach()
        on_fake = discriminator(sr)
        return (
            self.criterion(on_real - distributed.mean(on_fake), False, is_disc=False)
            + self.criterion(on_fake - distributed.mean(on_real), True, is_disc=False)
        ) / 2

    def discriminator_losses(
        self, sr: Tensor, gt: Tensor, discriminator: Discriminator
    ) -> Iterator[DiscriminatorLoss]:
        """Yield the halves of the discriminator's loss, each to be propagated before the next.

        It looks at real and fake images apart, as in basicsr, so that batch statistics are not
        mixed.

        Args:
            sr, gt: float32 (N, 3, H, W) in [0, 1]; ``sr`` needs no gradient.
            discriminator: its parameters need gradients.
        """
        if not self.relativistic:
            for name, images, is_real in (("real", gt, True), ("fake", sr, False)):
                logits = discriminator(images)
                loss = self.criterion(logits, is_real, is_disc=True)
                yield DiscriminatorLoss(name, loss, logits.detach())
            return
        on_fake = discriminator(sr).detach()
        on_real = discriminator(gt)
        loss = self.criterion(on_real - distributed.mean(on_fake), True, is_disc=True) / 2
        yield DiscriminatorLoss("real", loss, on_real.detach())
        on_fake = discriminator(sr)
        loss = self.criterion(on_fake - distributed.mean(on_real.detach()), False, is_disc=True) / 2
        yield DiscriminatorLoss("fake", loss, on_fake.detach())


@LOSS_REGISTRY.register(suffix="desra")
class GANLoss(AdversarialLoss):
    """basicsr's adversarial loss of logits, standard or relativistic.

    Args:
        gan_type: vanilla, lsgan, wgan, wgan_softplus or hinge.
        real_label_val, fake_label_val: the labels of real and fake, for vanilla and lsgan.
        loss_weight: factor for the generator; the discriminator's is 1.
        relativistic: compare real and fake with each other's average, as in ESRGAN.

    Raises:
        ValueError, NotImplementedError: no such gan_type, or relativistic with hinge, in which
            basicsr's loss does not ask real images to look fake.
    """

    def __init__(
        self,
        gan_type: str = "vanilla",
        real_label_val: float = 1.0,
        fake_label_val: float = 0.0,
        loss_weight: float = 1.0,
        relativistic: bool = False,
    ):
        if relativistic and gan_type == "hinge":
            raise ValueError("relativistic does not go with gan_type hinge")
        criterion: Any = BasicsrGANLoss(gan_type, real_label_val, fake_label_val, loss_weight)
        super().__init__(criterion, relativistic)
