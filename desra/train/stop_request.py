"""Ctrl-C and SIGTERM as a wish that is granted between two steps."""

import os
import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

_WISHES = (signal.SIGINT, signal.SIGTERM)


@dataclass
class Wish:
    """To stop: the number of the signal, 0 without one."""

    signal: int = 0

    def grant(self, number: int) -> None:
        """End as the signal would have: KeyboardInterrupt, or exit status 143."""
        if number == signal.SIGTERM:
            raise SystemExit(128 + number)
        raise KeyboardInterrupt


@contextmanager
def heeded() -> Generator[Wish]:
    """While inside, the first signal is noted rather than acted upon.

    A second Ctrl-C interrupts at once; not under torchrun, which sends each twice.
    """
    wish = Wish()
    if threading.current_thread() is not threading.main_thread():
        yield wish  # only the main thread gets signals
        return

    def note(number: int, _frame: FrameType | None) -> None:
        if wish.signal and "TORCHELASTIC_RUN_ID" not in os.environ:
            raise KeyboardInterrupt
        wish.signal = number

    before = {number: signal.signal(number, note) for number in _WISHES}
    try:
        yield wish
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
