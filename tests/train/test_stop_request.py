"""Ctrl-C and SIGTERM are heeded between steps."""

from __future__ import annotations

import signal

import pytest

from desra.train.stop_request import Wish, heeded


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_noted(number: signal.Signals):
    before = signal.getsignal(number)
    with heeded() as wish:
        assert wish.signal == 0
        signal.raise_signal(number)
        assert wish.signal == number
    assert signal.getsignal(number) is before


def test_a_second_one_is_not_waited_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    with heeded(), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)


def test_torchrun_sends_each_twice(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    with heeded() as wish:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        assert wish.signal == signal.SIGINT


def test_how_a_wish_is_granted():
    with pytest.raises(KeyboardInterrupt):
        Wish().grant(signal.SIGINT)
    with pytest.raises(SystemExit) as ended:
        Wish().grant(signal.SIGTERM)
    assert ended.value.code == 143
