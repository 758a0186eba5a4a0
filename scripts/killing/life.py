"""One life of a command: a fork of this process, which a signal ends at a given moment.

A fork has the modules loaded already, so that a signal hits the work and not the imports.
"""

import faulthandler
import importlib
import os
import select
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

PATIENCE = 10.0  # seconds in which a signal must have ended a command
LONGEST = 300.0  # seconds of a command without a signal
_CHANGING = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "fcntl.flock")
_WRITING = os.O_WRONLY | os.O_RDWR
_BEGUN, _REACHED, _OPERATION = b"b", b"r", b"o"


@dataclass(frozen=True)
class Moment:
    """When a signal is sent.

    Attributes:
        how: ``time``: after so many seconds. ``before``: instead of the operation of this number
            on the file system, from 1. ``after``: as soon as another process learns of it.
        at: the seconds or the number.
    """

    how: Literal["time", "before", "after"]
    at: float

    def __str__(self) -> str:
        return f"{self.at:.3f} s" if self.how == "time" else f"{self.how} operation {self.at:g}"


@dataclass(frozen=True)
class Ended:
    """How a life ended.

    Attributes:
        status: the exit status; minus the number of the signal that ended it.
        hit: whether the signal was sent before the command had ended.
        seconds: from the begin of the work to the end.
        dying: seconds from the signal to the end.
        operations: how many operations on the file system of the output there were.
        stdout, stderr: what was printed.
    """

    status: int
    hit: bool
    seconds: float
    dying: float
    operations: int
    stdout: str
    stderr: str


def live(
    stage: str, folder: Path, number: int = signal.SIGKILL, moment: Moment | None = None
) -> Ended:
    """Call ``python -m desra.<stage> -opt <stage>.yml`` in a fork, and kill it.

    Args:
        stage: its name.
        folder: where it is called; the output is ``out`` in it.
        number: of the signal.
        moment: when it is sent; None: never.
    """
    logs = [folder.parent / name for name in ("stdout.txt", "stderr.txt")]
    end, begin = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(end)
        try:
            _be_child(stage, folder, logs, begin, number, moment)
        finally:  # a signal came as the command had ended: the fork must not go on with our work
            os._exit(0)
    os.close(begin)
    begun = sent = time.monotonic()
    working = hit = False
    operations, status = 0, None
    try:
        while status is None:
            now = time.monotonic()
            due = moment is not None and moment.how == "time" and working and not hit
            wait = max(begun + moment.at - now, 0) if due and moment else 0.005
            told = os.read(end, 1 << 12) if select.select([end], [], [], wait)[0] else b""
            if _BEGUN in told:
                begun, working = time.monotonic(), True
                continue
            operations += told.count(_OPERATION)
            if not hit and (_REACHED in told or (due and not told)):
                hit, sent = True, time.monotonic()
                if moment and moment.how != "before":
                    os.kill(child, number)
            if not told:
                pid, code = os.waitpid(child, 0 if hit and number == signal.SIGKILL else os.WNOHANG)
                status = os.waitstatus_to_exitcode(code) if pid else None
            limit = sent + PATIENCE if hit else begun + LONGEST
            if status is None and time.monotonic() > limit:
                os.kill(child, signal.SIGKILL)
                _, code = os.waitpid(child, 0)
                status = os.waitstatus_to_exitcode(code)
    finally:
        os.close(end)
    now = time.monotonic()
    texts = [path.read_text(errors="replace") for path in logs]
    return Ended(status, hit, now - begun, now - sent, operations, *texts)


def _be_child(
    stage: str, folder: Path, logs: list[Path], pipe: int, number: int, moment: Moment | None
) -> None:
    """Call the command as a new interpreter would, and end this process."""
    status: Any = 1
    try:
        os.setsid()
        null = os.open(os.devnull, os.O_RDONLY)
        files = [os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) for log in logs]
        for target, file in enumerate((null, *files)):
            os.dup2(file, target)
        # As a new interpreter has them: pytest and others put objects of their own there, and a
        # shell lets its background jobs ignore Ctrl-C.
        sys.stdout = os.fdopen(1, "w", errors="backslashreplace", closefd=False)
        sys.stderr = os.fdopen(2, "w", errors="backslashreplace", closefd=False)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.chdir(folder)
        tempfile.tempdir = str(folder / "tmp")
        sys.argv = ["desra", stage, "-opt", f"{stage}.yml"]
        command = importlib.import_module(f"desra.{stage}.__main__").main
        sys.addaudithook(_counting(folder / "out", pipe, number, moment))
        _tell_begin(pipe)
        status = command(["-opt", f"{stage}.yml"])
    except SystemExit as error:
        status = error.code
    except BaseException:
        traceback.print_exc()
    finally:
        # An interpreter waits for its threads as it ends.
        for thread in threading.enumerate():
            if thread is not threading.current_thread() and not thread.daemon:
                thread.join()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status if isinstance(status, int) else 1)


def _tell_begin(pipe: int) -> None:
    """Tell that the work begins as soon as the command line answers for signals."""
    from desra import cli

    ended_by_sigterm = cli.ended_by_sigterm

    @contextmanager
    def telling() -> Generator[None]:
        with ended_by_sigterm():
            os.write(pipe, _BEGUN)
            faulthandler.dump_traceback_later(PATIENCE - 1, file=2)  # where a command hangs
            yield

    cli.ended_by_sigterm = telling


def _counting(output: Path, pipe: int, number: int, moment: Moment | None) -> Any:
    """Return an audit hook that tells of operations on the files of the output.

    These are: a file is opened to write, renamed, or deleted, a folder is made or deleted, a lock
    is taken or let go.
    """
    count = 0
    place, process = os.path.join(output, ""), os.getpid()

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if event == "open":
            if not (isinstance(arguments[2], int) and arguments[2] & _WRITING):
                return
        elif event not in _CHANGING:
            return
        if event != "fcntl.flock":
            path = arguments[0]
            if not isinstance(path, str | bytes | os.PathLike):
                return
            if not os.path.abspath(os.path.join(os.fsdecode(path), "")).startswith(output_name):
                return
        if os.getpid() != process:  # a worker
            return
        count += 1
        reached = moment is not None and moment.how != "time" and count == moment.at
        os.write(pipe, _OPERATION + _REACHED * reached)
        if reached and moment and moment.how == "before":
            os.kill(process, number)

    output_name = place.rstrip(os.sep)
    return hook
