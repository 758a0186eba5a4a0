"""Read, write and resize images.

Arrays are RGB, (H, W, 3), everywhere; only this module handles OpenCV's BGR. Pillow opens every
file: it handles palettes, CMYK, transparency and EXIF, and refuses truncated files. OpenCV decodes
16-bit images, which Pillow would cut to eight bits, and encodes.
"""

from __future__ import annotations

import io
import os
import struct
import threading
import zlib
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL import ImageFile as PillowFile
from PIL.TiffImagePlugin import TiffImageFile

from desra.artifacts import find_regions
from desra.io.files import StrPath, atomic_write
from desra.io.profiles import UnusableProfileError, conversion_of
from desra.utils.errors import InputError
from desra.utils.reading import NoRegularFileError, open_file

Pixels: TypeAlias = NDArray[np.uint8 | np.uint16]

WRITABLE_SUFFIXES = (".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")

_PILLOW_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP")
_TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF", b"BM", *_TIFF_SIGNATURES)
# What Pillow's decoders raise on bytes that they can't make sense of.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    ArithmeticError,
    struct.error,
    zlib.error,
)
MAX_PIXELS = 2**30  # OpenCV's own limit; beyond it the RGB array alone takes 3 GiB


# --------------------------------------------------------------------------------------- reading


@dataclass(frozen=True, eq=False)
class Picture:
    """The pixels of an image file, upright, as RGB.

    Attributes:
        rgb: uint8 or uint16, (H, W, 3), the full range of the dtype.
        alpha: (H, W) of the same dtype, not premultiplied, 0 = transparent; None without alpha.
        notes: what was converted in reading, such as ``"gray to RGB"``; empty for plain 8-bit RGB.
    """

    rgb: Pixels
    alpha: Pixels | None = None
    notes: tuple[str, ...] = ()

    @property
    def rgb8(self) -> NDArray[np.uint8]:
        """Return ``rgb`` as uint8 (H, W, 3); 16-bit values are rounded to the nearest."""
        return to_uint8(self.rgb)

    @property
    def alpha8(self) -> NDArray[np.uint8] | None:
        """Return ``alpha`` as uint8 (H, W), or None."""
        return None if self.alpha is None else to_uint8(self.alpha)


def to_uint8(pixels: Pixels) -> NDArray[np.uint8]:
    """Convert uint8 or uint16 of any shape to uint8: v / 257, rounded, so 65535 becomes 255."""
    if pixels.dtype == np.uint8:
        return pixels.astype(np.uint8, copy=False)
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def enlarge(pixels: Pixels, size: tuple[int, int], deep: bool | None = None) -> Pixels:
    """Enlarge an image by bicubic interpolation (OpenCV's, a = -0.75).

    Args:
        pixels: uint8 or uint16, (H, W) or (H, W, 3).
        size: (height, width) of the result.
        deep: whether the result is uint16; None: as ``pixels``.

    Returns:
        uint8 or uint16, clipped.
    """
    values, quantize = _scaled_to(pixels, deep)
    return quantize(np.asarray(cv2.resize(values, size[::-1], interpolation=cv2.INTER_CUBIC)))


def resize(pixels: Pixels, size: tuple[int, int], deep: bool | None = None) -> Pixels:
    """Resize an image by Lanczos interpolation with three lobes, without aliasing when it shrinks.

    Arguments and result are those of `enlarge`.
    """
    values, quantize = _scaled_to(pixels, deep)
    planes = values[..., None] if values.ndim == 2 else values
    height, width = size
    resized = np.stack(
        [  # Pillow, since OpenCV's Lanczos takes every n-th pixel when it shrinks
            np.asarray(Image.fromarray(plane).resize((width, height), Image.Resampling.LANCZOS))
            for plane in np.moveaxis(planes, 2, 0)
        ],
        axis=2,
    )
    return quantize(resized[..., 0] if pixels.ndim == 2 else resized)


