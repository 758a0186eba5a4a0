"""Check and complete the plain values of options before their sections are validated."""

import dataclasses
import math
import re
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, cast

from pydantic import BaseModel

_MAX_PATH = 4095
_HOME = re.compile(r"^~[^/\\]*(/|$)")


def sections_in(annotation: Any) -> list[Any]:
    """Return the classes of sections in an annotation such as ``Section | None``."""
    if isinstance(annotation, type):
        section: Any = annotation
        is_model = issubclass(section, BaseModel)
        return [section] if is_model or dataclasses.is_dataclass(section) else []
    if typing.get_origin(annotation) in (typing.Union, types.UnionType, Annotated):
        return [s for a in typing.get_args(annotation) for s in sections_in(a)]
    return []


def fields_of(section: Any) -> dict[str, Any]:
    """Return the annotation of each key of a section."""
    if issubclass(section, BaseModel):
        return {f.alias or n: f.annotation for n, f in section.model_fields.items()}
    return {field.name: field.type for field in dataclasses.fields(section)}


def completed(model: Any, content: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return options with ``~`` expanded and empty sections filled, and what is wrong with them.

    A text that begins with ``~/`` is a path in the home folder. A section whose keys are all
    commented out, null in YAML, has its defaults, unless null has a meaning of its own.

    Args:
        model: the class of the options.
        content: keys and values as read from YAML.

    Returns:
        A copy, and a sentence for each number that is not finite or too large, each true or false
        where a number belongs, and each text that no file system takes.
    """
    faults: list[str] = []
    return _section(model, content, "", faults), faults


def _section(model: Any, content: Mapping[Any, Any], path: str, faults: list[str]) -> Any:
    fields = fields_of(model) if model is not None else {}
    result: dict[str, Any] = {}
    for key, content_of_key in content.items():
        value: Any = content_of_key
        inner = f"{path}.{key}" if path else str(key)
        if not isinstance(key, str) and model is not None:
            faults.append(f"{inner}: a key must be a text; put it in quotes")
            continue
        annotation = fields.get(key)
        sections = sections_in(annotation)
        if value is None and annotation is not None and not _allows_none(annotation):
            container: Any = typing.get_origin(_parts(annotation)[0])
            if sections or container in (dict, list):
                value = cast(Any, {} if sections else container())
        if isinstance(value, bool) and annotation is not None and _is_number(annotation):
            faults.append(f"{inner}: must be a number (given: {str(value).lower()})")
            continue
        result[key] = _value(sections[0] if sections else None, value, inner, faults, annotation)
    return result


def _value(model: Any, value: Any, path: str, faults: list[str], annotation: Any = None) -> Any:
    if isinstance(value, Mapping):
        content = cast(Mapping[str, Any], value)
        inner = None if annotation is None else _item_section(annotation)
        if model is None and inner is not None:
            return {
                key: _value(inner, item, f"{path}.{key}", faults) for key, item in content.items()
            }
        return _section(model, content, path, faults)
    if isinstance(value, list | tuple):
        items = cast(list[Any], value)
        for number, item in enumerate(items):
            if isinstance(item, bool) and annotation is not None and _holds_numbers(annotation):
                faults.append(f"{path}.{number}: must be a number (given: {str(item).lower()})")
        return [_value(None, item, f"{path}.{i}", faults) for i, item in enumerate(items)]
    if isinstance(value, float) and not math.isfinite(value):
        faults.append(f"{path}: must be a finite number (given: {value})")
    elif isinstance(value, int) and abs(value) >= 2**63:
        faults.append(f"{path}: must be a number of at most 18 digits")
    elif isinstance(value, str):
        if "\0" in value:
            faults.append(f"{path}: must not hold the character NUL (given: {value[:80]!r})")
        elif len(value.encode(errors="surrogatepass")) > _MAX_PATH:
            faults.append(f"{path}: must be a text of at most {_MAX_PATH} bytes")
        elif _HOME.match(value):
            return _expanded(value, path, faults)
    return value


def _expanded(value: str, path: str, faults: list[str]) -> str:
    try:
        return str(Path(value).expanduser())
    except RuntimeError:  # no such user
        faults.append(
            f"{path}: there is no home folder {value.partition('/')[0]} (given: {value!r}); for a "
            f"file of that name write ./{value}"
        )
        return value


def _parts(annotation: Any) -> list[Any]:
    """Return the types of a union; the type itself where it is none."""
    origin = typing.get_origin(annotation)
    if origin is Annotated:
        return _parts(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return [part for inner in typing.get_args(annotation) for part in _parts(inner)]
    return [annotation]


def _item_section(annotation: Any) -> Any:
    """Return the class of the sections in a dictionary such as ``dict[str, Section]``, or None."""
    for part in _parts(annotation):
        if typing.get_origin(part) is dict:
            return next(iter(sections_in(typing.get_args(part)[1])), None)
    return None


def _allows_none(annotation: Any) -> bool:
    return any(part in (None, types.NoneType, Any) for part in _parts(annotation))


def _is_number(annotation: Any) -> bool:
    """Whether only numbers, or null, may stand there; annotations may be text."""
    if isinstance(annotation, str):
        return re.search(r"\b(int|float)\b", annotation) is not None and "bool" not in annotation
    parts = [part for part in _parts(annotation) if part not in (None, types.NoneType)]
    return bool(parts) and all(
        part in (int, float)
        or (
            typing.get_origin(part) is typing.Literal
            and all(type(choice) is int for choice in typing.get_args(part))
        )
        for part in parts
    )


def _holds_numbers(annotation: Any) -> bool:
    """Whether it is a list or tuple of numbers."""
    for part in _parts(annotation):
        inner = [a for a in typing.get_args(part) if a is not Ellipsis]
        if typing.get_origin(part) in (list, tuple) and inner and all(map(_is_number, inner)):
            return True
    return False
