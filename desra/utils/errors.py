"""The one exception that a user can cause, and that a command line turns into status 2."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import Literal, TypeVar

logger = logging.getLogger("desra")

_T = TypeVar("_T")
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


def did_you_mean(name: str, known: Iterable[str], otherwise: str | None = None) -> str:
    """The end of a sentence about a name that is not known.

    Args:
        name: what was given.
        known: what could have been.
        otherwise: what to say when nothing is near; None: what is known.

    Example:
        >>> did_you_mean("treshold", ["threshold", "min_area"])
        "did you mean 'threshold'?"
        >>> did_you_mean("x", ["threshold", "min_area"])
        'known: threshold, min_area'
    """
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"did you mean '{near[0]}'?"
    return f"known: {', '.join(known)}" if otherwise is None else otherwise


def refuse_if_any(faults: Iterable[str], heading: str) -> None:
    """Say all faults at once, a line each (the first ten), under ``heading``.

    Raises:
        InputError: there are any.
    """
    if faults := list(faults):
        raise InputError(f"{heading}:\n  " + listed(faults, "\n  "))


def sort_out(items: Iterable[_T], check: Callable[[_T], object]) -> tuple[list[_T], list[str]]:
    """Those of ``items`` that ``check`` lets pass, and the sentence of each InputError that it
    raised for the others."""
    fine: list[_T] = []
    faults: list[str] = []
    for item in items:
        try:
            check(item)
        except InputError as error:
            faults.append(str(error))
        else:
            fine.append(item)
    return fine, faults


class Unusable:
    """The inputs that a stage stops at or passes over, and why.

    Args:
        on_error: the option of that name.
    """

    def __init__(self, on_error: Literal["stop", "skip"]) -> None:
        self._skip = on_error == "skip"
        self._faults: list[str] = []

    def sort_out(self, items: Iterable[_T], check: Callable[[_T], object]) -> list[_T]:
        """Before the work: the items that ``check`` lets pass.

        Raises:
            InputError: there are others and they stop the work, or there are only others.
        """
        fine, faults = sort_out(items, check)
        if not (self._skip and fine):
            refuse_if_any(faults, "these inputs cannot be used (on_error: skip passes over them)")
        for fault in faults:
            self._note(fault)
        return fine

    @contextmanager
    def passing_over(self) -> Generator[None]:
        """During the work: an InputError inside ends the block, and the work if so wanted."""
        try:
            yield
        except InputError as error:
            if not self._skip:
                raise
            self._note(str(error))

    def refuse_if_all(self, done: int) -> None:
        """After the work.

        Raises:
            InputError: nothing was done, for all was passed over.
        """
        if not done:
            refuse_if_any(self._faults, "no image could be used")

    def sum_up(self) -> None:
        """At the end: say again what was passed over."""
        if self._faults:
            logger.warning("skipped %d images:\n  %s", len(self._faults), "\n  ".join(self._faults))

    def _note(self, fault: str) -> None:
        logger.warning("skipped: %s", fault)
        self._faults.append(fault)
