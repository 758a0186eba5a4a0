"""Read the files that a user names: regular files alone, for a pipe would be waited for."""

import errno
import json
import math
import os
import stat
from typing import Any, BinaryIO, NoReturn, TypeAlias

from desra.utils.errors import InputError

StrPath: TypeAlias = "str | os.PathLike[str]"

# A pipe is opened at once, and a terminal does not become that of the process.
_AT_ONCE = os.O_RDONLY | sum(
    getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "O_BINARY")
)


class NoRegularFileError(OSError, InputError):
    """The error of a pipe, a socket or a device where a file was expected.

    It is an OSError too, so that who tells that a file cannot be read tells this as well.

    Args:
        path: the file.
    """

    def __init__(self, path: StrPath):
        super().__init__(errno.EINVAL, "is a pipe or a device", os.fspath(path))

    def __str__(self) -> str:
        return f"{self.filename} {self.strerror}; a regular file was expected"


def open_file(path: StrPath) -> BinaryIO:
    """Open a regular file for reading, and return it.

    Raises:
        NoRegularFileError: it is a pipe, a socket or a device.
        OSError: it cannot be opened, or is a folder.
    """
    _refuse_others(path, os.stat(path).st_mode)  # some devices act when they are opened
    descriptor = os.open(path, _AT_ONCE)
    try:
        _refuse_others(path, os.fstat(descriptor).st_mode)
        return open(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _refuse_others(path: StrPath, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    if not stat.S_ISREG(mode):
        raise NoRegularFileError(path)


def read_bytes(path: StrPath) -> bytes:
    """Read a regular file.

    Raises:
        OSError: as `open_file`.
    """
    with open_file(path) as file:
        return file.read()


def read_text(path: StrPath, encoding: str = "utf-8") -> str:
    r"""Read a regular file as text, each line of which ends in ``\n`` then.

    Raises:
        OSError: as `open_file`.
        UnicodeDecodeError: it is no text in this encoding.
    """
    text = read_bytes(path).decode(encoding)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parse_json(text: str | bytes) -> Any:
    """Parse JSON of this project's own files, whose numbers are finite.

    Raises:
        ValueError: it is no JSON, or holds NaN or an infinite number, which Python reads as well
            but `desra.io.files.write_json` would not write again.
        RecursionError: it is nested too deeply.
    """
    return json.loads(text, parse_constant=_refused, parse_float=_finite)


def _refused(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refused(text)
