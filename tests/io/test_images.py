"""Every kind of file is written by other means than ours, and read back to exact pixels."""

from __future__ import annotations

import io
import itertools
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from desra.io.images import (
    Picture,
    image_size,
    read_image,
    read_mask,
    read_rgb8,
    to_uint8,
    write_image,
)
from desra.io.listing import list_images
from desra.utils.errors import DiskFullError, InputError

H, W = 14, 10
RNG = np.random.default_rng(0)
RGB8 = RNG.integers(0, 256, (H, W, 3), dtype=np.uint8)
RGB16 = RNG.integers(0, 65536, (H, W, 3), dtype=np.uint16)
ALPHA8 = RNG.integers(0, 256, (H, W), dtype=np.uint8)
ALPHA16 = RNG.integers(0, 65536, (H, W), dtype=np.uint16)
RGBA8, RGBA16 = np.dstack([RGB8, ALPHA8]), np.dstack([RGB16, ALPHA16])
GRAY8, GRAY16 = RGB8[..., 0], RGB16[..., 0]


@pytest.fixture
def tifffile():
    return pytest.importorskip("tifffile")  # comes with scikit-image


def as_rgb(gray: np.ndarray) -> np.ndarray:
    return np.stack([gray] * 3, axis=-1)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(pixels: np.ndarray, colour: int, *, before: bytes = b"", after: bytes = b"") -> bytes:
    """A PNG by hand; colour types: 0 gray, 2 RGB, 4 gray + alpha, 6 RGBA."""
    depth = pixels.dtype.itemsize * 8
    rows = b"".join(b"\0" + row.astype(pixels.dtype.newbyteorder(">")).tobytes() for row in pixels)
    shape = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", shape)
        + before
        + chunk(b"IDAT", zlib.compress(rows))
        + after
        + chunk(b"IEND", b"")
    )


def saved(path: Path, pixels: np.ndarray | Image.Image, **options: object) -> Path:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(path, **options)
    return path


