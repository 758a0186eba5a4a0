"""Try a case in a fork of this process: what the command did, and what it did wrong.

A fork has the modules loaded already, and a crash, a hang or a full memory of it ends only itself.
"""

import contextlib
import faulthandler
import hashlib
import importlib
import json
import multiprocessing.process
import os
import resource
import select
import shutil
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import desra
from fuzzing.case import Case

GB = 1e9
FIFO_SECONDS = 5  # of waiting for a FIFO is a hang
PACKAGE = Path(desra.__file__).parent
PROCESSES = 16  # more than so many of one command are refused


@dataclass(frozen=True)
class Limits:
    """What a case may take.

    Attributes:
        seconds: longer is a hang.
        gigabytes: resident memory that it may take beside what this process had.
    """

    seconds: float = 20
    gigabytes: float = 4


@dataclass(frozen=True)
class Outcome:
    """What came of a case.

    Attributes:
        status: the exit status, or ``error`` or ``signal N`` or ``hang``.
        faults: what is wrong, of tracebacks, hangs, memory, changed.
        cause: ``file:line type`` of an error, or what was changed.
        text: what the command printed, and the traceback.
        seconds: how long it took.
        cpu: seconds that the processor worked for it.
    """

    status: str
    faults: tuple[str, ...] = ()
    cause: str = ""
    text: str = ""
    seconds: float = 0.0
    cpu: float = 0.0


def digests(folder: Path) -> dict[str, str]:
    """Return path -> a digest of each regular file and link of a folder."""
    result: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            result[path.relative_to(folder).as_posix()] = os.readlink(path)
        elif path.is_file():
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            result[path.relative_to(folder).as_posix()] = content
    return result


def changed(before: dict[str, str], after: dict[str, str], writes: tuple[str, ...]) -> list[str]:
    """Return the files that were changed or removed and that the command must not touch."""
    own = tuple(f"{path}/" for path in writes)
    return [
        path
        for path, digest in before.items()
        if after.get(path) != digest and path not in writes and not path.startswith(own)
    ]


def in_fork(work: Callable[[], Any], folder: Path, limits: Limits) -> Outcome:
    """Run ``work`` in a fork whose working folder is ``folder``, and return what came of it.

    What it prints, and a traceback, are in the outcome's text.
    """
    log = folder.parent / "log.txt"
    begun = time.monotonic()
    end, begin = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(end)
        _be_child(work, folder, log, limits, begin)
    os.close(begin)
    message, hung = b"", False
    try:
        while True:
            left = limits.seconds - (time.monotonic() - begun)
            if not select.select([end], [], [], max(left, 0))[0]:
                hung = True
                break
            if not (part := os.read(end, 1 << 16)):
                break
            message += part
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)  # where it has not yet become a group of its own
        os.close(end)
        _, status, usage = os.wait4(child, 0)
    text = log.read_text(errors="replace") if log.is_file() else ""
    times = time.monotonic() - begun, usage.ru_utime + usage.ru_stime
    if hung:
        return Outcome("hang", ("hangs",), f"more than {limits.seconds:g} s", text, *times)
    if not message:
        cause = f"killed by signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else "exit"
        return Outcome("signal", ("tracebacks",), cause, text, *times)
    content = json.loads(message)
    faults = ["tracebacks"] if content["cause"] else []
    if content["gigabytes"] > limits.gigabytes:
        faults.append("memory")
        content["cause"] = content["cause"] or f"{content['gigabytes']:.1f} GB"
    if not faults and "Traceback (most recent call last)" in text:
        faults, content["cause"] = ["tracebacks"], "a traceback was printed"
    return Outcome(str(content["status"]), tuple(faults), content["cause"], text, *times)


def _be_child(work: Callable[[], Any], folder: Path, log: Path, limits: Limits, begin: int) -> None:
    """Run ``work``, write what came of it into the pipe, and end this process."""
    try:
        os.setsid()  # its workers end with it
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        null = os.open(os.devnull, os.O_RDONLY)
        for stream, target in ((null, 0), (output, 1), (output, 2)):
            os.dup2(stream, target)
        # As a new interpreter has them: pytest and others put objects of their own there.
        sys.stdout = os.fdopen(1, "w", errors="backslashreplace", closefd=False)
        sys.stderr = os.fdopen(2, "w", errors="backslashreplace", closefd=False)
        faulthandler.enable(2)  # a crash says where
        os.chdir(folder)
        _fence(folder, limits)
        cause, status = "", 0
        before = _peak()
        try:
            status = work()
        except SystemExit as error:
            status = error.code if isinstance(error.code, int) else int(error.code is not None)
        except BaseException as error:
            traceback.print_exc()
            cause, status = where(error), "error"
        sys.stdout.flush()
        sys.stderr.flush()
        gigabytes = (_peak() - before) / GB
        message = {"status": status, "cause": cause, "gigabytes": gigabytes}
        os.write(begin, json.dumps(message).encode())
    finally:
        os._exit(0)


