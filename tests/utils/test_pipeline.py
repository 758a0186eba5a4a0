"""Order, overlap and errors of the three steps."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from desra.utils.pipeline import overlapped


def numbers(
    read: Callable[[int], Any] = int,
    work: Callable[[Any], Any] = int,
    write: Callable[[Any], Any] = int,
    count: int = 6,
):
    return overlapped(range(count), read, work, write)


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_all_in_order(count: int):
    results = numbers(lambda n: n + 1, lambda n: 10 * n, str, count)
    assert [result() for result in results] == [str(10 * (n + 1)) for n in range(count)]


def test_the_steps_run_at_the_same_time():
    """Each step waits for the other two to be at their item: one after the other they never are."""
    meeting = threading.Barrier(3, timeout=10)

    def read(n: int) -> int:
        if n >= 2:
            meeting.wait()
        return n

    def work(n: int) -> int:
        if 1 <= n < 5:
            meeting.wait()
        return n

    def write(n: int) -> int:
        if n < 4:
            meeting.wait()
        return n

    assert [result() for result in numbers(read, work, write)] == list(range(6))


def test_work_stays_in_the_callers_thread():
    threads = [result() for result in numbers(work=lambda _: threading.get_ident())]
    assert set(threads) == {threading.get_ident()}


def test_no_more_is_read_or_kept_than_needed():
    """Two inputs at most are read and not worked on, two outputs worked on and not written."""
    read_first: list[int] = []
    worked: list[int] = []
    gate = threading.Event()

    def read(n: int) -> int:
        read_first.append(n)
        return n

    def work(n: int) -> int:
        worked.append(n)
        return n

    def write(n: int) -> int:
        assert gate.wait(10)
        return n

    results = overlapped(range(100), read, work, write)
    first = next(results)
    assert worked == [0, 1]
    gate.set()
    assert first() == 0 and len(read_first) <= 4
    assert [result() for result in results] == list(range(1, 100))


@pytest.mark.parametrize("step", ["read", "work", "write"])
def test_an_error_belongs_to_its_item(step: str):
    def fail(n: int) -> int:
        if n == 2:
            raise ValueError(f"no {n}")
        return n

    results = list(numbers(**{step: fail}))
    assert [result() for n, result in enumerate(results) if n != 2] == [0, 1, 3, 4, 5]
    with pytest.raises(ValueError, match="no 2"):
        results[2]()


@pytest.mark.parametrize("step", ["read", "work"])
def test_a_caller_who_stops_at_an_error_has_no_more_work_done(step: str):
    worked: list[int] = []

    def fail(n: int) -> int:
        if n == 2:
            raise ValueError
        return n

    def work(n: int) -> int:
        worked.append(n)
        return fail(n) if step == "work" else n

    steps = {"read": fail} if step == "read" else {}
    with pytest.raises(ValueError):
        for result in numbers(work=work, **steps):
            result()
    assert worked == [0, 1, 2][: 2 if step == "read" else 3]


def test_what_is_interrupted_ends_at_once():
    def work(n: int) -> int:
        if n == 1:
            raise KeyboardInterrupt
        return n

    with pytest.raises(KeyboardInterrupt):
        list(numbers(work=work))
