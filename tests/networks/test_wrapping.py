"""Checkpoints in the dress of other training code: the same tensors come out of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from desra.networks.wrapping import is_ema, unwrapped
from desra.registry import ARCH_REGISTRY, build

SPEC = {"num_in_ch": 3, "num_out_ch": 3, "num_feat": 4, "num_block": 1, "num_grow_ch": 4}
NET = build(ARCH_REGISTRY, {"type": "RRDBNet", **SPEC}, "network_g").state_dict()
OTHER = {name: tensor + 1 for name, tensor in NET.items()}
VGG = {f"perceptual.vgg.features.{i}.weight": torch.zeros(4, 3, 3, 3) for i in range(2)}
JUDGE = {f"discriminator.conv{i}.weight": torch.zeros(4, 3, 3, 3) for i in (0, 9)}


def under(prefix: str, tensors: dict[str, Tensor] = NET) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in tensors.items()}


PREFIXES = (
    *("module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "_fsdp_wrapped_module."),
    *("netG.", "net_g.", "generator.", "model.", "G.", "model.module.", "module.generator."),
    *("params.", "params_ema.", "state_dict.generator."),
)
CONTAINERS = (
    *("g", "G", "gen", "generator", "netG", "net_g", "model_g", "network", "weights", "ema"),
    *("g_ema", "generator_state_dict", "net_g_state_dict", "model_G", "state", "model", "net"),
)
DRESSES: dict[str, Any] = {
    **{f"prefix {prefix}": under(prefix) for prefix in PREFIXES},
    **{f"key {key}": {"epoch": 3, key: NET} for key in CONTAINERS},
    "inside": {
        name.replace("body.0.", "body.0._fsdp_wrapped_module."): t for name, t in NET.items()
    },
    "nested": {"state_dict": {"params_ema": NET}},
    "nested twice": {"model": {"state_dict": under("module.")}},
    "average first": {"model": {"params": OTHER, "params_ema": NET}},
    "average in a key": {"state_dict": OTHER, "ema_state_dict": NET},
    "average of timm": {"model": OTHER, "model_ema": NET},
    "average by prefix": under("params.", OTHER) | under("params_ema."),
    "an empty average": {"params_ema": {}, "params": NET},
    "no average": {"params_ema": None, "params": NET},
    "ema-pytorch": {"initted": torch.tensor(True), "step": torch.tensor(3)}
    | under("online_model.", OTHER)
    | under("ema_model."),
    "AveragedModel": {"n_averaged": torch.tensor(3)} | under("module."),
    "Lightning GAN": {"state_dict": under("generator.") | JUDGE | VGG, "optimizer_states": [{}]},
    "Lightning": {"state_dict": under("model.") | VGG, "optimizer_states": [{}]},
    "beside a discriminator": {"generator": NET, "discriminator": OTHER, "optimizer": {}},
}


@pytest.mark.parametrize("name", DRESSES)
def test_the_network_is_found(name: str) -> None:
    tensors, _ = unwrapped(DRESSES[name])
    tensors.pop("n_averaged", None)
    assert tensors.keys() == NET.keys()
    assert all(torch.equal(tensors[key], NET[key]) for key in NET)


def of_the_first_esrgan(name: str) -> str:
    return f"model.{name}"


@pytest.mark.parametrize(
    "rename", [of_the_first_esrgan, lambda name: f"net.{name}"], ids=["ESRGAN", "numbered"]
)
def test_names_of_the_network_itself_are_kept(rename: Callable[[str], str]) -> None:
    tensors = {rename(f"{i}.weight"): torch.zeros(1) for i in (0, 1, 3)}
    assert unwrapped(tensors)[0].keys() == tensors.keys()


@pytest.mark.parametrize(
    "content",
    [{}, {"iteration": 3}, {1: torch.zeros(1)}, {"state": {0: {"exp_avg": torch.zeros(1)}}}],
)
def test_there_may_be_no_tensors(content: dict[Any, Any]) -> None:
    assert unwrapped(content)[0] == {}


def test_a_container_in_itself_ends() -> None:
    content: dict[str, Any] = {}
    content["model"] = content
    assert unwrapped(content)[0] == {}


@pytest.mark.parametrize(
    ("way", "average"), [("model.params_ema", True), ("ema", True), ("schema", False), ("", False)]
)
def test_an_average_is_known_by_its_name(way: str, average: bool) -> None:
    assert is_ema(way) == average