def stored(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def exif(orientation: int) -> Image.Exif:
    entry = Image.Exif()
    entry[274] = orientation
    return entry


def assert_picture(
    picture: Picture, rgb: np.ndarray, alpha: np.ndarray | None = None, notes: tuple[str, ...] = ()
) -> None:
    assert picture.rgb.dtype == rgb.dtype
    np.testing.assert_array_equal(picture.rgb, rgb)
    if alpha is None:
        assert picture.alpha is None
    else:
        assert picture.alpha is not None and picture.alpha.dtype == rgb.dtype
        np.testing.assert_array_equal(picture.alpha, alpha)
    assert picture.notes == notes


# --------------------------------------------------------------------------------------- reading


@pytest.mark.parametrize(
    ("name", "options"),
    [("a.png", {}), ("a.bmp", {}), ("a.tif", {}), ("a.webp", {"lossless": True})],
)
def test_plain_rgb(tmp_path, name, options):
    assert_picture(read_image(saved(tmp_path / name, RGB8, **options)), RGB8)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.webp"])
def test_rgba(tmp_path, name):
    options = {"lossless": True, "exact": True} if name == "a.webp" else {}
    path = saved(tmp_path / name, RGBA8, **options)
    assert_picture(read_image(path), RGB8, ALPHA8, ("alpha split off",))


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif"])
def test_gray(tmp_path, name):
    path = saved(tmp_path / name, GRAY8)
    assert_picture(read_image(path), as_rgb(GRAY8), notes=("gray to RGB",))


def test_gray_with_alpha(tmp_path):
    notes = ("gray to RGB", "alpha split off")
    path = stored(tmp_path / "8.png", png(np.dstack([GRAY8, ALPHA8]), 4))
    assert_picture(read_image(path), as_rgb(GRAY8), ALPHA8, notes)
    path = stored(tmp_path / "16.png", png(np.dstack([GRAY16, ALPHA16]), 4))
    notes = ("gray to RGB", "16-bit", "alpha split off")
    assert_picture(read_image(path), as_rgb(GRAY16), ALPHA16, notes)


def test_one_bit(tmp_path):
    bits = GRAY8 > 128
    for name in ("a.png", "a.tif"):
        picture = read_image(saved(tmp_path / name, bits))
        assert_picture(picture, as_rgb(bits * np.uint8(255)), notes=("gray to RGB",))


def test_palette(tmp_path):
    indices = (GRAY8 % 3).astype(np.uint8)
    colours = np.array([[10, 20, 30], [200, 100, 0], [7, 8, 9]], np.uint8)
    image = Image.frombytes("P", (W, H), indices.tobytes())
    image.putpalette(colours.tobytes())
    picture = read_image(saved(tmp_path / "a.png", image))
    assert_picture(picture, colours[indices], notes=("palette to RGB",))

    opacity = np.array([0, 128, 255], np.uint8)
    picture = read_image(saved(tmp_path / "b.png", image, transparency=opacity.tobytes()))
    notes = ("palette to RGB", "alpha split off")
    assert_picture(picture, colours[indices], opacity[indices], notes)


@pytest.mark.parametrize("pixels", [RGB8, RGB16], ids=["8", "16"])
def test_one_transparent_colour(tmp_path, pixels):
    pixels = pixels.copy()
    pixels[0, 0] = [*pixels[3, 4, :2], 0]  # one channel off the transparent colour
    key = pixels[3, 4].astype(">u2").tobytes()
    path = stored(tmp_path / "a.png", png(pixels, 2, before=chunk(b"tRNS", key)))
    full = np.iinfo(pixels.dtype).max
    alpha = np.full((H, W), full, pixels.dtype)
    alpha[3, 4] = 0
    picture = read_image(path)
    np.testing.assert_array_equal(picture.rgb, pixels)
    np.testing.assert_array_equal(picture.alpha, alpha)


@pytest.mark.parametrize("pixels", [GRAY8, GRAY16], ids=["8", "16"])
def test_one_transparent_gray(tmp_path, pixels):
    key = pixels[3, 4]
    before = chunk(b"tRNS", struct.pack(">H", int(key)))
    picture = read_image(stored(tmp_path / "a.png", png(pixels, 0, before=before)))
    np.testing.assert_array_equal(picture.rgb, as_rgb(pixels))
    expected = np.where(pixels == key, 0, np.iinfo(pixels.dtype).max)
    np.testing.assert_array_equal(picture.alpha, expected)


def test_16_bit_png(tmp_path):
    picture = read_image(stored(tmp_path / "a.png", png(RGB16, 2)))
    assert_picture(picture, RGB16, notes=("16-bit",))
    picture = read_image(stored(tmp_path / "b.png", png(RGBA16, 6)))
    assert_picture(picture, RGB16, ALPHA16, ("16-bit", "alpha split off"))
    picture = read_image(stored(tmp_path / "c.png", png(GRAY16, 0)))
    assert_picture(picture, as_rgb(GRAY16), notes=("gray to RGB", "16-bit"))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_16_bit_tiff(tmp_path, tifffile, order, compression):
    path, options = tmp_path / "a.tif", {"byteorder": order, "compression": compression}
    tifffile.imwrite(path, RGB16, photometric="rgb", **options)
    assert_picture(read_image(path), RGB16, notes=("16-bit",))
    tifffile.imwrite(path, RGBA16, photometric="rgb", extrasamples=["unassalpha"], **options)
    assert_picture(read_image(path), RGB16, ALPHA16, ("16-bit", "alpha split off"))
    tifffile.imwrite(path, GRAY16, photometric="minisblack", **options)
    assert_picture(read_image(path), as_rgb(GRAY16), notes=("gray to RGB", "16-bit"))
    tifffile.imwrite(path, RGBA16, photometric="rgb", extrasamples=["unspecified"], **options)
    np.testing.assert_array_equal(read_image(path).rgb, RGB16)
    assert read_image(path).alpha is None


def test_tiff_of_other_layouts(tmp_path, tifffile):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.moveaxis(RGB8, 2, 0), photometric="rgb", planarconfig="separate")
    assert_picture(read_image(path), RGB8)
    tifffile.imwrite(path, GRAY8, photometric="miniswhite")
    assert_picture(read_image(path), as_rgb(255 - GRAY8), notes=("gray to RGB",))
    tifffile.imwrite(path, np.stack([RGB8, RGB8[::-1]]), photometric="rgb")
    assert_picture(read_image(path), RGB8, notes=("first of 2 frames",))


