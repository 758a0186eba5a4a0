"""A run that kills itself, several times over, each time resumed by the same command.

    python tests/helpers/killed_run.py <options file> <seconds> <seconds> ...

Each life is a fork of this process, so that modules are imported once; the last one is not killed.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any

from desra import train
from desra.models import DeSRAModel


def live(options: str, seconds: float | None) -> None:
    """Run the command; SIGKILL comes so many seconds after the first step has begun."""
    optimize = DeSRAModel.optimize

    def timed(self: DeSRAModel, batch: Any, iteration: int) -> Any:
        DeSRAModel.optimize = optimize  # type: ignore[method-assign]
        killer = threading.Timer(seconds or 0, os.kill, (os.getpid(), signal.SIGKILL))
        killer.daemon = True
        killer.start()
        return optimize(self, batch, iteration)

    if seconds is not None:
        DeSRAModel.optimize = timed  # type: ignore[method-assign]
    os._exit(train.main(["-opt", options]))


if __name__ == "__main__":
    file, *delays = sys.argv[1:]
    for delay in [*map(float, delays), None]:
        if (child := os.fork()) == 0:
            live(file, delay)
        _, status = os.waitpid(child, 0)
        print("killed" if os.WIFSIGNALED(status) else os.WEXITSTATUS(status), flush=True)
