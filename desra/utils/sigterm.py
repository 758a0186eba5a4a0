"""SIGTERM as an exception, so that what is at work cleans up as at Ctrl-C."""

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager

STATUS = 128 + signal.SIGTERM
"""Exit status of a command that SIGTERM ended, by the convention of shells."""


@contextmanager
def ended_by_sigterm() -> Generator[None]:
    """Let SIGTERM end the block as SystemExit of `STATUS`, so that temporary files are deleted.

    Outside the main thread, which alone gets signals, this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(_number: int, _frame: object) -> None:
        raise SystemExit(STATUS)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
