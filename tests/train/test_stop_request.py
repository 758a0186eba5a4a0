"""Ctrl-C and SIGTERM are deferred between steps."""

from __future__ import annotations

import signal

import pytest

from desra.train.stop_request import StopRequest, deferred


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_noted(number: signal.Signals):
    before = signal.getsignal(number)
    with deferred() as request:
        assert request.signal == 0
        signal.raise_signal(number)
        assert request.signal == number
    assert signal.getsignal(number) is before


def test_a_second_one_is_not_waited_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    with deferred(), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)


def test_torchrun_sends_each_twice(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    with deferred() as request:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        assert request.signal == signal.SIGINT


def test_how_a_wish_is_granted():
    with pytest.raises(KeyboardInterrupt):
        StopRequest().grant(signal.SIGINT)
    with pytest.raises(SystemExit) as ended:
        StopRequest().grant(signal.SIGTERM)
    assert ended.value.code == 143
