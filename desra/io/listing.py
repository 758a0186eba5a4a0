"""Folders of images: list them, and pair them by name."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol, TypeVar

from desra.io.files import StrPath
from desra.utils.errors import InputError, listed, logger

IMAGE_SUFFIXES = (".bmp", ".jfif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")

#: Kinds of pictures that are not read; a folder that holds some is told of.
_OTHER_SUFFIXES = {
    ".arw",
    ".avif",
    ".cr2",
    ".dng",
    ".exr",
    ".gif",
    ".hdr",
    ".heic",
    ".heif",
    ".jp2",
    ".jpe",
    ".jxl",
    ".nef",
    ".pbm",
    ".pgm",
    ".ppm",
    ".psd",
    ".tga",
}


@dataclass(frozen=True, order=True)
class ImageFile:
    """An image file and the stem that its results are named by.

    Attributes:
        stem: path relative to the listed folder without the extension, with ``/`` on every
            system, such as ``"a/b"``, in Unicode's composed form (NFC). It may contain a dot, so
            an output is ``folder / f"{stem}.png"``, not ``with_suffix``.
        path: the file.
    """

    stem: str
    path: Path


def list_images(path: StrPath) -> list[ImageFile]:
    """List the image files in a folder and its sub-folders, sorted by stem; or a single file.

    Files are chosen by extension (``IMAGE_SUFFIXES``, upper case too). Hidden files and folders
    are ignored, and links to folders are not followed. Pictures of other kinds, such as HEIC and
    GIF, and linked folders are left out with a warning.

    Raises:
        InputError: no such path, no image in it, a folder that can't be read, or two files of
            the same stem (``a.png`` beside ``a.jpg``), whose results would overwrite each other.
    """
    path = Path(path)
    suffixes = ", ".join(IMAGE_SUFFIXES)
    if not path.exists():
        raise InputError(f"input folder {path} does not exist; check the path")
    if path.is_file():
        if not _has_image_suffix(path.name):
            raise InputError(f"{path} is not an image file by its extension ({suffixes})")
        return [_image_file(path, path.parent)]

    left_out: list[str] = []
    files = sorted(_image_file(file, path) for file in _walk(path, left_out))
    if not files:
        others = f"; left out: {listed(sorted(left_out))}" if left_out else ""
        raise InputError(f"input folder {path} holds no images; looked for {suffixes}{others}")
    if left_out:
        _warn(str(path), listed(sorted(left_out)), suffixes)
    counts = Counter(file.stem for file in files)
    clashes = [str(file.path) for file in files if counts[file.stem] > 1]
    if clashes:
        raise InputError(
            "these images differ in their extension alone, so their results would overwrite "
            f"each other: {listed(clashes)}; rename or remove one of each"
        )
    return files


def refuse_output_in(folder: StrPath, output: StrPath, key: str) -> None:
    """Refuse an output folder inside the folder of the inputs.

    Args:
        folder: of the inputs.
        output: of the results.
        key: the option that names ``folder``, for the message.

    Raises:
        InputError: ``output`` is ``folder`` or lies in it.
    """
    place = Path(output).resolve()
    if Path(folder).resolve() in (place, *place.parents):
        raise InputError(
            f"output: {output} lies in {key} ({folder}), where the next run would take the results "
            "for inputs; choose a folder outside"
        )


class _Named(Protocol):
    @property
    def stem(self) -> str: ...


_NamedT = TypeVar("_NamedT", bound=_Named)


def pair_by_stem(
    first: Sequence[_NamedT],
    second: Sequence[_NamedT],
    names: tuple[str, str] = ("the first input", "the second input"),
    remedy: str = "give both images of a pair the same name, and remove what has no partner",
) -> list[tuple[_NamedT, _NamedT]]:
    """Pair two listings by equal stems, in the order of ``first``; suffixes are not stripped.

    Args:
        first, second: as ``list_images`` gives them, or rows of manifests.
        names: of the two in an error message, such as ``("sr_mse", "sr_gan")``.
        remedy: the end of that message: what to do.

    Raises:
        InputError: a file on either side has no partner; up to ten are named.
    """
    partners = {file.stem: file for file in second}
    stems = {file.stem for file in first}
    only_first = [file.stem for file in first if file.stem not in partners]
    only_second = [file.stem for file in second if file.stem not in stems]
    if only_first or only_second:
        parts = [
            f"{len(alone)} only in {name}: {listed(alone)}"
            for name, alone in zip(names, (only_first, only_second), strict=True)
            if alone
        ]
        raise InputError(
            f"{names[0]} and {names[1]} do not pair up by file name ({'; '.join(parts)}); {remedy}"
        )
    return [(file, partners[file.stem]) for file in first]


@lru_cache(maxsize=64)
def _warn(folder: str, left_out: str, suffixes: str) -> None:
    """Warn once of what is left out of a folder."""
    logger.warning(
        "%s: left out: %s; read are %s, and links to folders are not followed: convert the "
        "pictures, or give the folder itself",
        folder,
        left_out,
        suffixes,
    )


def _walk(folder: Path, left_out: list[str]) -> Iterator[Path]:
    """Yield the image files; add the other pictures and the linked folders to ``left_out``."""

    def refuse(error: OSError) -> None:
        raise InputError(f"folder {error.filename} cannot be read: {error.strerror}") from error

    for where, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        here = Path(where)
        inside = here.relative_to(folder)
        left_out += [f"{inside / name}/" for name in folders if (here / name).is_symlink()]
        for name in names:
            if name.startswith("."):
                continue
            if _has_image_suffix(name):
                yield here / name
            elif Path(name).suffix.lower() in _OTHER_SUFFIXES:
                left_out.append(str(inside / name))


def _has_image_suffix(name: str) -> bool:
    return Path(name).suffix.lower() in IMAGE_SUFFIXES


def _image_file(path: Path, folder: Path) -> ImageFile:
    stem = path.relative_to(folder).with_suffix("").as_posix()
    # macOS hands out decomposed names: the same name from two systems must pair.
    return ImageFile(stem=unicodedata.normalize("NFC", stem), path=path)
