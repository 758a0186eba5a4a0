"""Read text files that list the images of a dataset, as basicsr's ``meta_info`` does."""

import re
from pathlib import Path

from desra.io.listing import ImageFile
from desra.utils.errors import InputError
from desra.utils.reading import read_text

_SHAPE = re.compile(r"\s+\([\d,\s]+\)$")  # what may stand after a name: (480,480,3)

_LONGEST = 4096  # characters of a path


def lines_of(meta_info: str) -> list[str]:
    """Read the lines that are not empty, without the shape that may follow a name.

    A backslash, the separator of Windows, becomes a slash.

    Raises:
        InputError: no such file, nothing in it, or a line that is no file name.
    """
    try:
        text = read_text(meta_info, "utf-8-sig")  # Windows begins files by a BOM
    except (OSError, ValueError) as error:
        raise InputError(f"meta_info: {meta_info} cannot be read as text ({error})") from error
    lines = (line.strip().replace("\\", "/") for line in text.splitlines())
    names = [_SHAPE.sub("", line) for line in lines if line]
    if not names:
        raise InputError(f"meta_info: {meta_info} lists no images")
    if odd := [name for name in names if not _is_file_name(name)]:
        raise InputError(
            f"meta_info: {meta_info} has a line that is no file name: {odd[0][:40]!r}; give a text "
            "file with the name of an image a line"
        )
    return names


def _is_file_name(name: str) -> bool:
    return "\0" not in name and len(name) <= _LONGEST and Path(name).name not in ("", "..")


def listed_images(meta_info: str, folder: Path) -> list[ImageFile]:
    """Return the images of ``folder`` that a list names, in its order; a name may come twice.

    Raises:
        InputError: as :func:`lines_of`; whether the images exist is not checked.
    """
    return [
        ImageFile(stem=Path(name).with_suffix("").as_posix(), path=folder / name)
        for name in lines_of(meta_info)
    ]
