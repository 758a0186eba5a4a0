"""A table of generated files of weights and of training states."""

import io
import pickle
import random
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from fuzzing.strategies import corrupted, inner, places

Tensors = dict[str, Tensor]


def pth(content: Any, **more: Any) -> bytes:
    """Return what torch.save writes of content."""
    file = io.BytesIO()
    torch.save(content, file, **more)
    return file.getvalue()


class _Stranger:
    """An object whose class no safe loading knows."""


_KEYS = ("params_ema", "state_dict", "model", "g", "generator", "netG", "params", "weights", "0")
_PREFIXES = ("module.", "generator.", "model.", "net_g.", "_orig_mod.", "params_ema.", "a.b.")
_HUGE = "body.100000.weight"
_WRONG: tuple[Any, ...] = (None, 1, "x", True, [], {}, (1, 2), float("nan"), 2**80, b"x")
_DTYPES = (
    *(torch.int64, torch.bool, torch.complex64, torch.float16, torch.bfloat16, torch.float64),
    torch.uint8,
)


def _changed_tensor(tensor: Tensor, rng: random.Random) -> Any:
    match rng.randrange(9):
        case 0:
            return tensor.to(rng.choice(_DTYPES))
        case 1:
            odd = (float("nan"), float("inf"), 1e30) if tensor.is_floating_point() else (0, 1)
            return torch.full_like(tensor, rng.choice(odd))
        case 2:
            return tensor.flatten()
        case 3:
            return tensor.flatten()[:0]
        case 4:
            return tensor[None]
        case 5:
            return tensor.to_sparse()
        case 6:
            return torch.empty(tensor.shape, device="meta")
        case 7:
            return torch.zeros(()).expand(tensor.shape)
        case _:
            return rng.choice(_WRONG)


def _tensors(tensors: Tensors, rng: random.Random) -> dict[Any, Any]:
    result: dict[Any, Any] = dict(tensors)
    for _ in range(rng.choice((0, 1, 1, 2))):
        name = rng.choice(list(result))
        match rng.randrange(5):
            case 0:
                del result[name]
            case 1:
                new = rng.choice((f"{name}.x", _HUGE, "", 7, f"body.-1.{name}"))
                result[new] = result.pop(name)
            case _:
                value = result[name]
                result[name] = _changed_tensor(value, rng) if isinstance(value, Tensor) else value
        if not result:
            break
    return result


def weights(tensors: Tensors, rng: random.Random) -> bytes:
    """Return a file of a network's weights that is damaged, wrapped, or of odd tensors."""
    content: Any = _tensors(tensors, rng)
    if rng.random() < 0.3:
        prefix = rng.choice(_PREFIXES)
        content = {f"{prefix}{name}": value for name, value in content.items()}
    match rng.randrange(10):
        case 0:
            good = {str(k): v for k, v in content.items() if isinstance(v, Tensor)}
            dense = {k: v for k, v in good.items() if v.layout == torch.strided and not v.is_meta}
            file = save({k: v.contiguous() for k, v in dense.items()})
            return corrupted(file, rng) if rng.random() < 0.5 else file
        case 1:
            return pickle.dumps(rng.choice(({"params": 1}, _WRONG[rng.randrange(4)], OrderedDict)))
        case 2:
            return pth(rng.choice((_Stranger(), {"params": _Stranger()}, [content], "x", None)))
        case 3:
            return pth(content, _use_new_zipfile_serialization=False)
    for _ in range(rng.choice((0, 1, 1, 2))):
        content = {rng.choice(_KEYS): content}
        if rng.random() < 0.3:
            content[rng.choice((*_KEYS, 3))] = rng.choice((*_WRONG, dict(tensors)))
    file = pth(content)
    return corrupted(file, rng) if rng.random() < 0.35 else file


def state(content: dict[str, Any], rng: random.Random) -> bytes:
    """Return a training state with wrong entries, or a damaged file."""
    changes: list[Callable[[Any], Any]] = [
        lambda value: rng.choice(_WRONG),
        lambda value: _changed_tensor(value, rng) if isinstance(value, Tensor) else [value],
    ]
    if rng.random() < 0.25:
        return corrupted(pth(content), rng)
    if rng.random() < 0.1:
        return pth(rng.choice((_Stranger(), [content], None, {}, {"iter": 1}, {**content, 7: 8})))
    for _ in range(rng.choice((1, 1, 2, 3))):
        if not content:
            break
        top = rng.choice(list(content))
        below = [(top, *path) for path in places(content[top])]
        *above, last = rng.choice(below) if below and rng.random() < 0.6 else (top,)
        place = inner(content, tuple(above))
        if rng.random() < 0.25:
            del place[last]
        else:
            place[last] = rng.choice(changes)(place[last])
    return pth(content)


def read(path: Path) -> Any:
    """Read a file that torch.save wrote."""
    return torch.load(path, weights_only=True)
