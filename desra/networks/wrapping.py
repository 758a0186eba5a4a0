"""Find the tensors of the SR network in a checkpoint, whatever the training code wrapped them in.

Two kinds of wrapping are undone, in any order and depth: containers, which are keys of the file
(``{"model": {"params_ema": ...}}``), and prefixes of names (``generator.conv.weight``).
An exponential moving average (EMA) is preferred.
"""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

_EMA_CONTAINERS = (
    "params_ema",
    "params-ema",
    "ema_state_dict",
    "generator_ema",
    "net_g_ema",
    "g_ema",
    "model_ema",
    "ema",
)
#: Keys under which the network's tensors may be, the preferred one first.
CONTAINERS = (
    *_EMA_CONTAINERS,
    "params",
    "state_dict",
    "model_state_dict",
    "generator_state_dict",
    "net_g_state_dict",
    "generator",
    "net_g",
    "netG",
    "model_g",
    "model_G",
    "gen",
    "G",
    "g",
    "model",
    "net",
    "network",
    "weights",
    "state",
)
#: What wrappers put into names, at any depth: FSDP, torch.compile, activation checkpointing.
_WRAPPERS = re.compile(r"(?:_fsdp_wrapped_module|_orig_mod|_checkpoint_wrapped_module)\.")
#: DataParallel, and old training code.
_LEADING = re.compile(r"^(?:module\.|netG\.)+")
#: Prefixes of the generator among other networks, the preferred one first.
_GENERATORS = (
    "params_ema.",
    "params-ema.",
    "generator_ema.",
    "net_g_ema.",
    "g_ema.",
    "G_ema.",
    "model_ema.",
    "ema_model.",
    "ema.",
    "params.",
    "generator.",
    "net_g.",
    "netG.",
    "model_g.",
    "gen.",
    "G.",
    "g.",
)
#: Prefixes that a network's own names may have: undone where all names have one.
_PERHAPS = ("model.", "network.", "net.", "state_dict.", "online_model.")
_COUNTERS = {"n_averaged", "initted", "step", "num_updates", "decay"}
_OTHERS = re.compile(
    r"(?:discriminator|net_?d|d|vgg|perceptual|lpips|percep|criterion|cri_|loss|metric|teacher)",
    re.IGNORECASE,
)
_DEPTH = 5


def unwrapped(content: Mapping[Any, Any]) -> tuple[dict[str, Tensor], str]:
    """Return the network's tensors of a checkpoint by their own names, and where they were.

    Returns:
        The tensors, empty if there are none; and the way to them, such as ``"model.params_ema"``,
        empty where they are the values of the file.
    """
    way: list[str] = []
    while len(way) < _DEPTH and (key := _container(content)) is not None:
        content = content[key]
        way.append(key)
    tensors = {
        name: tensor
        for name, tensor in content.items()
        if isinstance(name, str) and isinstance(tensor, Tensor)
    }
    for _ in range(_DEPTH):
        tensors = {_LEADING.sub("", _WRAPPERS.sub("", k)): v for k, v in tensors.items()}
        prefix = _prefix(tensors)
        if not prefix:
            break
        tensors = {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}
        way.append(prefix.rstrip("."))
    return tensors, ".".join(way)


def is_ema(way: str) -> bool:
    """Return whether a way of `unwrapped` leads to an average (EMA)."""
    return any("ema" in re.split(r"[_-]", part.lower()) for part in way.split("."))


def contains_network(content: Mapping[Any, Any]) -> bool:
    """Return whether a checkpoint has a container with tensors."""
    return _container(content) is not None


def _container(content: Mapping[Any, Any]) -> str | None:
    return next((key for key in CONTAINERS if _holds_tensors(content.get(key), _DEPTH)), None)


def _holds_tensors(value: Any, depth: int) -> bool:
    """Return whether a value is a mapping of names to tensors, or leads to one by containers."""
    if not isinstance(value, Mapping) or depth == 0:
        return False
    if any(isinstance(k, str) and isinstance(v, Tensor) for k, v in value.items()):
        return True
    return any(_holds_tensors(value.get(key), depth - 1) for key in CONTAINERS)


def _prefix(tensors: Mapping[str, Tensor]) -> str | None:
    """Return the prefix that the names of the generator have, or None."""
    for prefix in _GENERATORS:
        inner = [name[len(prefix) :] for name in tensors if name.startswith(prefix)]
        if any(name.endswith("weight") and "." in name for name in inner):
            return prefix
    for prefix in _PERHAPS:
        others = [name for name in tensors if not name.startswith(prefix)]
        if len(others) == len(tensors):
            continue
        if not all(name in _COUNTERS or _OTHERS.match(name.split(".")[0]) for name in others):
            continue
        inner = [name[len(prefix) :] for name in tensors if name.startswith(prefix)]
        if all("." in name and not name[0].isdigit() for name in inner):  # not the first ESRGAN
            return prefix
    return None
