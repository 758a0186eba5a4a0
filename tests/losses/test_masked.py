"""Weights of the mask in the pixel loss."""

import torch

from desra.losses.masked import pixel_weight, weigh_gradient


def test_inside_and_outside():
    mask = torch.tensor([[[[0.0, 1.0], [0.5, 0.0]]]])
    expected = torch.tensor([[[[2.0, 6.0], [4.0, 2.0]]]])
    assert torch.equal(pixel_weight(mask, inside=6.0, outside=2.0), expected)


def test_a_weighed_gradient_is_that_of_the_weighed_loss():
    draw = torch.Generator().manual_seed(0)
    output, gt = torch.rand((2, 2, 3, 4, 4), generator=draw)
    weight = torch.rand((2, 1, 4, 4), generator=draw) * 3
    one, two = output.clone().requires_grad_(), output.clone().requires_grad_()
    seen = weigh_gradient(one, weight)
    assert torch.equal(seen, output)
    ((seen - gt) ** 2).mean().backward()
    (weight * (two - gt) ** 2).mean().backward()
    assert one.grad is not None and two.grad is not None
    torch.testing.assert_close(one.grad, two.grad)
