"""InputError, the error of wrong options or input, and functions for its messages."""

from __future__ import annotations

import difflib
import logging
import os
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import Literal, TypeVar

logger = logging.getLogger("desra")

_T = TypeVar("_T")
_SHOWN = 10


class InputError(ValueError):
    """The error of wrong options or input, which the user can correct.

    Its message is one clear sentence: the file or key path, what was expected, what to do.
    Command lines print it without a traceback, and end with status 2.
    """


class DiskFullError(OSError, InputError):
    """The error of a file for which there is no room.

    Unlike other InputErrors it is never skipped: the next file would meet it too.

    Args:
        number: the error's number, such as ``errno.ENOSPC``.
        path: the file or folder that was being written.
    """

    def __init__(self, number: int, path: str | os.PathLike[str]):
        super().__init__(number, os.strerror(number), os.fspath(path))

    def __str__(self) -> str:
        return (
            f"{self.filename} cannot be written: {self.strerror}; free space there or choose "
            "another folder, and give the same command again"
        )


def listed(items: Iterable[str], separator: str = ", ") -> str:
    """Return the first ten of ``items`` as text, and how many more there are.

    Example:
        >>> listed("abcdefghijklm")
        'a, b, c, d, e, f, g, h, i, j and 3 more'
    """
    items = list(items)
    more = len(items) - _SHOWN
    end = f"{' ' if separator == ', ' else separator}and {more} more" if more > 0 else ""
    return separator.join(items[:_SHOWN]) + end


def did_you_mean(name: str, known: Iterable[str], otherwise: str | None = None) -> str:
    """Return the end of an error message about an unknown name.

    Args:
        name: the unknown name.
        known: the known names.
        otherwise: the text if no known name is similar; None: list the known names.

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
    """Raise an InputError of all faults, a line each (the first ten), under ``heading``.

    Raises:
        InputError: there are any faults.
    """
    if faults := list(faults):
        raise InputError(f"{heading}:\n  " + listed(faults, "\n  "))


def sort_out(items: Iterable[_T], check: Callable[[_T], object]) -> tuple[list[_T], list[str]]:
    """Return the items for which ``check`` raises no InputError, and the messages of the others."""
    usable: list[_T] = []
    faults: list[str] = []
    for item in items:
        try:
            check(item)
        except InputError as error:
            faults.append(str(error))
        else:
            usable.append(item)
    return usable, faults


class Unusable:
    """The unusable inputs of a stage: they stop it, or are skipped.

    Args:
        on_error: stop or skip, the option of that name.
    """

    def __init__(self, on_error: Literal["stop", "skip"]) -> None:
        self._skip = on_error == "skip"
        self._faults: list[str] = []

    def sort_out(self, items: Iterable[_T], check: Callable[[_T], object]) -> list[_T]:
        """Return the items for which ``check`` raises no InputError; called before the work.

        Raises:
            InputError: there are unusable items and they are not skipped, or no item is usable.
        """
        usable, faults = sort_out(items, check)
        if not (self._skip and usable):
            refuse_if_any(faults, "these inputs cannot be used (on_error: skip passes over them)")
        for fault in faults:
            self._note(fault)
        return usable

    @contextmanager
    def passing_over(self) -> Generator[None]:
        """Skip the rest of the block at an InputError; raise it if errors stop the stage."""
        try:
            yield
        except InputError as error:
            if not self._skip or isinstance(error, DiskFullError):
                raise
            self._note(str(error))

    def refuse_if_all(self, done: int) -> None:
        """Refuse a run in which every item was skipped; called after the work.

        Args:
            done: number of items that were not skipped.

        Raises:
            InputError: ``done`` is 0 and items were skipped.
        """
        if not done:
            refuse_if_any(self._faults, "no image could be used")

    def sum_up(self) -> None:
        """Log once more what was skipped; called at the end."""
        if self._faults:
            logger.warning("skipped %d images:\n  %s", len(self._faults), "\n  ".join(self._faults))

    def _note(self, fault: str) -> None:
        logger.warning("skipped: %s", fault)
        self._faults.append(fault)