@pytest.mark.parametrize(
    ("pixels", "options"),
    [
        (RGB8.astype(np.float32), {"photometric": "rgb"}),
        (GRAY8.astype(np.float32), {}),
        (RGB16.astype(np.uint32), {"photometric": "rgb"}),
        (GRAY16.astype(np.int32), {}),
        ((GRAY16 // 2).astype(np.int16), {}),
        (GRAY16, {"photometric": "miniswhite"}),
        (RGBA16, {"photometric": "separated"}),
        (RGBA16, {"photometric": "rgb", "extrasamples": ["assocalpha"]}),
        (np.moveaxis(RGB16, 2, 0), {"photometric": "rgb", "planarconfig": "separate"}),
    ],
)
def test_unsupported_tiff_is_refused_not_misread(tmp_path, tifffile, pixels, options):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pixels, **options)
    with pytest.raises(InputError, match=r"a\.tif is a .*TIFF .*; save it as"):
        read_image(path)


def test_jpeg(tmp_path):
    smooth = cv2.resize(RGB8, (64, 48), interpolation=cv2.INTER_CUBIC)
    path = saved(tmp_path / "a.jpg", smooth, quality=95)
    picture = read_image(path)
    oracle = cv2.imread(str(path))[..., ::-1]
    assert picture.notes == ()
    assert np.abs(picture.rgb.astype(int) - oracle).max() <= 1
    picture = read_image(saved(tmp_path / "gray.jpg", smooth[..., 1], quality=95))
    assert picture.notes == ("gray to RGB",)
    assert np.abs(picture.rgb.astype(int) - as_rgb(smooth[..., 1])).max() <= 8


def test_cmyk_jpeg(tmp_path):
    inks = np.empty((16, 16, 4), np.uint8)
    inks[:] = (200, 100, 0, 50)  # one colour, so that JPEG's loss stays at rounding
    image = Image.frombytes("CMYK", (16, 16), inks.tobytes())
    picture = read_image(saved(tmp_path / "a.jpg", image, quality=100))
    expected = [(255 - ink) * (255 - 50) / 255 for ink in (200, 100, 0)]
    assert np.abs(picture.rgb - np.array(expected)).max() <= 3
    assert picture.notes == ("CMYK to RGB",)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path, orientation):
    flagged = Image.fromarray(RGBA8)
    flagged.getexif()[274] = orientation
    expected = np.asarray(ImageOps.exif_transpose(flagged))  # Pillow's own is the oracle
    turned = () if orientation == 1 else ("EXIF rotation applied",)

    for name in ("a.png", "a.tif", "a.webp"):
        options = {"lossless": True, "exact": True} if name == "a.webp" else {}
        path = saved(tmp_path / name, RGBA8, exif=exif(orientation), **options)
        notes = ("alpha split off", *turned)
        assert_picture(read_image(path), expected[..., :3], expected[..., 3], notes)
        assert image_size(path) == expected.shape[:2]

    path = saved(tmp_path / "a.jpg", RGB8, exif=exif(orientation))
    plain = Image.open(saved(tmp_path / "plain.jpg", RGB8))
    plain.getexif()[274] = orientation
    assert_picture(read_image(path), np.asarray(ImageOps.exif_transpose(plain)), notes=turned)
    assert image_size(path) == expected.shape[:2]


