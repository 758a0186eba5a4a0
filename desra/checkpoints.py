"""Weights on disk: safe loading, the right key in the file, atomic writing.

Only tensors and plain values are ever unpickled (``weights_only=True``, safetensors).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from desra.errors import InputError
from desra.images import atomic_write

_ASSETS = Path(__file__).parent / "assets"
EMBEDDED = {
    "embedded:gan": _ASSETS / "sr_gan_x4.safetensors",
    "embedded:mse": _ASSETS / "sr_mse_x4.safetensors",
}


def resolve(weights: str) -> Path:
    """The file that ``weights`` names: a path, or embedded:gan / embedded:mse.

    Raises:
        InputError: there is no such file.
    """
    path = EMBEDDED.get(weights, Path(weights))
    if weights.startswith("embedded:") and weights not in EMBEDDED:
        raise InputError(f"weights: '{weights}' is not one of {', '.join(EMBEDDED)}")
    if not path.is_file():
        raise InputError(f"weights: the file {path} does not exist")
    return path


def read(path: Path) -> dict[str, Any]:
    """Whatever dictionary the file holds, loaded safely onto the CPU.

    Raises:
        InputError: not a checkpoint, incomplete, or holding more than tensors and plain values.
    """
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        content = torch.load(path, map_location="cpu", weights_only=True)
    except SafetensorError as error:
        raise InputError(
            f"weights: {path} is not a whole safetensors file ({error}); fetch it again"
        ) from error
    except Exception as error:
        reason = str(error).split("\n")[0]
        raise InputError(
            f"weights: {path} cannot be loaded safely ({reason}); it may be incomplete, no "
            "checkpoint, or hold code, which is never run"
        ) from error
    if not isinstance(content, dict):
        raise InputError(f"weights: {path} holds a {type(content).__name__}, not a dictionary")
    return content


def state_dict(content: Mapping[str, Any]) -> dict[str, Tensor]:
    """The network's tensors: ``params_ema``, else ``params``, else the dictionary itself, without
    a leading ``module.``.

    Raises:
        ValueError: there are no tensors.
    """
    for key in ("params_ema", "params"):
        if isinstance(content.get(key), Mapping):
            content = content[key]
            break
    tensors = {k.removeprefix("module."): v for k, v in content.items() if isinstance(v, Tensor)}
    if not tensors:
        raise ValueError(f"no weights in it; its keys are {', '.join(map(str, content))}")
    return tensors


def load_into(net: nn.Module, weights: str, key: str) -> None:
    """Load ``weights`` into ``net``, strictly.

    Args:
        weights: a path, or embedded:gan / embedded:mse.
        key: the key path in YAML, for the message.

    Raises:
        InputError: the file is unusable, or does not fit the network.
    """
    path = resolve(weights)
    try:
        net.load_state_dict(state_dict(read(path)))
    except (RuntimeError, ValueError) as error:
        lines = [line.strip() for line in str(error).split("\n") if line.strip()]
        shown = " ".join(lines[:4])[:600]
        raise InputError(f"{key}: {path} does not fit {type(net).__name__}: {shown}") from error


def save_atomically(content: Mapping[str, Any], path: Path) -> None:
    """``torch.save`` so that ``path`` holds either the old content or the new, never a part."""
    with atomic_write(path) as file:
        torch.save(dict(content), file)
