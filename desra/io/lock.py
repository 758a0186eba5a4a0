"""Lock a folder for one process, and empty it only if it holds a run."""

import shutil
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from desra.io.files import remove_unfinished
from desra.utils.errors import InputError

#: The workers of a killed run end within 5 seconds; until then they hold its lock.
LOCK_SECONDS = 15.0
LOCK = ".run.lock"


@contextmanager
def held_folder(
    folder: Path, key: str, signs: Sequence[str], overwrite: bool = False
) -> Generator[None]:
    """Lock the folder of a run for this process, and delete the unfinished files of a killed one.

    Args:
        folder: created if it is missing.
        key: the option that names it, for messages.
        signs: files and folders; a folder that has any of them holds a run.
        overwrite: delete everything in it first, if it holds a run.

    Raises:
        InputError: another process works in the folder, it cannot be written, or with
            ``overwrite`` it holds something that is no run.
    """
    lock = FileLock(folder / LOCK, timeout=LOCK_SECONDS)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise InputError(
            f"{key}: another process is at work in {folder}; wait for it or choose another"
        ) from None
    except OSError as error:
        raise InputError(f"{key}: {folder} cannot be written ({error.strerror})") from error
    try:
        if overwrite:
            _empty(folder, key, signs)
        remove_unfinished(folder)
        yield
    finally:
        lock.release()


def _empty(folder: Path, key: str, signs: Sequence[str]) -> None:
    inside = [path for path in folder.iterdir() if path.name != LOCK]
    if inside and not any((folder / sign).exists() for sign in signs):
        raise InputError(
            f"{key}: {folder} holds no {' and no '.join(signs)}, so it is no run and nothing in it "
            "is deleted; choose another"
        )
    for path in inside:
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
