"""Device and precision: what `auto` means, and what is refused."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from desra.registry import ARCH_REGISTRY, find
from desra.utils.device import autocast, keep_residual_in_fp32, select_device, select_precision
from desra.utils.errors import InputError

CPU, CUDA, MPS = torch.device("cpu"), torch.device("cuda"), torch.device("mps")


@pytest.mark.parametrize(
    ("cuda", "mps", "chosen"),
    [(True, False, "cuda"), (True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_auto_device(cuda: bool, mps: bool, chosen: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert select_device("auto").type == chosen


def test_named_device():
    assert select_device("cpu") == CPU


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "", "cpu:x"])
def test_a_device_that_is_not_here(name: str):
    with pytest.raises(InputError, match=r"device: .*cannot be used here .*try 'auto'"):
        select_device(name)


@pytest.mark.parametrize(
    ("capabilities", "dtype"),
    [
        ({"avx512_bf16": True}, torch.bfloat16),
        ({"amx_bf16": True}, torch.bfloat16),
        ({"avx2": True, "avx512_bf16": False}, torch.float32),
        ({}, torch.float32),
    ],
)
def test_auto_precision_on_a_cpu(capabilities, dtype, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert select_precision("auto", CPU) == dtype


@pytest.mark.parametrize(("bf16", "dtype"), [(True, torch.bfloat16), (False, torch.float16)])
def test_auto_precision_on_cuda(bf16, dtype, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bf16)
    assert select_precision("auto", CUDA) == dtype


def test_precision_by_name():
    assert select_precision("auto", MPS) == torch.float32
    assert select_precision("bf16", CPU) == torch.bfloat16
    assert select_precision("fp16", CUDA) == torch.float16
    with pytest.raises(InputError, match="fp16 is not for a CPU"):
        select_precision("fp16", CPU)
    with pytest.raises(InputError, match="'half' is not one of auto, fp32, bf16, fp16"):
        select_precision("half", CPU)


def test_autocast_computes_in_the_dtype():
    conv, x = nn.Conv2d(1, 1, 1), torch.ones(1, 1, 2, 2)
    for dtype in (torch.float32, torch.bfloat16):
        with autocast(CPU, dtype):
            assert conv(x).dtype == dtype


def test_the_upscaled_input_is_added_unrounded():
    """With weights of zero SRVGGNetCompact is nearest-neighbour upsampling."""
    net = find(ARCH_REGISTRY, "SRVGGNetCompact", "")(num_feat=4, num_conv=1, upscale=2)
    for parameter in net.parameters():
        nn.init.zeros_(parameter)
    x = torch.linspace(0.5, 1, 3 * 64).reshape(1, 3, 8, 8)
    nearest = nn.functional.interpolate(x, scale_factor=2, mode="nearest")
    with torch.no_grad(), autocast(CPU, torch.bfloat16):
        rounded = net(x)
        kept = keep_residual_in_fp32(net)(x)
    assert (rounded.float() - nearest).abs().max() > 0.4 / 255  # what the hook is for
    assert kept.dtype == torch.float32
    assert torch.equal(kept, nearest)