def _scaled_to(
    pixels: Pixels, deep: bool | None
) -> tuple[NDArray[np.float32], Callable[[NDArray[Any]], Pixels]]:
    """Return ``pixels`` as float32 in the range of the result, and a function that rounds and clips
    such values to the dtype of the result."""
    deep = pixels.dtype == np.uint16 if deep is None else deep
    dtype = np.uint16 if deep else np.uint8
    top = np.iinfo(dtype).max
    values = pixels.astype(np.float32) * np.float32(top / np.iinfo(pixels.dtype).max)
    return values, lambda result: np.clip(np.round(result), 0, top).astype(dtype)


def read_image(path: StrPath) -> Picture:
    """Read an image file of 8 or 16 bits a channel: PNG, JPEG, WebP, TIFF or BMP.

    The content decides, not the extension. Gray, palette and CMYK become RGB, transparency
    becomes ``alpha``, an EXIF rotation is applied, and of several frames the first is read;
    ``notes`` tells which of these were done. The colours of an embedded ICC profile
    other than sRGB are converted to sRGB, at 8 bits; without a profile the values are taken as
    they are.

    Returns:
        The pixels, uint8 or uint16 (H, W, 3), and the alpha channel.

    Raises:
        InputError: the file is missing, empty, no image, truncated or of an unsupported kind.
    """
    return _read(Path(path), with_profile=True)


def _read(path: Path, with_profile: bool) -> Picture:
    with _opened(path) as file:
        data = file.read()
    with _pillow(path, io.BytesIO(data)) as image:
        deep = _is_deep(path, image, data)
        orientation = _orientation(image, io.BytesIO(data))
        frames = getattr(image, "n_frames", 1)
        image.load()  # the whole file, for 16 bits too: here a truncated file is noticed

    has_alpha = image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info
    if deep:
        pixels = _decode_deep(path, image, data)
    else:
        pixels = np.asarray(image.convert("RGBA" if has_alpha else "RGB"))
    if not isinstance(image, TiffImageFile):  # both decoders turn a TIFF upright by themselves
        pixels = _turn_upright(pixels, orientation)
    profile_notes: list[str] = []
    if with_profile and (profile := image.info.get("icc_profile")):
        upright = 1 if isinstance(image, TiffImageFile) else orientation
        pixels, profile_notes = _as_srgb(image, pixels, profile, upright)

    kind = _kind(image, data)
    notes = [
        (kind != "RGB", f"{kind} to RGB"),
        (deep, "16-bit"),
        (has_alpha, "alpha split off"),
        (orientation != 1, "EXIF rotation applied"),
        (frames > 1, f"first of {frames} frames"),
    ]
    return Picture(
        rgb=np.ascontiguousarray(pixels[..., :3]),
        alpha=np.ascontiguousarray(pixels[..., 3]) if has_alpha else None,
        notes=(*(note for applies, note in notes if applies), *profile_notes),
    )


