"""Lock an output folder for one process."""

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from desra.io.files import remove_unfinished
from desra.io.ledger import Kind, Ledger
from desra.utils.errors import InputError

#: The workers of a killed run end within 5 seconds; until then they hold its lock.
LOCK_SECONDS = 15.0
LOCK = ".run.lock"


def lock_name(part: str) -> str:
    """Return the name of the file that locks a part of a folder; "": the whole."""
    return f".run.{part}.lock" if part else LOCK


@contextmanager
def held_folder(
    folder: str | Path,
    kind: Kind,
    key: str,
    overwrite: bool = False,
    inputs: Iterable[tuple[str, Path]] = (),
    beside: Iterable[str] = (),
    part: str = "",
) -> Generator[Ledger]:
    """Lock the folder of a run for this process, and delete the unfinished files of a killed one.

    Args:
        folder: created if it is missing.
        kind: of the stage.
        key: the option that names it, for messages.
        overwrite: delete an earlier run in it first, see `desra.io.ledger.Ledger.empty`.
        inputs: key path and path of what the stage reads, which are not deleted.
        beside: files outside the folder that the stage also writes.
        part: what of the folder is locked; processes at different parts work side by side.

    Yields:
        The ledger of the folder, not begun yet.

    Raises:
        InputError: another process works in the folder, it cannot be written, or with
            ``overwrite`` it holds something that the stage did not write.
    """
    Ledger(folder, kind, key)  # its name, before a folder is made
    folder = Path(folder)
    lock = FileLock(folder / lock_name(part), timeout=LOCK_SECONDS)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise InputError(
            f"{key}: another process is at work in {folder}; wait for it or choose another"
        ) from None
    except OSError as error:
        raise InputError(
            f"{key}: {folder} cannot be written ({error.strerror}); "
            "choose an output folder that can be written"
        ) from error
    try:
        ledger = Ledger(folder, kind, key, beside)
        if overwrite:
            ledger.empty(inputs, (LOCK,))
        remove_unfinished(folder)
        yield ledger
    finally:
        lock.release()
