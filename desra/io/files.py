"""Write files completely or not at all, hash them, and keep large arrays in temporary files."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import secrets
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from desra.utils.disk import reserve, told_if_full
from desra.utils.errors import InputError
from desra.utils.reading import open_file

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

StrPath: TypeAlias = "str | os.PathLike[str]"

_IN_MEMORY = 64 * 2**20  # bytes; larger scratch arrays lie on disk
_CHUNK = 2**20
UNFINISHED = re.compile(r"\.[0-9a-f]{16}\.tmp")
"""Names of the files that `atomic_write` writes before they take their place."""


class Watcher(Protocol):
    """Who decides on the files of a folder, see `desra.io.ledger`."""

    folder: Path

    def name_of(self, path: StrPath) -> str | None:
        """Return the name of a file that it decides on; None: it does not."""
        ...

    def refuse_foreign_file(self, path: Path) -> None:
        """Raise InputError for a file that must not be replaced."""
        ...

    def enter(self, path: Path, content: Path) -> None:
        """Note a file that is about to take its place."""
        ...


_watchers: list[Watcher] = []


def watch(watcher: Watcher) -> None:
    """Let `atomic_write` ask a watcher, from now on."""
    _watchers.append(watcher)


def unwatch(watcher: Watcher) -> None:
    """Let `atomic_write` ask a watcher no more."""
    _watchers.remove(watcher)


def _watcher_of(path: Path) -> Watcher | None:
    """Return the latest watcher of the innermost folder that holds a file."""
    asked = [watcher for watcher in reversed(_watchers) if watcher.name_of(path) is not None]
    return max(asked, key=lambda watcher: len(watcher.folder.parts), default=None)


@contextmanager
def atomic_write(path: StrPath) -> Generator[BinaryIO, None, None]:
    """Open a binary file that replaces ``path`` when the block ends without an error.

    It is written under a hidden name beside ``path``, so a reader sees the old file or the new
    one, never a part. Parent folders are created. When the block raises, the old file stays and
    the new one is deleted.

    >>> with atomic_write("out/scores.txt") as file:            # doctest: +SKIP
    ...     file.write(text.encode())

    Raises:
        InputError: the folder can't be created or written, ``path`` is a folder, or it is a file
            that the stage at work did not write, see `desra.io.ledger`.
        DiskFullError: there is no room for it.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder, so no file of this name can be written")
    watcher = _watcher_of(path)
    if watcher is not None:
        watcher.refuse_foreign_file(path)
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:  # from here on: Ctrl-C may come as the file is opened
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = _open_locked(temporary)
        except OSError as error:
            raise InputError(
                f"{path} cannot be written ({error.strerror}: {error.filename}); "
                "choose an output folder that can be written"
            ) from error
        with told_if_full(path):
            with file:
                yield file
            if watcher is not None:
                watcher.enter(path, temporary)
            os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):  # such as a folder that is none: the first error is the one to tell
            temporary.unlink(missing_ok=True)
        raise


def _open_locked(path: Path) -> BinaryIO:
    """Open a new file, locked while it is open, so that `remove_unfinished` leaves it alone."""
    while True:
        file = path.open("xb")
        if _lock(file) and not os.fstat(file.fileno()).st_nlink:
            file.close()  # removed before it was locked
            continue
        return file


def _lock(file: BinaryIO) -> bool:
    """Lock an open file and return True; False: another process holds it, or it cannot be."""
    if fcntl is None:  # Windows deletes no file that is open
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _in_use(path: Path) -> bool:
    """Return whether a process has locked a file."""
    if fcntl is None:
        return False
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def write_json(path: StrPath, content: Any, indent: int | None = 1) -> None:
    """Write a JSON file by `atomic_write`, as UTF-8; bytes of file names that are not UTF-8 are
    escaped.

    Raises:
        InputError: as `atomic_write`.
        ValueError: a number is infinite or NaN.
    """
    text = json.dumps(content, indent=indent, allow_nan=False, ensure_ascii=False)
    with atomic_write(path) as file:
        file.write(text.encode("utf-8", "backslashreplace"))


def sha256_of(path: StrPath) -> str:
    """Return the SHA-256 of a file's content, as 64 hexadecimal digits."""
    digest = hashlib.sha256()  # hashlib.file_digest came with Python 3.11
    with open_file(path) as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def remove_unfinished(folder: StrPath) -> None:
    """Delete the files that `atomic_write` left in a folder when its process was killed.

    Those that a process is writing stay.
    """
    for path in Path(folder).rglob(".*.tmp"):
        if UNFINISHED.fullmatch(path.name) and not _in_use(path):
            with suppress(PermissionError):  # Windows: it is open
                path.unlink(missing_ok=True)


def scratch(shape: tuple[int, ...], dtype: DTypeLike, folder: StrPath) -> NDArray[Any]:
    """Return a new array, in memory up to 64 MiB and in a temporary file beyond.

    Args:
        shape, dtype: of the array; its values are undefined.
        folder: where the file is; created. The file is deleted with the array.

    Raises:
        DiskFullError: there is no room for the file.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size <= _IN_MEMORY:
        return np.empty(shape, dtype)
    with told_if_full(folder):
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            reserve(file.fileno(), size)
            return np.memmap(file, dtype, "w+", shape=shape)
