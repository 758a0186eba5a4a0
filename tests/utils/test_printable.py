"""Names of files do not command the terminal."""

from __future__ import annotations

import logging

import pytest

from desra import cli
from desra.utils.errors import InputError
from desra.utils.printable import printable

HOSTILE = "a\x1b]0;owned\x07\x9b2J\r\u202egnp\udcff.png"


@pytest.mark.parametrize("text", ["a b\n\tc", "Grüße, 写真 🙂", ""])
def test_what_is_harmless_stays(text: str):
    assert printable(text) == text


def test_commands_are_written_out():
    assert printable(HOSTILE) == r"a\x1b]0;owned\x07\x9b2J\r\u202egnp\udcff.png"


def test_errors_and_log_messages(capsys: pytest.CaptureFixture[str]):
    def work() -> None:
        logging.getLogger("desra").warning("kept: %s", HOSTILE)
        raise InputError(f"{HOSTILE} cannot be read")

    root = logging.getLogger()
    before = root.handlers[:]
    root.handlers[:] = []  # pytest's; without any, the command line makes its own
    try:
        assert cli.status_of(work) == 2
    finally:
        root.handlers[:] = before
    written = capsys.readouterr().err
    assert "\x1b" not in written and "\x9b" not in written and "\r" not in written
    assert written.count(r"a\x1b]0;owned\x07") == 2
