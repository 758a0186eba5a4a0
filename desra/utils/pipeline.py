"""Reading, computing and writing at the same time, in the order of the items."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NoReturn, TypeVar

Item = TypeVar("Item")
Input = TypeVar("Input")
Output = TypeVar("Output")
Result = TypeVar("Result")

_AHEAD = 1  # inputs read while one is worked on; each may be a large image


def overlapped(
    items: Iterable[Item],
    read: Callable[[Item], Input],
    work: Callable[[Input], Output],
    write: Callable[[Output], Result],
) -> Iterator[Callable[[], Result]]:
    """``write(work(read(item)))`` for each item: the next is read and the last is written in
    threads of their own while ``work`` runs in the caller's.

    Image codecs and file systems let go of the interpreter, so this hides their time behind a
    network's. ``work`` stays in one thread: networks and what they hold need no locks.

    Args:
        items: taken one ahead.
        read, work, write: the three steps. An item at which one raises leaves the others as they
            are.

    Yields:
        For each item, in order, a function that waits until the item is written and returns the
        result of ``write``, or raises what a step raised.
    """
    with ThreadPoolExecutor(1, "read") as reader, ThreadPoolExecutor(1, "write") as writer:
        coming = iter(items)
        inputs: deque[Future[Input]] = deque()
        done: deque[Callable[[], Result]] = deque()
        try:
            while True:
                for item in coming:
                    inputs.append(reader.submit(read, item))
                    if len(inputs) > _AHEAD:
                        break
                if not inputs:
                    break
                given = inputs.popleft()
                waiting = 1  # one may be still being written: they must not pile up
                try:
                    output = work(given.result())
                except Exception as error:
                    done.append(_raising(error))
                    waiting = 0  # the caller may want to stop before the next item is worked on
                else:
                    done.append(writer.submit(write, output).result)
                    del output  # the writer alone keeps it
                del given
                while len(done) > waiting:
                    yield done.popleft()
            while done:
                yield done.popleft()
        finally:
            # An end before its time (the caller stops, or Ctrl-C): what has not begun is dropped.
            for future in inputs:
                future.cancel()


def _raising(error: Exception) -> Callable[[], NoReturn]:
    def result() -> NoReturn:
        raise error

    return result
