"""A run that is killed several times over, each time resumed by the same command.

    python tests/helpers/killed_run.py <options file> <iteration:part> <iteration:part> ...

Each life is a fork of this process, so that modules are imported once; the last one is not killed.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

from desra import train
from desra.models import DeSRAModel


def live(options: str, iteration: int | None, part: float = 0) -> None:
    """Run the command; it dies after ``iteration`` has begun, ``part`` of a step later.

    By an alarm that nothing handles: it ends a process as abruptly as SIGKILL does, and to the
    microsecond. How long a step takes is measured in this life, so that a quick machine is killed
    as often as a slow one.
    """
    optimize = DeSRAModel.optimize
    last_start: float | None = None

    def timed(self: DeSRAModel, batch: Any, now: int) -> Any:
        nonlocal last_start
        start = time.perf_counter()
        if last_start is not None and iteration is not None and now >= iteration:
            DeSRAModel.optimize = optimize  # type: ignore[method-assign]
            signal.setitimer(signal.ITIMER_REAL, max(part * (start - last_start), 1e-6))
        last_start = start
        return optimize(self, batch, now)

    DeSRAModel.optimize = timed  # type: ignore[method-assign]
    os._exit(train.main(["-opt", options]))


if __name__ == "__main__":
    file, *moments = sys.argv[1:]
    lives = [(int(i), float(part)) for i, part in (moment.split(":") for moment in moments)]
    for life in [*lives, (None, 0.0)]:
        if (child := os.fork()) == 0:
            live(file, *life)
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM
        print("killed" if killed else os.waitstatus_to_exitcode(status), flush=True)
