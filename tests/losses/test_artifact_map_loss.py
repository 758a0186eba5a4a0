"""The hinge on D, against the numpy map of the method."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from desra.artifacts import artifact_map
from desra.losses.artifact_map_loss import ArtifactMapLoss, relative_map


def to_tensor(image: np.ndarray) -> Tensor:
    return torch.from_numpy(image.transpose(2, 0, 1)[None].astype(np.float32) / 255)


def test_the_map_is_that_of_the_method():
    """float32 and mirrored borders here, float64 and whole windows there."""
    rng = np.random.default_rng(0)
    sr, reference = (rng.integers(0, 256, (40, 50, 3), dtype=np.uint8) for _ in range(2))
    sr[:20] = 128 + sr[:20] // 8  # from far less texture to as much
    reference[:, :25] = 90 + reference[:, :25] // 40
    found = relative_map(to_tensor(sr), to_tensor(reference))[0, 0].numpy()
    exact = artifact_map(reference, sr)
    assert exact.min() < 0.4 and exact.max() > 0.9
    # What is added under the roots, (0.001)^2, counts where the std is a few grey levels.
    assert np.abs(found[5:-5, 5:-5] - exact).max() < 0.01


def test_nothing_is_asked_beyond_the_target():
    """The texture is halved step by step towards that of the reference; the loss ends before."""
    draw = torch.Generator().manual_seed(0)
    texture = torch.randn((1, 3, 48, 48), generator=draw) * 0.1
    reference = 0.5 + 0.1 * texture
    inner = (..., slice(6, -6), slice(6, -6))
    strengths = (1.0, 0.5, 0.2, 0.1)
    maps = [relative_map(0.5 + s * texture, reference)[inner] for s in strengths]
    loss = ArtifactMapLoss(target=0.8, reduction="none")
    losses = [loss(0.5 + s * texture, reference)[inner] for s in strengths]
    for D, found in zip(maps, losses, strict=True):
        torch.testing.assert_close(found, (0.8 - D).clamp(min=0))
    means = [float(found.mean()) for found in losses]
    assert means[0] > means[1] > 0 and means[2] == means[3] == 0
    assert float(maps[2].mean()) < 0.95  # not yet the reference itself


def test_descent_ends_at_the_target_not_at_the_reference():
    draw = torch.Generator().manual_seed(0)
    texture = torch.randn((1, 3, 32, 32), generator=draw) * 0.1
    reference = 0.5 + 0.1 * texture
    strength = torch.ones((), requires_grad=True)
    loss = ArtifactMapLoss(target=0.8)
    for _ in range(400):
        (gradient,) = torch.autograd.grad(loss(0.5 + strength * texture, reference), strength)
        strength.data -= 0.01 * gradient
    D = relative_map(0.5 + strength.detach() * texture, reference)
    assert float(D.min()) == pytest.approx(0.8, abs=0.03)
    assert 0.12 < strength.item() < 0.4  # 0.1 would be the reference


def test_reductions_and_refusals():
    a, b = torch.rand(2, 3, 24, 24), 0.5 + 0.01 * torch.rand(2, 3, 24, 24)
    each = ArtifactMapLoss(reduction="none")(a, b)
    assert each.shape == (2, 1, 24, 24) and float(each.mean()) > 0.1
    assert ArtifactMapLoss(loss_weight=3.0)(a, b).item() == pytest.approx(3 * each.mean().item())
    with pytest.raises(ValueError, match="reduction"):
        ArtifactMapLoss(reduction="sum")
    with pytest.raises(ValueError, match="target must lie between 0 and 1"):
        ArtifactMapLoss(target=1.2)


def test_flat_areas_have_a_finite_gradient():
    flat = torch.full((1, 3, 24, 24), 0.5, requires_grad=True)
    ArtifactMapLoss(target=1.0)(flat, torch.rand(1, 3, 24, 24)).backward()
    assert flat.grad is not None and torch.isfinite(flat.grad).all()
