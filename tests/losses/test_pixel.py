"""Weights of the mask in the pixel loss."""

import torch

from desra.losses.pixel import pixel_weight


def test_inside_and_outside():
    mask = torch.tensor([[[[0.0, 1.0], [0.5, 0.0]]]])
    expected = torch.tensor([[[[2.0, 6.0], [4.0, 2.0]]]])
    assert torch.equal(pixel_weight(mask, inside=6.0, outside=2.0), expected)
