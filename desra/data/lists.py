"""Read text files that list the images of a dataset, as basicsr's ``meta_info`` does."""

import re
from pathlib import Path

from desra.io.listing import ImageFile
from desra.utils.errors import InputError

_SHAPE = re.compile(r"\s+\([\d,\s]+\)$")  # what may stand after a name: (480,480,3)


def lines_of(meta_info: str) -> list[str]:
    """Read the lines that are not empty, without the shape that may follow a name.

    Raises:
        InputError: no such file, or nothing in it.
    """
    try:
        lines = Path(meta_info).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"meta_info: {meta_info} cannot be read as text ({error})") from error
    names = [_SHAPE.sub("", line.strip()) for line in lines if line.strip()]
    if not names:
        raise InputError(f"meta_info: {meta_info} lists no images")
    return names


def listed_images(meta_info: str, folder: Path) -> list[ImageFile]:
    """Return the images of ``folder`` that a list names, in its order; a name may come twice.

    Raises:
        InputError: as :func:`lines_of`; whether the images exist is not checked.
    """
    return [
        ImageFile(stem=Path(name).with_suffix("").as_posix(), path=folder / name)
        for name in lines_of(meta_info)
    ]
