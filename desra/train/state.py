"""The state of a training as it lies in ``training_states/latest.state``: its types, checked."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from desra.utils.errors import InputError

_T = TypeVar("_T")
_Count = Annotated[int, Field(ge=0)]
_ADVICE = "take the file from a copy, or give --overwrite to begin anew"
#: What a library raises at a state that is not the one of its object.
_MISTAKEN = (TypeError, ValueError, LookupError, AttributeError, RuntimeError, OverflowError)


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow", arbitrary_types_allowed=True)


class _Best(_Part):
    """See `desra.train.validation.Best`."""

    kind: str
    value: float | None
    iteration: _Count
    since: _Count


class _Random(_Part):
    """See `desra.train.random_state.rng_state`."""

    torch: Tensor
    cuda: Tensor | None
    numpy: Annotated[list[Any], Field(min_length=4, max_length=4)]
    python: Annotated[tuple[Any, ...], Field(min_length=3, max_length=3)]


class _State(_Part):
    """What the training itself needs; the rest is the model's."""

    iteration: _Count
    samples: _Count
    processes: Annotated[int, Field(ge=1)]
    best: _Best | None
    identity: dict[str, Any]
    data: Any
    rng: list[_Random]


def check_state(state: Mapping[str, Any], path: Path) -> None:
    """Refuse a state that an edit or a fault has changed.

    Args:
        state: what the file holds.
        path: the file, for the message.

    Raises:
        InputError: a key is missing, or its value has another type than desra writes.
    """
    try:
        checked = _State.model_validate(dict(state))
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"]))
        raise InputError(
            f"name: {path} is no whole state of a training ({place}: {fault['msg']}); {_ADVICE}"
        ) from error
    if len(checked.rng) != checked.processes:
        raise InputError(
            f"name: {path} is no whole state of a training (rng: {len(checked.rng)} states for "
            f"{checked.processes} processes); {_ADVICE}"
        )


def restored(restore: Callable[[], _T], path: Path) -> _T:
    """Return what ``restore`` does, which sets objects to the state of a file.

    Args:
        restore: sets them.
        path: the file, for the message.

    Raises:
        InputError: the state is not one of these objects.
    """
    try:
        return restore()
    except InputError:
        raise
    except torch.OutOfMemoryError:
        raise
    except _MISTAKEN as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(
            f"name: {path} holds a state that these networks and optimisers do not take "
            f"({type(error).__name__}: {reason}); {_ADVICE}"
        ) from error
