"""Ways of doing the same thing, timed in turns, so that a busy machine slows all of them."""

import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager

import cv2
import torch


@contextmanager
def threads(of_opencv: int, of_torch: int | None = None) -> Generator[None, None, None]:
    """Set numbers of threads (None: leave it), and set back what was there before."""
    before = cv2.getNumThreads(), torch.get_num_threads()
    try:
        cv2.setNumThreads(of_opencv)
        torch.set_num_threads(of_torch or before[1])
        yield
    finally:
        cv2.setNumThreads(before[0])
        torch.set_num_threads(before[1])


def in_turns(ways: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Seconds of each way, run one after the other ``repeats`` times after a warm-up of each."""
    for run in ways.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, run in ways.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return seconds
