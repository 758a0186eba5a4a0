"""Small copies of pictures, inside the page or beside it."""

import base64
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from desra.io.files import atomic_write
from desra.io.images import encode_webp, resize
from desra.io.ledger import Ledger

FOLDER = "pictures"
_OURS = re.compile(r"\d{6}_\w+\.webp")

Image = NDArray[np.uint8]


def view_size(size: tuple[int, int], max_side: int) -> tuple[int, int]:
    """Return the (height, width) to show a picture in: at most ``max_side`` on either side."""
    factor = min(1.0, max_side / max(size))
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


class Pictures:
    """Encodes pictures and says where the page finds them.

    Args:
        folder: of the page.
        embedded: into the page as data URIs; else as files in ``<folder>/pictures``.
        quality: of WebP, see `desra.io.images.encode_webp`.
        max_side: in pixels; larger pictures are made smaller.
    """

    def __init__(self, folder: Path, embedded: bool, quality: int, max_side: int) -> None:
        self._folder = folder / FOLDER
        self._embedded = embedded
        self._quality = quality
        self.max_side = max_side
        self._written: set[str] = set()

    def add(self, number: int, kind: str, image: Image) -> str:
        """Encode a picture and return its URL.

        Args:
            number, kind: of the image and of the picture. They name the file: an image's own name
                may hold what a URL or another system's disk cannot.
            image: uint8 (H, W, 3) RGB.
        """
        size = view_size(image.shape[:2], self.max_side)
        shown = image if size == image.shape[:2] else np.asarray(resize(image, size), np.uint8)
        data = encode_webp(shown, self._quality)
        if self._embedded:
            return f"data:image/webp;base64,{base64.b64encode(data).decode()}"
        name = f"{number:06d}_{kind}.webp"
        with atomic_write(self._folder / name) as file:
            file.write(data)
        self._written.add(name)
        return f"{FOLDER}/{name}"

    def in_the_way(self) -> list[Path]:
        """List the files that have the names of pictures which may be written."""
        if self._embedded or not self._folder.is_dir():
            return []
        return [path for path in self._folder.iterdir() if _OURS.fullmatch(path.name)]

    def remove_old(self, ledger: Ledger) -> None:
        """Delete what an earlier report left in the folder.

        Args:
            ledger: of the report's folder; it knows what that was.
        """
        if self._folder.is_dir():
            for path in self._folder.iterdir():
                if path.name not in self._written:
                    ledger.remove(path)
            if not any(self._folder.iterdir()):
                self._folder.rmdir()
