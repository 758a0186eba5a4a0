"""Ctrl-C and SIGTERM as a request to stop, which is met between two steps."""

import os
import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass
class StopRequest:
    """A request to stop the training.

    Attributes:
        signal: number of the signal that asked for it; 0: there is none.
    """

    signal: int = 0

    def grant(self, number: int) -> None:
        """End the process as signal ``number`` would have.

        Raises:
            SystemExit: of status 143, for SIGTERM.
            KeyboardInterrupt: for any other signal.
        """
        if number == signal.SIGTERM:
            raise SystemExit(128 + number)
        raise KeyboardInterrupt


@contextmanager
def deferred() -> Generator[StopRequest]:
    """Note the first signal in the yielded request instead of acting on it, while inside.

    A second Ctrl-C interrupts at once; not under torchrun, which sends each signal twice. Outside
    the main thread, which alone gets signals, this does nothing.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def note(number: int, _frame: FrameType | None) -> None:
        if request.signal and "TORCHELASTIC_RUN_ID" not in os.environ:
            raise KeyboardInterrupt
        request.signal = number

    handlers = {number: signal.signal(number, note) for number in _SIGNALS}
    try:
        yield request
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
