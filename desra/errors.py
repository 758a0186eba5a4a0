"""The one exception that a user can cause, and that a command line turns into status 2."""

from __future__ import annotations

from collections.abc import Iterable

_SHOWN = 10


class InputError(ValueError):
    """Wrong options or input: something that the user can put right.

    The message is one clear sentence: the file or key path, what was expected, what to do.
    Command lines print it without a traceback and end with status 2.
    """


def listed(items: Iterable[str], separator: str = ", ") -> str:
    """The first ten of ``items``, and how many more there are.

    Example:
        >>> listed("abcdefghijklm")
        'a, b, c, d, e, f, g, h, i, j and 3 more'
    """
    items = list(items)
    more = len(items) - _SHOWN
    end = f"{' ' if separator == ', ' else separator}and {more} more" if more > 0 else ""
    return separator.join(items[:_SHOWN]) + end


def refuse_if_any(faults: Iterable[str], heading: str) -> None:
    """Say all faults at once, a line each (the first ten), under ``heading``.

    Raises:
        InputError: there are any.
    """
    if faults := list(faults):
        raise InputError(f"{heading}:\n  " + listed(faults, "\n  "))
