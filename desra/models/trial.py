"""Try what a training is made of before its first step, and leave no trace of it."""

import copy
import inspect
import random
from collections.abc import Generator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from desra.utils.errors import InputError


@contextmanager
def kept_randomness(device: torch.device) -> Generator[None]:
    """Leave the random numbers of torch, numpy and Python as they were."""
    states = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])


def try_network(
    net: nn.Module, key: str, side: int, expected: tuple[int, int, int] | None, device: torch.device
) -> None:
    """Run a copy of a network that learns on an image of noise.

    What cannot be copied is not tried, nor is anything said of memory: the training itself may have
    enough of it.

    Args:
        net: the network.
        key: the option that names it, for the message.
        side: height and width of the image, in pixels.
        expected: (C, H, W) of what it must make of it; None: any finite number of logits.
        device: of the network.

    Raises:
        InputError: it fails, or makes something else.
    """
    name = type(net).__name__
    image = f"float32 (N, 3, {side}, {side})"
    what = "logits of any shape" if expected is None else f"(N, {', '.join(map(str, expected))})"
    contract = f"it is called as net(images) with {image} and must give {what}"
    try:
        trial = copy.deepcopy(net)
    except Exception:  # what cannot be copied might change by a trial
        return
    with kept_randomness(device), torch.no_grad():
        images = torch.rand(1, 3, side, side, device=device)
        try:
            result = trial(images)
        except (MemoryError, torch.OutOfMemoryError):
            return
        except Exception as error:  # whatever the code of a network says to what it cannot take
            if "allocate memory" in str(error):
                return
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            raise InputError(
                f"{key}.type: {name}, which takes {_signature(net)}, cannot be run ({reason}); "
                f"{contract}: name a network that takes RGB images"
            ) from error
    shape = tuple(result.shape) if isinstance(result, Tensor) else type(result).__name__
    fits = isinstance(result, Tensor) and result.is_floating_point() and result.numel() > 0
    if not fits or (expected is not None and shape != (1, *expected)):
        raise InputError(f"{key}.type: {name} makes {shape} of {image}; {contract}")


def _signature(net: nn.Module) -> str:
    try:
        return str(inspect.signature(net.forward))
    except (TypeError, ValueError):
        return "(...)"
