"""LDL's weight against the formula written out, and against basicsr's."""

import numpy as np
import torch

from desra.losses.ldl_loss import artifact_weight

# isort: split
from basicsr.losses.loss_util import get_refined_artifact_map


def three(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    gt = torch.rand((2, 3, 13, 15), generator=draw)
    noise = torch.randn((2, 2, 3, 13, 15), generator=draw)
    return gt, gt + 0.1 * noise[0], gt + 0.1 * noise[1]


def by_hand(gt: np.ndarray, output: np.ndarray, average: np.ndarray) -> np.ndarray:
    residual, residual_average = (np.abs(gt - x).sum(0) for x in (output, average))
    padded = np.pad(residual, 3, mode="reflect")
    weight = np.zeros_like(residual)
    for y, x in np.ndindex(*residual.shape):
        if residual[y, x] >= residual_average[y, x]:
            weight[y, x] = padded[y : y + 7, x : x + 7].var(ddof=1)
    return residual.var(ddof=1) ** 0.2 * weight


def test_the_formula():
    gt, output, average = three()
    found = artifact_weight(gt, output, average)
    assert found.shape == (2, 1, 13, 15)
    for i in range(2):
        expected = by_hand(*(x[i].double().numpy() for x in (gt, output, average)))
        np.testing.assert_allclose(found[i, 0].numpy(), expected, rtol=1e-4, atol=1e-8)
    assert 0.2 < (found == 0).float().mean() < 0.8


def test_values_and_gradients_are_basicsrs():
    gt, output, average = three()
    gradients = []
    for weigh in (artifact_weight, lambda *a: get_refined_artifact_map(*a, 7)):
        leaf = output.clone().requires_grad_()
        weight = weigh(gt, leaf, average)
        (weight * leaf - weight * gt).abs().mean().backward()
        assert leaf.grad is not None
        gradients.append((weight.detach(), leaf.grad))
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_a_sample_without_error_has_a_finite_gradient():
    """basicsr's is NaN there: the fifth root of a variance of 0."""
    gt, output, average = three()
    output[1] = gt[1]
    output.requires_grad_()
    weight = artifact_weight(gt, output, average)
    (weight * output - weight * gt).abs().mean().backward()
    assert output.grad is not None
    assert output.grad.isfinite().all()
    assert output.grad[0].abs().max() > 0 and (weight[1] == 0).all()
