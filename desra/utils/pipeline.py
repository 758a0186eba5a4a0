"""Read, compute and write items at the same time, in their order."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import NoReturn, TypeVar

Item = TypeVar("Item")
Input = TypeVar("Input")
Output = TypeVar("Output")
Result = TypeVar("Result")

_AHEAD = 1  # inputs read in advance; each may be a large image


def overlapped(
    items: Iterable[Item],
    read: Callable[[Item], Input],
    work: Callable[[Input], Output],
    write: Callable[[Output], Result],
) -> Generator[Callable[[], Result]]:
    """Call ``write(work(read(item)))`` for each item, the three steps in parallel.

    A thread reads the next item and another writes the previous one while ``work`` runs in the
    calling thread. Image codecs and file systems release Python's lock, so their time is hidden
    behind that of a network. Networks run in one thread and need no locks.

    A caller that may stop early closes the generator (`contextlib.closing`), which waits for what
    is being written.

    Args:
        items: the next item is taken in advance.
        read, work, write: the three steps. An error in one of them ends that item only.

    Yields:
        For each item, in order, a function that waits until the item is written and returns the
        result of ``write``, or raises the error of a step.
    """
    with _pool("read") as reader, _pool("write") as writer:
        remaining = iter(items)
        inputs: deque[Future[Input]] = deque()
        done: deque[Callable[[], Result]] = deque()
        try:
            while True:
                for item in remaining:
                    inputs.append(reader.submit(read, item))
                    if len(inputs) > _AHEAD:
                        break
                if not inputs:
                    break
                input_ = inputs.popleft()
                waiting = 1  # one output may still be being written; more would fill the memory
                try:
                    output = work(input_.result())
                except Exception as error:
                    done.append(_raising(error))
                    waiting = 0  # the caller may want to stop before the next item
                else:
                    done.append(writer.submit(write, output).result)
                    del output  # only the writer keeps it
                del input_
                while len(done) > waiting:
                    yield done.popleft()
            while done:
                yield done.popleft()
        finally:
            # Where the caller stops early, or at Ctrl-C: what has not begun is dropped.
            for future in inputs:
                future.cancel()


@contextmanager
def _pool(name: str) -> Generator[ThreadPoolExecutor]:
    """Make a thread that is waited for in any case, also where a signal comes meanwhile."""
    pool = ThreadPoolExecutor(1, name)
    try:
        yield pool
    finally:
        try:
            pool.shutdown()
        except BaseException:
            pool.shutdown()
            raise


def _raising(error: Exception) -> Callable[[], NoReturn]:
    def result() -> NoReturn:
        raise error

    return result
