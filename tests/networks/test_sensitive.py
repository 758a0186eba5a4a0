"""Sensitive parts in float32: the same network, nearer to itself in float32."""

from __future__ import annotations

import copy

import pytest
import torch
from spandrel import ModelLoader
from torch import nn

from desra.networks.sensitive import keep_in_fp32
from desra.registry import ARCH_REGISTRY, find


def networks() -> dict[str, nn.Module]:
    """The same weights as basicsr and as spandrel build them."""
    torch.manual_seed(0)
    basicsr = find(ARCH_REGISTRY, "RRDBNet", "network_g")(3, 3, 4, 16, 12, 32).eval()
    for parameter in basicsr.parameters():  # so large that every block moves the sum
        nn.init.normal_(parameter, std=0.06)
    spandrel = ModelLoader(device="cpu").load_from_state_dict(dict(basicsr.state_dict())).model
    return {"basicsr": basicsr, "spandrel": spandrel}


LQ = torch.rand((1, 3, 20, 24), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", ["basicsr", "spandrel"])
@torch.no_grad()
def test_in_float32_nothing_changes(kind: str):
    net = networks()[kind].eval()
    before = net(LQ)
    found = [m for m in net.modules() if type(m).__name__.startswith("ResidualDenseBlock")]
    assert len(found) == 36
    torch.testing.assert_close(keep_in_fp32(net)(LQ), before, rtol=1e-4, atol=1e-5)
    assert all("forward" in vars(module) for module in found)


@pytest.mark.parametrize("kind", ["basicsr", "spandrel"])
@torch.no_grad()
def test_bfloat16_comes_nearer_to_float32(kind: str):
    net = networks()[kind].eval()
    exact = net(LQ)
    kept = keep_in_fp32(copy.deepcopy(net))
    with torch.autocast("cpu", torch.bfloat16):
        plain, better = net(LQ).float(), kept(LQ).float()
    errors = [float((sr - exact).square().mean().sqrt()) for sr in (plain, better)]
    assert errors[1] < 0.8 * errors[0]


def test_layers_between_features_are_left_alone():
    net = find(ARCH_REGISTRY, "MSRResNet", "network_g")(3, 3, 8, 2, 4).eval()
    keep_in_fp32(net)
    changed = [name for name, module in net.named_modules() if "forward" in vars(module)]
    assert changed == ["conv_first"]