def turned_16_bits(orientation: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """Pixels and notes of RGB16 read with an orientation; where each pixel goes, Pillow says."""
    places = Image.fromarray(np.arange(H * W, dtype=np.int32).reshape(H, W))
    places.getexif()[274] = orientation
    order = np.asarray(ImageOps.exif_transpose(places))
    notes = ("16-bit",) if orientation == 1 else ("16-bit", "EXIF rotation applied")
    return RGB16.reshape(-1, 3)[order], notes


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_of_16_bits(tmp_path, orientation):
    expected, notes = turned_16_bits(orientation)
    entry = chunk(b"eXIf", exif(orientation).tobytes().removeprefix(b"Exif\0\0"))
    for name, place in (("a.png", "before"), ("b.png", "after")):
        path = stored(tmp_path / name, png(RGB16, 2, **{place: entry}))
        assert_picture(read_image(path), expected, notes=notes)
        assert image_size(path) == expected.shape[:2]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_16_bit_tiff(tmp_path, tifffile, orientation):
    expected, notes = turned_16_bits(orientation)
    path = tmp_path / "a.tif"
    tag = (274, 3, 1, orientation, True)
    tifffile.imwrite(path, RGB16, photometric="rgb", extratags=[tag])
    assert_picture(read_image(path), expected, notes=notes)
    assert image_size(path) == expected.shape[:2]


def test_meaningless_exif_is_passed_over(tmp_path):
    path = saved(tmp_path / "nine.png", RGB8, exif=exif(9))
    assert_picture(read_image(path), RGB8)
    path = stored(tmp_path / "junk.png", png(RGB8, 2, before=chunk(b"eXIf", b"not a TIFF")))
    assert_picture(read_image(path), RGB8)
    path = saved(tmp_path / "junk.webp", RGB8, lossless=True, exif=b"Exif\0\0not a TIFF")
    assert_picture(read_image(path), RGB8)


def test_content_decides_not_the_extension(tmp_path):
    path = saved(tmp_path / "really_a.jpg", RGB8, format="PNG")
    assert_picture(read_image(path), RGB8)


def test_first_of_several_frames(tmp_path):
    frames = [Image.fromarray(RGB8), Image.fromarray(RGB8[::-1])]
    options = {"save_all": True, "append_images": frames[1:], "lossless": True}
    path = saved(tmp_path / "a.webp", frames[0], **options)
    assert_picture(read_image(path), RGB8, notes=("first of 2 frames",))


def test_16_bits_are_rounded_to_8():
    every = np.arange(65536, dtype=np.uint16)
    exact = np.floor(every.astype(np.float64) * 255 / 65535 + 0.5)
    np.testing.assert_array_equal(to_uint8(every), exact)
    picture = Picture(np.array([[[0, 128, 129]]], np.uint16), np.array([[65535]], np.uint16))
    np.testing.assert_array_equal(picture.rgb8, [[[0, 0, 1]]])
    np.testing.assert_array_equal(picture.alpha8, [[255]])
    assert picture.rgb8.dtype == np.uint8
    assert Picture(RGB8).alpha8 is None
    np.testing.assert_array_equal(Picture(RGB8).rgb8, RGB8)


# ------------------------------------------------------------------------------------------ masks

SQUARE = np.zeros((20, 16), np.uint8)
SQUARE[4:12, 6:14] = 1
ONE, OFF = SQUARE * np.uint8(255), (1 - SQUARE) * np.uint8(255)
NONE, ALL = 0 * SQUARE, 0 * SQUARE + np.uint8(255)


def of_palette(index: int) -> Image.Image:
    """A mask of VOC: class ids and their colours."""
    image = Image.frombytes("P", SQUARE.shape[::-1], (SQUARE * index).tobytes())
    image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0, 0, 0, 128])
    return image


@pytest.mark.parametrize(
    "pixels",
    [
        ONE,
        ONE > 0,
        ONE.astype(np.uint16) * 257,
        np.dstack([ONE, NONE, NONE]),
        np.dstack([NONE, ONE, NONE]),
        np.dstack([NONE, NONE, ONE]),
        np.dstack([SQUARE * 36, SQUARE * 179, SQUARE * 83]),
        np.dstack([ALL, ALL, ALL, ONE]),
        np.dstack([NONE, NONE, NONE, ONE]),
        np.dstack([ONE, ONE, ONE, ONE]),
        np.dstack([ONE, ONE, ONE, ALL]),
        np.dstack([ALL, OFF, OFF, ONE]),
        *(of_palette(index) for index in (1, 2, 3, 4)),
    ],
)
def test_a_mask_of_any_colour_is_understood(tmp_path, pixels):
    mask = read_mask(saved(tmp_path / "a.png", pixels))
    np.testing.assert_array_equal(mask, SQUARE > 0)


