"""Write a PNG strip by strip, so that the whole image is never in memory.

The format is the PNG specification's (W3C, third edition): signature, IHDR, one zlib stream in IDAT
chunks, IEND. Each row is filtered by "Up" (type 2), the difference to the row above, and compressed
by run lengths (``Z_RLE``), as OpenCV does: quick, and small enough for photographs.
"""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from desra.io.files import atomic_write

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_UP = 2
_COLOUR = {1: 0, 3: 2, 4: 6}  # channels -> colour type: gray, RGB, RGBA
_STRIP = 256  # rows


def write_png(path: Path, height: int, rows_of: Callable[[slice], NDArray[Any]]) -> None:
    """Write a PNG file from strips of an image, complete or not at all.

    Args:
        path: the file; folders are created.
        height: of the image in pixels, at least 1.
        rows_of: returns the rows of a slice: gray (rows, W), RGB (rows, W, 3) or RGBA (rows, W, 4),
            uint8, uint16 or bool (written as 0 and 255). Called from top to bottom.

    Raises:
        InputError: the file can't be written.
    """
    with atomic_write(path) as file:
        file.write(_SIGNATURE)
        squeeze = zlib.compressobj(level=1, strategy=zlib.Z_RLE)
        above: NDArray[np.uint8] = np.empty(0, np.uint8)
        for top in range(0, height, _STRIP):
            strip = rows_of(slice(top, min(top + _STRIP, height)))
            if strip.dtype == np.bool_:
                strip = strip.astype(np.uint8) * np.uint8(255)
            rows = np.ascontiguousarray(strip, strip.dtype.newbyteorder(">"))
            rows = rows.view(np.uint8).reshape(len(strip), -1)
            if top == 0:
                _chunk(file, b"IHDR", _header(height, strip))
                above = np.zeros_like(rows[0])
            filtered = np.empty((len(rows), rows.shape[1] + 1), np.uint8)
            filtered[:, 0] = _UP
            np.subtract(rows[0], above, out=filtered[0, 1:])
            np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
            above = rows[-1].copy()
            _chunk(file, b"IDAT", squeeze.compress(filtered.data))
        _chunk(file, b"IDAT", squeeze.flush())
        _chunk(file, b"IEND", b"")


def with_alpha(rgb: NDArray[Any], alpha: NDArray[Any] | None, rows: slice) -> NDArray[Any]:
    """Join ``rgb`` (n, W, 3) and those rows of ``alpha`` (H, W) to a strip (n, W, 4); without alpha
    return ``rgb``."""
    return rgb if alpha is None else np.dstack([rgb, alpha[rows]])


def _header(height: int, strip: NDArray[Any]) -> bytes:
    colour = _COLOUR[1 if strip.ndim == 2 else strip.shape[2]]
    bits = 8 * strip.dtype.itemsize
    return struct.pack(">IIBBBBB", strip.shape[1], height, bits, colour, 0, 0, 0)


def _chunk(file: BinaryIO, kind: bytes, data: bytes) -> None:
    if data or kind != b"IDAT":
        file.write(struct.pack(">I", len(data)) + kind + data)
        file.write(struct.pack(">I", zlib.crc32(data, zlib.crc32(kind))))
