"""Tell that a disk is full in one sentence, wherever it is noticed."""

import errno
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from desra.utils.errors import DiskFullError

StrPath: TypeAlias = "str | os.PathLike[str]"

#: What the file system says of a full disk: no space, no quota, no larger file.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def told_if_full(path: StrPath) -> Generator[None]:
    """Tell that the disk is full if that is why the block raises.

    Args:
        path: what the block writes.

    Raises:
        DiskFullError: the block raised an OSError of that kind, or another error because of one,
            as ``torch.save`` does.
    """
    try:
        yield
    except DiskFullError:
        raise
    except Exception as error:
        for number in _errnos(error):
            if number in FULL:
                raise DiskFullError(number, path) from error
        raise


def reserve(descriptor: int, size: int) -> None:
    """Take room on the disk for a file that is mapped into memory.

    A mapped file has holes at first, and the process dies by SIGBUS where there is no room for one.

    Args:
        descriptor: of the open file.
        size: bytes.

    Raises:
        OSError: there is no room.
    """
    if hasattr(os, "posix_fallocate"):  # not on macOS and Windows
        os.posix_fallocate(descriptor, 0, size)


def _errnos(error: BaseException | None) -> Iterator[int | None]:
    while error is not None:
        if isinstance(error, OSError):
            yield error.errno
        error = error.__cause__ or error.__context__