def test_soft_edges_of_a_mask_are_cut_at_half(tmp_path):
    soft = cv2.GaussianBlur(cv2.resize(ONE, (160, 200), interpolation=cv2.INTER_NEAREST), (0, 0), 2)
    for colours in (soft, np.dstack([0 * soft, soft, 0 * soft]), np.dstack([soft] * 3)):
        path = saved(tmp_path / "a.png", colours)
        np.testing.assert_array_equal(read_mask(path), soft > 127)
    for name in ("a.jpg", "a.webp"):
        path = saved(tmp_path / name, np.dstack([soft] * 3), quality=80)
        assert np.count_nonzero(read_mask(path) != (soft > 127)) < 30


def test_a_mask_is_all_or_nothing(tmp_path):
    for value in (0, 255):
        whole = np.full_like(ONE, value)
        assert (read_mask(saved(tmp_path / "a.png", whole)) == bool(value)).all()
    assert not read_mask(saved(tmp_path / "a.png", np.zeros((4, 4, 4), np.uint8))).any()


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (SQUARE, "has values from 0 to 1 only"),
        (SQUARE.astype(np.uint16), "has values from 0 to 1 only, of 65535"),
        (SQUARE.astype(np.uint16) * 255, "has values from 0 to 255 only, of 65535"),
        (np.dstack([NONE, NONE, SQUARE * 64]), "has values from 0 to 64 only"),
        (np.where(np.arange(16) < 2, 5, ONE).astype(np.uint8), "has values from 0 to 5 only"),
        (np.dstack([ALL, OFF, OFF]), "background that is not black"),
        (RGB8, "has the colours of a photograph|background"),
        (np.dstack([NONE, NONE, NONE, SQUARE]), "has opacities from 0 to 1 only"),
        (np.dstack([np.tri(20, 16) * 255] * 3 + [ONE]).astype(np.uint8), "both dark and bright"),
    ],
)
def test_a_mask_that_means_two_things_is_refused(tmp_path, pixels, words):
    if pixels is RGB8:
        pixels = np.random.default_rng(1).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    with pytest.raises(InputError, match=rf"a\.png .*({words}).*must hold 0 and 255"):
        read_mask(saved(tmp_path / "a.png", pixels))


def test_the_size_of_a_mask_is_compared_before_it_is_decoded(tmp_path):
    data = png(np.zeros((30, 20), np.uint8), 0)
    path = stored(tmp_path / "cut.png", data[:45])  # it could not be decoded
    for reader in (read_mask, read_rgb8):
        with pytest.raises(InputError, match=r"is \(30, 20\), but \(3, 2\) is expected"):
            reader(path, (3, 2))


# ----------------------------------------------------------------------------- what can't be read


def test_missing_empty_folder_text(tmp_path):
    with pytest.raises(InputError, match=r"no\.png does not exist"):
        read_image(tmp_path / "no.png")
    with pytest.raises(InputError, match="is empty"):
        read_image(stored(tmp_path / "empty.png", b""))
    with pytest.raises(InputError, match="is a folder"):
        read_image(tmp_path)
    for text in (b"just some text\n", "Bäume".encode(), b"<html>" * 100):
        path = stored(tmp_path / "text.png", text)
        for reader in (read_image, image_size):
            with pytest.raises(InputError, match=r"text\.png is not an image: its content"):
                reader(path)
    with pytest.raises(InputError, match=r"bmw\.png is damaged"):
        read_image(stored(tmp_path / "bmw.png", b"BMW is a maker of cars, not a bitmap\n" * 9))


