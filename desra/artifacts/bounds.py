"""Sections of settings: frozen dataclasses whose fields carry their bounds and their description.

The bounds stand once, as `annotated_types` in the annotation of a field: `check_bounds` holds plain
Python to them, and the options of the stages (pydantic) read the same annotations.
"""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from typing import Any, TypeAlias, get_type_hints

from annotated_types import Ge, Gt, Le

Bound: TypeAlias = "Ge | Gt | Le"

#: How pydantic reads such a dataclass as a section of the options; what it is made of is plain.
SECTION: Any = {"extra": "forbid", "use_attribute_docstrings": True}


def check_bounds(section: Any, name: str) -> None:
    """Refuse a dataclass that has a value outside the bounds of its field.

    Args:
        section: an instance of a dataclass whose bounds are annotated by ``Ge``, ``Gt``, ``Le``.
        name: what the section is called in messages.

    Raises:
        ValueError: names the first such field, its bounds and its value.
    """
    kind: Any = section.__class__
    for field, bounds in _bounds(kind).items():
        value = getattr(section, field)
        if not (all(_holds(value, bound) for bound in bounds) and value < float("inf")):
            raise ValueError(f"{name} {field} must be {_in_words(bounds)}, got {value}")


def _holds(value: Any, bound: Any) -> bool:
    if isinstance(bound, Ge):
        return value >= bound.ge
    return value > bound.gt if isinstance(bound, Gt) else value <= bound.le


def _in_words(bounds: list[Bound]) -> str:
    limits: dict[type, Any] = {type(bound): bound for bound in bounds}
    if Gt in limits:
        return "a positive number"
    least = f"{limits[Ge].ge}"
    return f"in [{least}, {limits[Le].le}]" if Le in limits else f"{least} or more"


@cache
def _bounds(section: Any) -> dict[str, list[Bound]]:
    hints = get_type_hints(section, include_extras=True)
    annotated: dict[str, list[Any]] = {
        field.name: list(getattr(hints[field.name], "__metadata__", ()))
        for field in fields(section)
    }
    return {name: bounds for name, bounds in annotated.items() if bounds}
