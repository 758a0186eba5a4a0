"""The patch discriminator: sizes, and what one logit sees."""

import pytest
import torch

from desra.archs.patch_discriminator_arch import PatchDiscriminator


@pytest.mark.parametrize("size", [(64, 64), (72, 104)])
def test_one_logit_a_patch(size):
    net = PatchDiscriminator(num_feat=4, num_strides=3)
    out = net(torch.rand(2, 3, *size))
    assert out.shape == (2, 1, size[0] // 8, size[1] // 8)


def test_a_logit_sees_56_pixels():
    net = PatchDiscriminator(num_feat=4, num_strides=3).eval().double()
    image = torch.rand(1, 3, 128, 128, dtype=torch.float64, requires_grad=True)
    net(image)[0, 0, 8, 8].backward()
    assert image.grad is not None
    seen = image.grad.abs().sum(dim=(0, 1))
    rows, columns = (seen.sum(dim=d).nonzero() for d in (1, 0))
    assert int(rows.max() - rows.min()) + 1 == 56
    assert int(columns.max() - columns.min()) + 1 == 56