def encoded(kind: str) -> bytes:
    """A photograph-like picture, large enough for several strips, blocks and scans."""
    smooth = cv2.resize(RGB8, (320, 240), interpolation=cv2.INTER_CUBIC)
    noisy = np.clip(smooth + RNG.normal(0, 9, smooth.shape), 0, 255).astype(np.uint8)
    stream = io.BytesIO()
    if kind == "png16":
        return png(noisy.astype(np.uint16) * 257, 2)
    if kind in ("tiff16", "tiff16 zlib", "tiff8"):
        pixels = noisy if kind == "tiff8" else noisy.astype(np.uint16) * 257
        compression = "zlib" if kind.endswith("zlib") else None
        pytest.importorskip("tifffile").imwrite(
            stream, pixels, photometric="rgb", compression=compression, rowsperstrip=16
        )
    elif kind == "progressive":
        Image.fromarray(noisy).save(stream, "JPEG", progressive=True)
    else:
        Image.fromarray(noisy).save(stream, kind)
    return stream.getvalue()


@pytest.mark.parametrize("share", [0.02, 0.5, 0.9, 0.99])
@pytest.mark.parametrize(
    "kind",
    [
        "PNG",
        "JPEG",
        "progressive",
        "WEBP",
        "TIFF",
        "BMP",
        "png16",
        "tiff8",
        "tiff16",
        "tiff16 zlib",
    ],
)
def test_truncated_is_recognised(tmp_path, kind, share):
    data = encoded(kind)
    assert read_image(stored(tmp_path / "whole", data)).rgb.shape == (240, 320, 3)
    path = stored(tmp_path / "cut.img", data[: int(len(data) * share)])
    with pytest.raises(InputError, match=r"cut\.img is (damaged|a TIFF that is damaged)"):
        read_image(path)


