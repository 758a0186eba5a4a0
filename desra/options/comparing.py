"""What differs between two sets of options."""

from collections.abc import Iterator, Mapping
from typing import Any, cast


def flat(settings: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the path ``a.b`` and the value of each value in nested sections."""
    for key, value in settings.items():
        path = f"{above}.{key}" if above else key
        if isinstance(value, Mapping) and value:
            yield from flat(cast(Mapping[str, Any], value), path)
        else:
            yield path, value


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return ``key: old -> new`` for each key whose values differ."""
    nothing = "(not given)"
    return [
        f"{key}: {old.get(key, nothing)} -> {new.get(key, nothing)}"
        for key in dict.fromkeys([*old, *new])
        if old.get(key, nothing) != new.get(key, nothing)
    ]


def nested(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested sections for paths ``a.b`` and their values: the reverse of `flat`."""
    sections: dict[str, Any] = {}
    for path, value in settings.items():
        *parents, last = path.split(".")
        place = sections
        for key in parents:
            place = place.setdefault(key, {})
        place[last] = value
    return sections
