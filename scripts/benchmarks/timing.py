"""Ways of doing the same thing, timed in turns, so that a busy machine slows all of them."""

import time
from collections.abc import Callable, Mapping


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