def test_pillows_limit_neither_refuses_nor_is_changed(tmp_path, monkeypatch, recwarn):
    """Put back also after a read that fails."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    for name in ("a.png", "a.tif", "a.webp", "a.jpg", "a.bmp"):
        path = saved(tmp_path / name, RGB8)
        assert read_image(path).rgb.shape == (H, W, 3)
        assert image_size(path) == (H, W)
    with pytest.raises(InputError):
        read_image(stored(tmp_path / "cut.png", png(RGB8, 2)[:60]))
    assert Image.MAX_IMAGE_PIXELS == 20
    assert not recwarn.list


def test_absurd_size_is_refused(tmp_path):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 40000, 40000, 8, 2, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    with pytest.raises(InputError, match="claims 40000 x 40000 pixels"):
        read_image(stored(tmp_path / "bomb.png", data))


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    for reader in (read_image, image_size, read_mask):
        with pytest.raises(InputError, match=r"a\.png is a pipe or a device"):
            reader(tmp_path / "a.png")


def test_image_size_reads_the_header_alone(tmp_path):
    data = png(RNG.integers(0, 256, (300, 200, 3), dtype=np.uint8), 2)
    path = stored(tmp_path / "cut.png", data[: len(data) // 2])
    assert image_size(path) == (300, 200)
    with pytest.raises(InputError, match="does not exist"):
        image_size(tmp_path / "no.png")


# --------------------------------------------------------------------------------------- writing


@pytest.mark.parametrize(
    ("suffix", "pixels"),
    [
        *itertools.product([".png", ".tif", ".TIFF"], [RGB8, GRAY8, RGB16, GRAY16]),
        *itertools.product([".webp"], [RGB8, GRAY8]),
    ],
    ids=lambda case: case if isinstance(case, str) else f"{case.dtype}{case.ndim}",
)
@pytest.mark.parametrize("with_alpha", [False, True])
def test_round_trip_is_lossless(tmp_path, suffix, pixels, with_alpha):
    alpha = (ALPHA8 if pixels.dtype == np.uint8 else ALPHA16).copy() if with_alpha else None
    if alpha is not None:
        alpha[:4] = 0  # the colour below must live on
    path = tmp_path / f"new/folder/a{suffix}"
    write_image(path, pixels, alpha)
    picture = read_image(path)
    assert picture.rgb.dtype == pixels.dtype
    np.testing.assert_array_equal(picture.rgb, pixels if pixels.ndim == 3 else as_rgb(pixels))
    if alpha is None:
        assert picture.alpha is None
    else:
        np.testing.assert_array_equal(picture.alpha, alpha)


def test_written_png_is_what_others_read(tmp_path):
    write_image(tmp_path / "a.png", RGB8)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png")), RGB8)
    write_image(tmp_path / "a.png", RGB8[::-1, ::-1], ALPHA8)  # strided, and over the old one
    both = np.asarray(Image.open(tmp_path / "a.png"))
    np.testing.assert_array_equal(both, np.dstack([RGB8[::-1, ::-1], ALPHA8]))
    write_image(tmp_path / "a.tif", RGB16)
    raw = cv2.imread(str(tmp_path / "a.tif"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(raw[..., ::-1], RGB16)


def test_mask_is_written_as_gray_0_and_255(tmp_path):
    mask = GRAY8 > 99
    write_image(tmp_path / "m.png", mask)
    with Image.open(tmp_path / "m.png") as image:
        assert image.mode == "L"
        np.testing.assert_array_equal(np.asarray(image), mask * 255)


def test_jpeg_is_written_close(tmp_path):
    smooth = cv2.resize(RGB8, (64, 48), interpolation=cv2.INTER_CUBIC)
    smooth = cv2.GaussianBlur(smooth, (0, 0), 4)
    write_image(tmp_path / "a.jpg", smooth)
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.format == "JPEG"
        assert np.abs(np.asarray(image).astype(int) - smooth).mean() < 2


def test_writing_what_does_not_fit(tmp_path):
    for name in ("a.gif", "a", "a.png.txt"):
        with pytest.raises(InputError, match=r"extension must be one of .*\.png"):
            write_image(tmp_path / name, RGB8)
    for name in ("a.jpg", "a.webp"):
        with pytest.raises(InputError, match="cannot hold 16 bits"):
            write_image(tmp_path / name, RGB16)
    with pytest.raises(InputError, match="cannot hold transparency"):
        write_image(tmp_path / "a.jpg", RGB8, ALPHA8)
    for suffix in (".webp", ".jpg"):
        with pytest.raises(InputError, match="70000 x 1 pixels are too many"):
            write_image(tmp_path / f"a{suffix}", np.zeros((1, 70000, 3), np.uint8))
    for pixels in (RGB8.astype(float), RGBA8, RGB8[:0], RGB8[None]):
        with pytest.raises(ValueError, match="an image to write must be") as caught:
            write_image(tmp_path / "a.png", pixels)
        assert not isinstance(caught.value, InputError)
    for alpha in (ALPHA16, ALPHA8[1:]):
        with pytest.raises(ValueError, match="alpha must be"):
            write_image(tmp_path / "a.png", RGB8, alpha)
    assert list(tmp_path.iterdir()) == []


def test_folder_that_cannot_be_written(tmp_path):
    stored(tmp_path / "file", b"")
    with pytest.raises(InputError, match=r"a\.png cannot be written .*choose an output folder"):
        write_image(tmp_path / "file" / "a.png", RGB8)
    (tmp_path / "a.png").mkdir()
    with pytest.raises(InputError, match=r"a\.png is a folder"):
        write_image(tmp_path / "a.png", RGB8)


def test_a_failing_replace_leaves_nothing(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.png", RGB8)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(DiskFullError, match=r"a\.png cannot be written: No space left"):
        write_image(path, RGB8[::-1])
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_names_that_are_not_ascii(tmp_path):
    folder = tmp_path / "Bücher 写真"
    write_image(folder / "größe ñ 図.png", RGB16, ALPHA16)
    (found,) = list_images(folder)
    assert found.stem == "größe ñ 図"
    picture = read_image(found.path)
    assert_picture(picture, RGB16, ALPHA16, ("16-bit", "alpha split off"))
    assert image_size(found.path) == (H, W)


def test_importing_does_not_pull_in_torch():
    code = "import desra.io.images, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
