"""Files that a user names are opened at once, or refused; nothing is waited for."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from desra.utils.errors import InputError
from desra.utils.reading import open_file, parse_json, read_bytes, read_text


def fifo(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def socket_at(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(path.name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows")
@pytest.mark.parametrize("make", [fifo, device, socket_at])
def test_what_is_no_file_is_refused_at_once(
    make: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the name of a socket may have 107 bytes
    path = tmp_path / "a.json"
    make(path)
    for read in (open_file, read_bytes, read_text):
        with pytest.raises(InputError, match=r"a\.json is a pipe or a device"):
            read(path)
        with pytest.raises(OSError, match=r"a\.json") as error:
            read(path)
        assert error.value.strerror and error.value.filename == str(path)


def test_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfa\r\nb\rc\n")
    assert read_bytes(path) == path.read_bytes()
    assert read_text(path, "utf-8-sig") == path.read_text("utf-8-sig") == "a\nb\nc\n"
    (tmp_path / "link").symlink_to(path)
    with open_file(tmp_path / "link") as file:
        assert file.read() == path.read_bytes()


def test_errors_of_the_system_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_file(tmp_path / "missing")
    with pytest.raises(IsADirectoryError) as error:
        open_file(tmp_path)
    assert error.value.filename == str(tmp_path)
    (tmp_path / "a.txt").write_bytes(b"\xff")
    with pytest.raises(UnicodeDecodeError):
        read_text(tmp_path / "a.txt")


def test_json_is_read_as_it_may_be_written():
    assert parse_json(b'{"a": [1.5, -2e3, null, 1e-400]}') == {"a": [1.5, -2000.0, None, 0.0]}
    for text in ("NaN", "[-Infinity]", '{"a": Infinity}', "1e999", "-1e400"):
        with pytest.raises(ValueError, match="is no number of JSON"):
            parse_json(text)
