"""Sections of settings: frozen dataclasses whose fields carry their bounds and their description.

The bounds stand once, as `annotated_types` in the annotation of a field: `check_bounds` holds plain
Python to them, and the options of the stages (pydantic) read the same annotations.
"""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from typing import Any, get_type_hints

from annotated_types import BaseMetadata, Ge, GroupedMetadata, Gt, Le

#: How pydantic reads such a dataclass as a section of the options; what it is made of is plain.
SECTION: Any = {"extra": "forbid", "use_attribute_docstrings": True}


def check_bounds(section: Any, name: str) -> None:
    """Refuse a dataclass that has a value outside the bounds of its field.

    Args:
        section: an instance of a dataclass whose bounds are annotated by ``Ge``, ``Gt``, ``Le`` or
            ``Interval``.
        name: what the section is called in messages.

    Raises:
        ValueError: names the first such field, its bounds and its value.
    """
    for field, low, above, high in _bounds(type(section)):
        value = getattr(section, field)
        inside = (low is None or value >= low) and (above is None or value > above)
        if not (inside and value < float("inf") and (high is None or value <= high)):
            raise ValueError(f"{name} {field} must be {_in_words(low, above, high)}, got {value}")


def _in_words(low: Any, above: Any, high: Any) -> str:
    if high is not None:
        return f"in [{low}, {high}]"
    return "a positive number" if above is not None else f"{low} or more"


@cache
def _bounds(section: type) -> list[tuple[str, Any, Any, Any]]:
    """(field, least, to be exceeded, most) of each field that has bounds; None: no such bound."""
    hints = get_type_hints(section, include_extras=True)
    bounds: list[tuple[str, Any, Any, Any]] = []
    for field in fields(section):
        parts: list[BaseMetadata] = []
        for part in getattr(hints[field.name], "__metadata__", ()):
            parts += part if isinstance(part, GroupedMetadata) else [part]
        low = next((part.ge for part in parts if isinstance(part, Ge)), None)
        above = next((part.gt for part in parts if isinstance(part, Gt)), None)
        high = next((part.le for part in parts if isinstance(part, Le)), None)
        if parts:
            bounds.append((field.name, low, above, high))
    return bounds