def _fence(folder: Path, limits: Limits) -> None:
    """Keep the command from the network, from the home folder, and from eating the machine."""

    def refuse(*_: object, **__: object) -> Any:
        raise ConnectionError("no network while fuzzing")

    def refusing(connect: Any) -> Any:
        def to(self: socket.socket, address: Any) -> Any:
            # Loader processes of torch speak over sockets of the machine itself.
            return connect(self, address) if self.family == socket.AF_UNIX else refuse()

        return to

    for name in ("connect", "connect_ex"):
        setattr(socket.socket, name, refusing(getattr(socket.socket, name)))
    setattr(socket, "getaddrinfo", refuse)  # noqa: B010
    home = folder.parent / "home"
    home.mkdir(exist_ok=True)
    os.environ["HOME"] = str(home)
    started, start = [0], multiprocessing.process.BaseProcess.start

    def counted(self: Any) -> None:
        started[0] += 1
        if started[0] > PROCESSES:
            raise RuntimeError(f"more than {PROCESSES} processes were started")
        start(self)

    multiprocessing.process.BaseProcess.start = counted  # type: ignore[method-assign]
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + int((limits.gigabytes + 2) * GB)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _peak() -> int:
    """Return the largest resident memory of this process, in bytes."""
    if sys.platform == "linux":
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def where(error: BaseException) -> str:
    """Return ``file:line type`` of an error: the deepest line of desra, and where there is none
    the deepest of all."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if PACKAGE in Path(frame.filename).parents]
    last = (own or list(frames))[-1]
    name = os.path.relpath(last.filename, PACKAGE) if own else last.filename
    return f"{name}:{last.lineno} {type(error).__name__}"


class Bench:
    """A copy of the good files, in which one case after the other is tried.

    After a case only what it changed is put back: a copy of all files takes longer than a case.

    Args:
        good: the folder of good files.
        scratch: a folder that is not there yet, for the copy.
        limits: what a case may take.

    Attributes:
        good: the folder of good files.
        folder: the copy.
    """

    def __init__(self, good: Path, scratch: Path, limits: Limits):
        self.good, self.folder, self._limits = good, scratch / "work", limits
        self._digests = digests(good)
        self._folders = {path.relative_to(good) for path in good.rglob("*") if path.is_dir()}
        shutil.copytree(good, self.folder)

    def try_case(self, case: Case) -> Outcome:
        """Run the command of a case, and look at what it left."""
        case.place(self.folder)
        before = digests(self.folder)

        def command() -> Any:
            sys.argv = ["desra", case.stage, *case.argv]
            return importlib.import_module(f"desra.{case.stage}.__main__").main(list(case.argv))

        limits = self._limits
        if any(
            name.endswith(("|", "=", "@")) for name in case.files
        ):  # waiting for it takes no longer
            limits = Limits(min(limits.seconds, FIFO_SECONDS), limits.gigabytes)
        outcome = in_fork(command, self.folder, limits)
        after = digests(self.folder)
        self._mend(after)
        lost = changed(before, after, case.writes)
        if not lost:
            return outcome
        cause = outcome.cause or f"desra.{case.stage} changed {lost[0]}"
        text = "\n".join([outcome.text, "changed or removed:", *lost])
        faults = (*outcome.faults, "changed")
        return Outcome(outcome.status, faults, cause, text, outcome.seconds, outcome.cpu)

    def _mend(self, files: dict[str, str]) -> None:
        """Put the good files back, given the digests of what is there."""
        for path in self.folder.parent.iterdir():
            if path != self.folder:
                _remove(path)
        for path in sorted(self.folder.rglob("*"), reverse=True):
            name = path.relative_to(self.folder)
            expected = self._folders if path.is_dir() and not path.is_symlink() else self._digests
            if (name if expected is self._folders else name.as_posix()) not in expected:
                _remove(path)
        for folder in sorted(self._folders):
            (self.folder / folder).mkdir(parents=True, exist_ok=True)
        for name, digest in self._digests.items():
            path = self.folder / name
            if files.get(name) != digest or not path.is_file():
                path.unlink(missing_ok=True)
                shutil.copy2(self.good / name, path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
