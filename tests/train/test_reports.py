"""What a run tells of the time that it waits for samples."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from desra.train import reports


def test_the_share_of_time_that_is_waited_for_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """By a clock of the test's: a step takes 6 s, the first two samples 2 s, the others none."""
    clock = SimpleNamespace(now=0.0, monotonic=lambda: clock.now)
    monkeypatch.setattr(reports, "time", clock)

    def samples() -> Iterator[int]:
        for number in range(4):
            clock.now += 2 if number < 2 else 0
            yield number

    told = reports.Reports(tmp_path, "test", 0, 4)
    seen: list[int] = []
    with caplog.at_level(logging.INFO, "desra"):
        for number in told.timed(samples()):
            seen.append(number)
            clock.now += 6
            if number % 2:
                told.losses(number + 1, {"l": 1.0}, 1e-4)
    told.close()
    assert seen == [0, 1, 2, 3]
    assert re.findall(r"eta (\S+) data (\S+)%", caplog.text) == [
        ("0:00:16", "25.0"),
        ("0:00:00", "0.0"),
    ]
