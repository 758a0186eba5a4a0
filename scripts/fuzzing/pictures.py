"""A table of generated image files: bad ones, and good ones in unusual dress."""

import io
import random
import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image

from fuzzing.strategies import corrupted

#: How a picture is stored: Pillow's mode, and the format.
STORED = (
    *(("RGB", "PNG"), ("L", "PNG"), ("P", "PNG"), ("RGBA", "PNG"), ("LA", "PNG"), ("1", "PNG")),
    *(("I;16", "PNG"), ("RGB", "JPEG"), ("L", "JPEG"), ("CMYK", "JPEG"), ("RGB", "WEBP")),
    *(("RGBA", "WEBP"), ("RGB", "TIFF"), ("F", "TIFF"), ("I", "TIFF"), ("CMYK", "TIFF")),
    *(("LAB", "TIFF"), ("RGB", "BMP"), ("RGB", "GIF"), ("RGB", "PPM"), ("RGB", "EPS")),
    *(("RGB", "PDF"), ("RGB", "ICO"), ("RGB", "AVIF")),
)
SUFFIXES = ("png", "jpg", "tif", "webp", "bmp", "jpeg", "PNG", "tiff")


def stored(image: np.ndarray, mode: str, kind: str, **more: object) -> bytes:
    """Return an image (h, w, 3), uint8 RGB, in a mode and a format; empty where Pillow cannot."""
    picture = Image.fromarray(image)
    if mode == "I;16":
        picture = Image.fromarray(image[..., 0].astype(np.uint16) * 257)
    elif mode == "LAB":
        picture = Image.merge("LAB", picture.split())
    elif mode != "RGB":
        picture = picture.convert("L").convert(mode) if mode in "FI" else picture.convert(mode)
    file = io.BytesIO()
    try:
        picture.save(file, kind, **more)
    except (OSError, KeyError, ValueError):
        return b""
    return file.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG file."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, depth: int, colour: int, data: bytes, *more: bytes) -> bytes:
    """Return a PNG file with the size, bit depth and colour type that its header says."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(data, 9))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + body + chunk(b"IEND", b"")


def _bomb(rng: random.Random) -> bytes:
    # Of 1 bit a pixel: some kB, as RGB 675 MB. The last has more than max_pixels. One between is no
    # fault: networks and maps take 2 s for a million pixels on one core, whatever is in them.
    side = rng.choice((500, 1000, 15000))
    return png(side, side, 1, 0, b"\0" * (side * (side // 8 + 1)))


def _claims(rng: random.Random) -> bytes:
    side = rng.choice((0, 1, 10**5, 2**31 - 1, 2**32 - 1))
    return png(side, rng.choice((1, side)), 8, rng.choice((0, 2, 3, 6, 7)), b"\0" * 100)


def _odd_chunk(rng: random.Random) -> bytes:
    more = rng.choice(
        (
            chunk(b"iCCP", b"x\0\0" + zlib.compress(b"no profile")),
            chunk(b"eXIf", rng.randbytes(30)),
            chunk(b"tEXt", b"a\0" + rng.randbytes(20)),
            chunk(b"zTXt", b"a\0\0" + zlib.compress(b"0" * 10**7, 9)),
            chunk(b"tRNS", rng.randbytes(6)),
            chunk(b"acTL", struct.pack(">II", 3, 0)),
            chunk(b"gAMA", struct.pack(">I", 0)),
            chunk(b"PLTE", b""),
        )
    )
    return png(20, 16, 8, rng.choice((2, 3)), rng.randbytes(16 * 61), more)


def _stored(image: np.ndarray, rng: random.Random) -> bytes:
    more: dict[str, object] = {}
    mode, kind = rng.choice(STORED)
    if kind == "JPEG" and rng.random() < 0.5:
        exif = Image.Exif()
        exif[0x0112] = rng.choice((0, 3, 6, 8, 9, 77))
        more["exif"] = exif.tobytes()[: rng.choice((12, 1000))]
    return stored(image, mode, kind, **more)


def _other_size(image: np.ndarray, rng: random.Random) -> bytes:
    height, width = rng.choice(((1, 1), (1, 40), (2, 3), (17, 20), (16, 21), (32, 40), (64, 3)))
    return stored(np.resize(image, (height, width, 3)), "RGB", "PNG")


_ODD: tuple[Callable[[random.Random], bytes], ...] = (_bomb, _claims, _odd_chunk)


def picture(image: np.ndarray, rng: random.Random) -> bytes:
    """Return an image file that is damaged, unusual, or of another size.

    Args:
        image: uint8 RGB (h, w, 3).
        rng: what decides.
    """
    what = rng.random()
    if what < 0.15:
        return rng.choice(_ODD)(rng)
    if what < 0.3:
        return _other_size(image, rng)
    content = _stored(image, rng)
    return content if what < 0.6 else corrupted(content, rng)
