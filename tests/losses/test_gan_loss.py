"""Adversarial losses against their formulas."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from desra.losses.gan_loss import GANLoss
from desra.registry import LOSS_REGISTRY, find


def gan(kind: str, weight: float = 1.0, relativistic: bool = False) -> GANLoss:
    assert find(LOSS_REGISTRY, "GANLoss", "") is GANLoss
    return GANLoss(kind, loss_weight=weight, relativistic=relativistic)


def discriminate(images: Tensor) -> Tensor:
    return 3 * images - 1


FAKE, REAL = torch.tensor([[0.2, 0.9]]), torch.tensor([[0.7, 0.4]])
F = [3 * 0.2 - 1, 3 * 0.9 - 1]  # what discriminate says
R = [3 * 0.7 - 1, 3 * 0.4 - 1]


def mean(values) -> float:
    values = list(values)
    return sum(values) / len(values)


def bce(logit: float, label: float) -> float:
    p = 1 / (1 + math.exp(-logit))
    return -label * math.log(p) - (1 - label) * math.log(1 - p)


CASES = {  # kind: (generator on F, discriminator on R, discriminator on F)
    "vanilla": (mean(bce(f, 1) for f in F), mean(bce(r, 1) for r in R), mean(bce(f, 0) for f in F)),
    "lsgan": (mean((f - 1) ** 2 for f in F), mean((r - 1) ** 2 for r in R), mean(f**2 for f in F)),
    "hinge": (-mean(F), mean(max(0, 1 - r) for r in R), mean(max(0, 1 + f) for f in F)),
    "wgan": (-mean(F), -mean(R), mean(F)),
}


@pytest.mark.parametrize("kind", CASES)
def test_standard(kind: str):
    on_g, on_real, on_fake = CASES[kind]
    loss = gan(kind, weight=0.1)
    found = loss(FAKE, REAL, discriminator=discriminate)
    assert found.item() == pytest.approx(0.1 * on_g, rel=1e-5)
    real, fake = loss.discriminator_losses(FAKE, REAL, discriminate)
    assert (real.name, fake.name) == ("real", "fake")
    assert real.loss.item() == pytest.approx(on_real, rel=1e-5)
    assert fake.loss.item() == pytest.approx(on_fake, rel=1e-5)
    torch.testing.assert_close(real.logits, discriminate(REAL))


@pytest.mark.parametrize("kind", ["vanilla", "lsgan"])
def test_relativistic(kind: str):
    def cost(logit: float, label: float) -> float:
        return bce(logit, label) if kind == "vanilla" else (logit - label) ** 2

    f_mean, r_mean = mean(F), mean(R)
    on_g = mean([mean(cost(r - f_mean, 0) for r in R), mean(cost(f - r_mean, 1) for f in F)])
    loss = gan(kind, weight=0.1, relativistic=True)
    found = loss(FAKE, REAL, discriminator=discriminate)
    assert found.item() == pytest.approx(0.1 * on_g, rel=1e-5)
    real, fake = loss.discriminator_losses(FAKE, REAL, discriminate)
    assert real.loss.item() == pytest.approx(mean(cost(r - f_mean, 1) for r in R) / 2, rel=1e-5)
    assert fake.loss.item() == pytest.approx(mean(cost(f - r_mean, 0) for f in F) / 2, rel=1e-5)
