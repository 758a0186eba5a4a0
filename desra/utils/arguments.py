"""Check the arguments of a constructor, as YAML gives them, against its signature."""

import inspect
import math
import reprlib
import types
import typing
from collections.abc import Callable, Mapping
from collections.abc import Sequence as SequenceClass
from typing import Any, cast

_NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
_short = reprlib.Repr()
_short.maxstring = _short.maxother = 60


def shown(arguments: Mapping[str, Any]) -> str:
    """Return arguments as ``name=value, ...``, long values cut."""
    return ", ".join(f"{name}={_short.repr(value)}" for name, value in arguments.items())


def signature_of(function: Callable[..., Any]) -> str:
    """Return what a class or function takes as ``name(a, b=1)``, without annotations."""
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(function).parameters.values():
        parameters.append(parameter.replace(annotation=inspect.Parameter.empty))
    name = getattr(function, "__name__", str(function))
    return f"{name}{inspect.Signature(parameters)}"


def wrong_argument(function: Callable[..., Any], arguments: Mapping[str, Any]) -> str | None:
    """Return what is wrong with one of the arguments, ``name: must be ... (given: ...)``.

    The annotation of a parameter tells its type, or else its default: a number, or true or false.

    Args:
        function: a class or function.
        arguments: values as YAML knows them.

    Returns:
        None where nothing is wrong that the signature could tell.
    """
    hints = _hints(function)
    for name, parameter in inspect.signature(function).parameters.items():
        if name not in arguments:
            continue
        value = arguments[name]
        default = parameter.default
        if number := _not_finite(value):
            return f"{name}: must be finite (given: {number})"
        annotation = hints.get(name)
        if annotation is None and type(default) in (int, float) and isinstance(value, bool | str):
            annotation = float
        if annotation is None and isinstance(default, bool) and isinstance(value, str):
            annotation = bool
        if annotation is not None and not _fits(annotation, value):
            if parameter.default is value:  # what the author of the class says is so
                continue
            return f"{name}: must be {_meaning(annotation)} (given: {_short.repr(value)})"
    return None


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the annotations of a constructor's or function's parameters; {}: none are known."""
    try:
        return typing.get_type_hints(
            function.__init__ if isinstance(function, type) else function  # pyright: ignore
        )
    except Exception:  # names that are only there while types are checked
        return {}


def _not_finite(value: Any) -> float | None:
    """Return a NaN or an infinity in nested plain data; None: there is none."""
    if isinstance(value, float):
        return None if math.isfinite(value) else value
    inner: list[Any] = []
    if isinstance(value, Mapping):
        inner = list(cast(Mapping[Any, Any], value).values())
    elif isinstance(value, list | tuple):
        inner = list(cast(list[Any], value))
    return next((number for v in inner if (number := _not_finite(v)) is not None), None)


def _module(annotation: Any) -> str:
    return str(getattr(annotation, "__module__", "")).partition(".")[0]


def _meaning(annotation: Any) -> str:
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_meaning(part) for part in inner if _module(part) != "torch")
    if origin is typing.Literal:
        return " or ".join(map(str, inner))
    if annotation in (None, types.NoneType):
        return "null"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return "a section of keys"
    if isinstance(origin, type) and issubclass(origin, SequenceClass):
        return "a list"
    return _NAMES.get(annotation) or getattr(annotation, "__name__", str(annotation))


def _fits(annotation: Any, value: Any) -> bool:
    """Whether a value may be of a type; True for types that YAML knows nothing of."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _fits(inner[0], value)
    if origin in (typing.Union, types.UnionType):
        # No value of YAML is a tensor.
        return any(_fits(part, value) for part in inner if _module(part) != "torch")
    if origin is typing.Literal:
        return value in inner
    if annotation in (None, types.NoneType):
        return value is None
    if annotation is bool or annotation is str:
        return isinstance(value, annotation)
    if annotation is int:
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        return whole and not isinstance(value, bool)
    if annotation is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        if not isinstance(value, Mapping) or len(inner) != 2:
            return isinstance(value, Mapping)
        pairs = cast(Mapping[Any, Any], value).items()
        return all(_fits(inner[0], key) and _fits(inner[1], item) for key, item in pairs)
    if isinstance(origin, type) and issubclass(origin, SequenceClass):
        if not isinstance(value, list | tuple):
            return False
        items = list(cast(list[Any], value))
        if origin is tuple and inner[-1:] != (Ellipsis,):
            return len(items) == len(inner) and all(map(_fits, inner, items))
        return all(_fits(inner[0], item) for item in items)
    return True