def read_rgb8(path: StrPath, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """Read an image file as uint8 RGB (H, W, 3).

    Args:
        path: the file, as for `read_image`.
        size: the (height, width) that it must have; None: any.

    Raises:
        InputError: it cannot be read, or has another size.
    """
    if size is not None:
        _check_size(path, image_size(path), size)
    return read_image(path).rgb8


def _check_size(path: StrPath, size: tuple[int, int], expected: tuple[int, int]) -> None:
    """Raise an InputError where the size of an image is not the expected one."""
    if size != tuple(expected):
        raise InputError(
            f"{path} is {size}, but {tuple(expected)} is expected (height, width); "
            "detect again, or give the file that belongs to the results"
        )


def read_mask(path: StrPath, size: tuple[int, int] | None = None) -> NDArray[np.bool_]:
    """Read a mask image as bool (H, W): True where it is painted.

    Painted is what is not transparent, if the image has transparent pixels; else what is brighter
    than half in any channel: white, a colour on black, 1-bit, a palette by its colours.

    Args:
        path: the file, as for `read_image`; a colour profile is not applied.
        size: the (height, width) that it must have, compared before it is decoded; None: any.

    Raises:
        InputError: it cannot be read, or has another size; or it can be understood in two ways:
            regions that are darker than half, such as class ids 0 and 1, a background that is not
            black, colours of a photograph, or transparency together with black and white.
    """
    path = Path(path)
    if size is not None:
        _check_size(path, image_size(path), size)
    return _read_mask(path)[0]


def read_drawn_mask(path: StrPath) -> tuple[NDArray[np.bool_], bool]:
    """Read a mask image that a human drew, and tell whether it may be black paint on a white page.

    Args:
        path: the file, as for `read_mask`.

    Returns:
        The mask as of `read_mask`, white = painted; and True where black may be the paint: opaque
        gray values, and more than half of the pixels as well as of those at the border are white.

    Raises:
        InputError: as `read_mask`.
    """
    mask, has_colour = _read_mask(Path(path))
    return mask, not has_colour and is_mostly_set(mask) and is_mostly_set(_border(mask))


def is_mostly_set(mask: NDArray[np.bool_]) -> bool:
    """Return whether more than half of the pixels of a mask, bool of any shape, are True."""
    return 2 * np.count_nonzero(mask) > mask.size


def _border(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the outermost pixels of a mask (H, W), as (N,); those of the corners twice."""
    return np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])


def _read_mask(path: Path) -> tuple[NDArray[np.bool_], bool]:
    """Read a mask, see `read_mask`, and whether colour or opacity tells what is paint."""
    picture = _read(path, with_profile=False)
    try:
        mask = _painted(picture, lossy=_is_lossy(path))
    except ValueError as error:
        raise InputError(
            f"{path} {error}; a mask must hold 0 and 255: white, or one bright colour, on black"
        ) from error
    alpha = picture.alpha
    if alpha is not None and alpha.min() < alpha.max():
        return mask, True
    return mask, not (_is_gray_file(picture) or _is_gray(picture.rgb))


def _painted(picture: Picture, lossy: bool) -> NDArray[np.bool_]:
    """Return the painted pixels of a mask image, see `read_mask`.

    Raises:
        ValueError: they cannot be told; the message is the middle of a sentence.
    """
    rgb = picture.rgb
    is_gray = _is_gray_file(picture)
    levels = rgb[..., 0] if is_gray else rgb.max(axis=2)
    alpha = picture.alpha
    if alpha is not None and alpha.min() < alpha.max():
        is_set = _bright(alpha, lossy, "opacities")
        shown = levels[is_set]
        half = np.iinfo(levels.dtype).max // 2
        if shown.size and shown.min() <= half < shown.max():
            raise ValueError("has transparent pixels, and both dark and bright ones beside them")
        return is_set
    if alpha is not None and not alpha.any():  # nothing was painted on a transparent layer
        return np.zeros(levels.shape, np.bool_)
    if not is_gray:
        _refuse_photograph(rgb, levels, lossy)
    return _bright(levels, lossy, "values")


def _bright(levels: Pixels, lossy: bool, what: str) -> NDArray[np.bool_]:
    """Return where ``levels`` (H, W) are above half; a soft edge is cut there.

    Raises:
        ValueError: there is a region without any value above half.
    """
    top = int(np.iinfo(levels.dtype).max)
    is_set = levels > top // 2
    faint = levels // ((top + 1) // 8) if lossy else levels  # the noise of a JPEG is none
    is_faint = (faint > 0) & ~is_set
    if not is_faint.any():
        return is_set
    regions = find_regions(is_set | is_faint)
    labels = regions.labels
    without = np.ones(regions.count + 1, np.bool_)
    without[0] = False
    without[labels[is_set]] = False
    if without.any():
        largest = int(levels[without[labels]].max())
        raise ValueError(f"has {what} from 0 to {largest} only, of {top}, in whole regions")
    return is_set


def _refuse_photograph(rgb: Pixels, levels: Pixels, lossy: bool) -> None:
    """Refuse colours that are not those of a mask.

    Raises:
        ValueError: colours on a background that is not black; more than 256 colours, or colours
            in a lossy file.
    """
    top = int(np.iinfo(rgb.dtype).max)
    if _is_gray(rgb):
        return
    if levels.min() > top // 2 and np.ptp(rgb, axis=(0, 1)).any():
        raise ValueError("has colours on a background that is not black")
    if lossy:
        raise ValueError("has colours and is a lossy file, save it as PNG")
    codes = rgb.astype(np.uint64) @ np.array([1 << 32, 1 << 16, 1], np.uint64)
    if len(np.unique(codes)) > 256:
        raise ValueError("has the colours of a photograph")


def _is_gray_file(picture: Picture) -> bool:
    """Return whether the file of a picture held gray values."""
    return "gray to RGB" in picture.notes


def _is_gray(rgb: Pixels) -> bool:
    """Return whether an image (H, W, 3) has no colours: gray, saved as RGB."""
    return int((rgb.max(axis=2) - rgb.min(axis=2)).max()) <= int(np.iinfo(rgb.dtype).max) // 16


def _is_lossy(path: Path) -> bool:
    with _opened(path) as file:
        head = file.read(16)
    return head.startswith(b"\xff\xd8\xff") or head[8:] == b"WEBPVP8 "


def read_labels(path: StrPath) -> NDArray[np.int32]:
    """Read class ids from a PNG: gray values of 1 to 16 bits, or palette indices, as stored.

    An EXIF rotation is applied, as it is to the image itself.

    Returns:
        int32 (H, W).

    Raises:
        InputError: the file is missing, damaged, not a PNG (its ids may be lossy), or in colour.
    """
    path = Path(path)
    with _opened(path) as file:
        data = file.read()
    with _pillow(path, io.BytesIO(data)) as image:
        is_png = image.format == "PNG"
        depth, colour_type = data[24], data[25]
        if not is_png or colour_type not in (0, 3):
            kind = "colour or with alpha" if is_png else image.format
            raise InputError(f"{path} is {kind}; class ids must be a gray or palette PNG")
        orientation = _orientation(image, io.BytesIO(data))
        image.load()
        ids = np.asarray(image).astype(np.uint16)
    if colour_type == 0 and depth in (2, 4):  # Pillow stretches these to 0..255, but not one bit
        ids //= 255 // (2**depth - 1)
    return np.ascontiguousarray(_turn_upright(ids, orientation), np.int32)


def decode_png(data: bytes, largest: tuple[int, int]) -> NDArray[Any]:
    """Decode a small PNG from memory, as Pillow stores it: (H, W) or (H, W, C).

    No other format is tried: Pillow's decoder of EPS would run PostScript.

    Args:
        data: the bytes of the file.
        largest: the (height, width) that it may have at most, compared before it is decoded.

    Raises:
        ValueError: it is no PNG, damaged, or larger.
    """
    try:
        with _PIXEL_LIMIT_LIFTED, Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            width, height = image.size
            if height <= largest[0] and width <= largest[1]:
                return np.asarray(image)
    except _DAMAGE as error:
        raise ValueError("its mask is no PNG in base64") from error
    raise ValueError(
        f"its mask of {width} x {height} pixels is larger than the image, "
        f"{largest[1]} x {largest[0]}"
    )


def image_size(path: StrPath, max_pixels: int | None = None) -> tuple[int, int]:
    """Read the size of an image, (height, width) as `read_image` gives it, from the header alone.

    Args:
        path: the file, as for `read_image`.
        max_pixels: width times height that it may have at most, the option of that name; None:
            2^30.

    Raises:
        InputError: it has more pixels; the file is missing, empty, no image, or its header is
            damaged. A file that is truncated after the header raises nothing here.
    """
    path = Path(path)
    with _opened(path) as file, _pillow(path, file) as image:
        width, height = image.size
        if isinstance(image, TiffImageFile):  # Pillow's size is upright or not, by its version
            width, height = image.tag_v2[256], image.tag_v2[257]
        sideways = _orientation(image, file) >= 5
    if max_pixels is not None and width * height > max_pixels:
        raise InputError(
            f"{path} has {width} x {height} pixels, more than max_pixels: {max_pixels}; use a "
            "crop, or set max_pixels higher where memory and disk suffice"
        )
    return (width, height) if sideways else (height, width)


def common_size(first: StrPath, second: StrPath) -> tuple[int, int]:
    """Read the size of two images that must have the same one, (height, width).

    Raises:
        InputError: the sizes differ, or as `image_size`.
    """
    size, other = image_size(first), image_size(second)
    if size != other:
        raise InputError(f"{first} and {second} differ in size: {size} and {other}")
    return size


@contextmanager
def _opened(path: Path) -> Generator[BinaryIO, None, None]:
    """Open a file for reading; errors of the system become an InputError."""
    if path.is_dir():
        raise InputError(f"{path} is a folder, an image file was expected")
    try:
        file = open_file(path)
    except NoRegularFileError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"image file {path} does not exist; check the path") from error
    except OSError as error:
        raise InputError(f"image file {path} cannot be read: {error.strerror}") from error
    with file:
        yield file


class _PixelLimit:
    """Switches off Pillow's limit of 179 megapixels while an image is read here.

    The limit is a variable of Pillow's module. The last reader sets it again, so it holds for other
    users of Pillow; here ``MAX_PIXELS`` is the limit.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._readers = 0
        self._saved = Image.MAX_IMAGE_PIXELS

    def __enter__(self) -> None:
        with self._lock:
            if self._readers == 0:
                self._saved, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            self._readers += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._readers -= 1
            if self._readers == 0:
                Image.MAX_IMAGE_PIXELS = self._saved


_PIXEL_LIMIT_LIFTED = _PixelLimit()


@contextmanager
def _pillow(path: Path, file: BinaryIO) -> Generator[PillowFile.ImageFile, None, None]:
    """Open an image with Pillow; Pillow's errors in the block become an InputError."""
    head = file.read(8)
    file.seek(0)
    try:
        with _PIXEL_LIMIT_LIFTED:
            image = Image.open(file, formats=_PILLOW_FORMATS)
            if image.width * image.height > MAX_PIXELS:
                raise InputError(
                    f"{path} claims {image.width} x {image.height} pixels, more than the "
                    f"{MAX_PIXELS} that can be read; split it first"
                )
            yield image
    except InputError:
        raise
    except _DAMAGE as error:
        raise InputError(_why_unreadable(path, head, error)) from error


def _why_unreadable(path: Path, head: bytes, error: Exception) -> str:
    if not head:
        return f"{path} is empty (0 bytes); copy it again or remove it"
    if not head.startswith(_SIGNATURES):
        return (
            f"{path} is not an image: its content is none of {', '.join(_PILLOW_FORMATS)}, "
            "whatever its name says; convert it or remove it"
        )
    if head.startswith(_TIFF_SIGNATURES) and isinstance(error, Image.UnidentifiedImageError):
        return (
            f"{path} is a TIFF that is damaged or of an unsupported kind; "
            "save it as 8- or 16-bit gray or RGB"
        )
    return f"{path} is damaged or truncated ({error}); copy it again or remove it"


def _is_deep(path: Path, image: PillowFile.ImageFile, data: bytes) -> bool:
    """Return whether the file has 16 bits a channel, which Pillow would cut to eight."""
    if image.format == "PNG":
        return data[24] == 16
    if not isinstance(image, TiffImageFile):
        return False
    tags = image.tag_v2
    bits = max(tags.get(258, (1,)))
    sample_formats = set(tags.get(339, (1,)))
    if sample_formats != {1} or bits not in (1, 2, 4, 8, 16):
        raise InputError(
            f"{path} is a TIFF of other than 8- or 16-bit unsigned integers (float or signed "
            "values, or an odd depth); save it as 8- or 16-bit"
        )
    # OpenCV decodes the others wrongly, without an error.
    photometric, planar, extra = tags.get(262), tags.get(284, 1), tags.get(338, ())
    if bits == 16 and (photometric not in (1, 2) or planar != 1 or 1 in extra):
        raise InputError(
            f"{path} is a 16-bit TIFF that is not plain gray or RGB (it is CMYK, inverted, "
            "planar or has premultiplied alpha); save it as 16-bit RGB or as 8-bit"
        )
    return bits == 16


def _kind(image: PillowFile.ImageFile, data: bytes) -> str:
    """Return the colour model in words: RGB, gray, palette, CMYK, ..."""
    if image.format == "PNG" and data[25] in (0, 4):  # Pillow calls 16-bit gray + alpha "RGBA"
        return "gray"
    if image.mode in ("1", "L", "LA") or image.mode.startswith("I;16"):
        return "gray"
    return {"RGBA": "RGB", "P": "palette", "PA": "palette"}.get(image.mode, image.mode)


def _decode_deep(path: Path, image: PillowFile.ImageFile, data: bytes) -> NDArray[np.uint16]:
    """Decode 16 bits with OpenCV: uint16 RGB(A) (H, W, 3 or 4), as stored (a TIFF: upright)."""
    raw = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if raw is None or raw.dtype != np.uint16:
        raise InputError(f"{path} cannot be decoded as a 16-bit image; save it again as PNG")
    pixels = np.asarray(raw, np.uint16)
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    elif pixels.shape[2] == 3:
        pixels = pixels[..., ::-1]
    else:
        return pixels[..., [2, 1, 0, 3]]
    key = image.info.get("transparency")  # PNG: the one colour that is transparent
    if key is None:
        return pixels
    opaque = np.any(pixels != np.asarray(key), axis=2, keepdims=True)
    return np.concatenate([pixels, opaque * np.uint16(65535)], axis=2)


def _as_srgb(
    image: PillowFile.ImageFile, pixels: Pixels, profile: bytes, orientation: int
) -> tuple[Pixels, list[str]]:
    """Convert the colours of a decoded image from its ICC profile to sRGB.

    Args:
        image: the loaded image, as stored.
        pixels: its pixels, (H, W, 3 or 4), upright.
        profile: the bytes of the profile.
        orientation: how the image must be turned to lie as ``pixels``.

    Returns:
        The pixels, uint8 if they were converted, and what was done.
    """
    try:
        conversion = conversion_of(profile)
        if conversion is None:
            return pixels, []
        if conversion.mode == "CMYK" or image.mode == "CMYK":
            if conversion.mode != image.mode:
                raise UnusableProfileError(f"a profile of {conversion.mode} for {image.mode}")
            rgb: Pixels = _turn_upright(conversion(image), orientation)
        else:
            rgb8 = np.ascontiguousarray(to_uint8(pixels[..., :3]))
            if conversion.mode == "L" and np.ptp(rgb8, axis=2).any():
                raise UnusableProfileError("a profile of gray for RGB")
            rgb = conversion(Image.fromarray(rgb8[..., 0] if conversion.mode == "L" else rgb8))
    except UnusableProfileError as error:
        return pixels, [f"its colour profile is passed over ({error})"]
    notes = [f"colours of {conversion.name} converted to sRGB"]
    if pixels.dtype != np.uint8:
        notes.append("16 bits cut to 8 for the conversion")
    if pixels.shape[2] == 4:
        rgb = np.dstack([rgb, to_uint8(pixels[..., 3])])
    return rgb, notes


def _orientation(image: PillowFile.ImageFile, file: BinaryIO) -> int:
    """Return the EXIF orientation, 1 to 8; 1 = upright, also for a missing or invalid entry."""
    if isinstance(image, TiffImageFile):
        value = image.tag_v2.get(274, 1)
    else:
        exif = Image.Exif()
        try:
            if image.format == "PNG":
                exif.load(_png_exif(file))
            else:
                exif = image.getexif()
            value = exif.get(274, 1)
        except _DAMAGE:  # garbage in the EXIF block says nothing about the pixels
            return 1
    return value if value in range(1, 9) else 1


def _png_exif(file: BinaryIO) -> bytes:
    """Read the EXIF chunk of a PNG, which may come after the pixels; b"" without one.

    Pillow's getexif would decode the whole image to find it there.
    """
    file.seek(8)
    while len(header := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", header)
        if kind == b"eXIf":
            return file.read(length)
        file.seek(length + 4, os.SEEK_CUR)
    return b""


def _turn_upright(pixels: Pixels, orientation: int) -> Pixels:
    """Undo an EXIF orientation: 5 to 8 are stored sideways, then rows or columns run backwards."""
    if orientation >= 5:
        pixels = np.swapaxes(pixels, 0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


# --------------------------------------------------------------------------------------- writing


def write_image(
    path: StrPath, image: NDArray[np.uint8 | np.uint16 | np.bool_], alpha: Pixels | None = None
) -> None:
    """Write an image file, complete or not at all; folders are created.

    Args:
        path: the file; its extension is one of ``WRITABLE_SUFFIXES``. PNG, TIFF and WebP are
            lossless and keep alpha; PNG and TIFF keep 16 bits.
        image: RGB (H, W, 3) or gray (H, W); uint8, uint16, or bool (written as 0 and 255).
        alpha: (H, W) of the dtype of ``image``, not premultiplied.

    Raises:
        InputError: an extension that is unknown or not possible for these pixels, or a folder that
            can't be written.
        ValueError: an array of another shape or dtype.
    """
    path = Path(path)
    encoded = _encode(path, _with_alpha(image, alpha))
    with atomic_write(path) as file:
        file.write(encoded)


def encode_webp(image: NDArray[np.uint8], quality: int) -> bytes:
    """Encode an image as the bytes of a WebP file.

    Args:
        image: RGB uint8 (H, W, 3), at most 16383 pixels on a side.
        quality: 1 to 100; 100 is lossless, below it colour is kept at half the resolution.

    Raises:
        ValueError: an array of another shape or dtype, or too large.
    """
    stream = io.BytesIO()
    lossless = quality == 100
    settings = {"lossless": True, "method": 0} if lossless else {"quality": quality, "method": 2}
    Image.fromarray(_with_alpha(image, None)).save(stream, "WEBP", **settings)
    return stream.getvalue()


def _with_alpha(image: NDArray[np.generic], alpha: Pixels | None) -> Pixels:
    """Check and join image and alpha: contiguous (H, W), RGB (H, W, 3) or RGBA (H, W, 4)."""
    if image.dtype == np.bool_:
        pixels: Pixels = image.astype(np.uint8) * np.uint8(255)
    elif image.dtype.type in (np.uint8, np.uint16):
        pixels = cast(Pixels, image)
    else:
        raise ValueError(f"an image to write must be uint8, uint16 or bool, not {image.dtype}")
    if (pixels.ndim != 2 and (pixels.ndim != 3 or pixels.shape[2] != 3)) or pixels.size == 0:
        raise ValueError(f"an image to write must be (H, W) or (H, W, 3), not {image.shape}")
    if alpha is not None:
        if alpha.dtype != pixels.dtype or alpha.shape != pixels.shape[:2]:
            raise ValueError(
                f"alpha must be {pixels.dtype} {pixels.shape[:2]}, not {alpha.dtype} {alpha.shape}"
            )
        rgb = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
        pixels = np.dstack([rgb, alpha])
    return np.ascontiguousarray(pixels)


def _encode(path: Path, pixels: Pixels) -> bytes:
    suffix = path.suffix.lower()
    if suffix not in WRITABLE_SUFFIXES:
        raise InputError(
            f"{path} cannot be written: its extension must be one of {', '.join(WRITABLE_SUFFIXES)}"
        )
    if pixels.dtype == np.uint16 and suffix not in (".png", ".tif", ".tiff"):
        raise InputError(f"{path} cannot hold 16 bits a channel; use .png or .tif")
    has_alpha = pixels.ndim == 3 and pixels.shape[2] == 4
    if has_alpha and suffix in (".jpg", ".jpeg"):
        raise InputError(f"{path} cannot hold transparency; use .png, .tif or .webp")
    encoded = _encode_webp(pixels) if suffix == ".webp" else _encode_opencv(suffix, pixels)
    if encoded is None:
        raise InputError(
            f"{path} cannot be written: {pixels.shape[1]} x {pixels.shape[0]} pixels are "
            f"too many for {suffix}; use .tif"
        )
    return encoded


def _encode_opencv(suffix: str, pixels: Pixels) -> bytes | None:
    if pixels.ndim == 3:
        to_bgr = cv2.COLOR_RGB2BGR if pixels.shape[2] == 3 else cv2.COLOR_RGBA2BGRA
        pixels = cast(Pixels, cv2.cvtColor(pixels, to_bgr))
    # No compression level for PNG: OpenCV's own setting (run lengths of filtered rows) takes
    # 0.05 s for a 2-megapixel photograph and is smaller than level 9, which takes ten times that.
    try:
        done, encoded = cv2.imencode(suffix, pixels)
    except cv2.error:
        return None
    return encoded.tobytes() if done else None


def _encode_webp(pixels: Pixels) -> bytes | None:
    """Encode losslessly with Pillow: OpenCV would drop the colour of transparent pixels."""
    stream = io.BytesIO()
    try:
        Image.fromarray(pixels).save(stream, "WEBP", lossless=True, exact=True, method=0)
    except ValueError:
        return None
    return stream.getvalue()
