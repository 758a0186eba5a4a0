"""Masks on their way to a human and back: the LabelMe files that detect exported."""

from pathlib import Path

from desra.io.files import atomic_write, sha256_of
from desra.utils.reading import read_bytes


def exported(folder: Path) -> dict[str, str]:
    """List the LabelMe files of a folder that detect wrote: name below ``labelme/`` -> SHA-256."""
    inside = folder / "labelme"
    files = sorted(inside.rglob("*.json"))
    return {file.relative_to(inside).as_posix(): sha256_of(file) for file in files}


def take_changed(folder: Path, before: dict[str, str]) -> list[str]:
    """Copy what was corrected to ``reviewed/``, which detect takes as masks.

    Args:
        folder: what detect wrote.
        before: as :func:`exported`, when the human was asked.

    Returns:
        The names of the files that differ now. One that was deleted counts as seen and right.
    """
    changed = [n for n, sha in exported(folder).items() if before.get(n) != sha]
    for name in changed:
        with atomic_write(folder / "reviewed" / name) as file:
            file.write(read_bytes(folder / "labelme" / name))
    return changed
