"""Sharpening against basicsr's own."""

import pytest
import torch

from desra.losses.usm import usm_sharp
from desra.utils.errors import InputError
from helpers.small import photograph

# isort: split
from basicsr.utils.img_process_util import USMSharp


def images() -> torch.Tensor:
    pictures = [torch.from_numpy(photograph(seed, 64, 72)) for seed in (0, 1)]
    return torch.stack(pictures).permute(0, 3, 1, 2).contiguous() / 255


def test_it_is_basicsrs():
    gt = images()
    sharp = usm_sharp(gt)
    torch.testing.assert_close(sharp, USMSharp()(gt), atol=2e-5, rtol=0)
    assert (sharp - gt).abs().max() > 0.02  # else nothing is tested


def test_small_crops_are_refused():
    assert usm_sharp(torch.rand(1, 3, 26, 26)).shape == (1, 3, 26, 26)
    with pytest.raises(InputError, match=r"crops of at least 26 pixels, not 25: raise gt_size"):
        usm_sharp(torch.rand(1, 3, 40, 25))
