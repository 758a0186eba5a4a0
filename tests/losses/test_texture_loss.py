"""The loss on the amount of texture, against the numpy functions of the method."""

import numpy as np
import pytest
import torch

from desra.artifacts import local_std as exact_std
from desra.losses.texture_loss import LocalStdLoss, local_std


def test_local_std_is_that_of_the_method():
    """Inside the window's border both are the same quantity: float32 on [0, 1], float64 on 255."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
    image[:20] = 128 + rng.integers(0, 3, (20, 50, 3), dtype=np.uint8)  # nearly flat, far from 0
    tensor = torch.from_numpy(image.transpose(2, 0, 1)[None].astype(np.float32) / 255)
    found = local_std(tensor, eps=0.0)[0].permute(1, 2, 0).numpy()[5:-5, 5:-5] * 255
    assert np.abs(found - exact_std(image)).max() < 0.02


def test_texture_of_another_phase_costs_nothing_but_blur_does():
    x = torch.arange(96) * (2 * torch.pi / 4)
    wave = 0.5 + 0.2 * torch.sin(x).view(1, 1, 1, 96).expand(1, 3, 96, 96)
    shifted = 0.5 + 0.2 * torch.cos(x).view(1, 1, 1, 96).expand(1, 3, 96, 96)
    blurred = 0.5 + 0.5 * (wave - 0.5)
    loss = LocalStdLoss(reduction="none")
    inner = (..., slice(8, -8), slice(8, -8))
    assert loss(shifted, wave)[inner].max() < 0.01
    expected = 0.5 * 0.2 / 2**0.5  # half of the standard deviation of the sine
    assert loss(blurred, wave)[inner].mean().item() == pytest.approx(expected, rel=0.02)


def test_reductions_and_weight():
    a, b = torch.rand(2, 3, 24, 24), torch.rand(2, 3, 24, 24)
    each = LocalStdLoss(loss_weight=1.0, reduction="none")(a, b)
    assert each.shape == a.shape
    assert LocalStdLoss(loss_weight=3.0)(a, b).item() == pytest.approx(3 * each.mean().item())
    with pytest.raises(ValueError, match="reduction"):
        LocalStdLoss(reduction="sum")


def test_flat_areas_have_a_finite_gradient():
    flat = torch.full((1, 3, 24, 24), 0.5, requires_grad=True)
    LocalStdLoss()(flat, torch.rand(1, 3, 24, 24)).backward()
    assert flat.grad is not None and torch.isfinite(flat.grad).all()
