"""Colours of ICC profiles become sRGB; the oracle is the arithmetic of the colour spaces."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from desra.io.images import read_image, read_mask, read_rgb8

# Primaries of the two spaces (CIE xy), both with D65 and the curve of sRGB.
P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
SRGB = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060))
D65 = np.array([0.3127, 0.3290, 0.3583]) / 0.3290
BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
D50 = np.array([0.9642, 1.0, 0.8249])
CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def to_xyz(primaries: tuple[tuple[float, float], ...]) -> np.ndarray:
    """The matrix from linear RGB to XYZ under D65."""
    columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in primaries]).T
    return columns * np.linalg.solve(columns, D65)


def profile_of(primaries: tuple[tuple[float, float], ...], name: str = "Display P3") -> bytes:
    """A matrix profile with the curve of sRGB, by hand (ICC.1:2001-04)."""

    def fixed(*values: float) -> bytes:
        return b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    gains = np.diag((BRADFORD @ D50) / (BRADFORD @ D65))
    columns = np.linalg.inv(BRADFORD) @ gains @ BRADFORD @ to_xyz(primaries)
    text = name.encode() + b"\0"
    curve = b"para\0\0\0\0" + struct.pack(">HH", 3, 0) + fixed(*CURVE)
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(78),
        b"cprt": b"text\0\0\0\0none\0",
        b"wtpt": b"XYZ \0\0\0\0" + fixed(*D50),
        **{key + b"XYZ": b"XYZ \0\0\0\0" + fixed(*columns[:, i]) for i, key in enumerate(KEYS)},
        **{key + b"TRC": curve for key in KEYS},
    }
    table, body = b"", b""
    start = 132 + 12 * len(tags)
    for key, content in tags.items():
        padded = content + bytes(-len(content) % 4)
        table += key + struct.pack(">II", start + len(body), len(padded))
        body += padded
    head = struct.pack(">I4sI4s4s4s", start + len(body), b"none", 0x02400000, *(KIND))
    head += struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + fixed(*D50)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


KEYS = (b"r", b"g", b"b")
KIND = (b"mntr", b"RGB ", b"XYZ ")


def expected(p3: np.ndarray) -> np.ndarray:
    """Values of Display P3 as sRGB, by the definition of both."""
    levels = p3 / 255.0
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    linear = np.clip(linear @ (np.linalg.inv(to_xyz(SRGB)) @ to_xyz(P3)).T, 0, 1)
    gamma = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return gamma * 255


COLOURS = np.random.default_rng(0).integers(0, 256, (12, 10, 3), dtype=np.uint8)
NOTE = "colours of Display P3 converted to sRGB"


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.webp"])
@pytest.mark.parametrize("with_alpha", [False, True])
def test_the_colours_of_a_phone(tmp_path: Path, name: str, with_alpha: bool) -> None:
    pixels = np.dstack([COLOURS, COLOURS[..., 0]]) if with_alpha else COLOURS
    options = {"lossless": True, "exact": True} if name == "a.webp" else {}
    Image.fromarray(pixels).save(tmp_path / name, icc_profile=profile_of(P3), **options)
    picture = read_image(tmp_path / name)
    assert np.abs(picture.rgb - expected(COLOURS)).max() <= 2
    assert np.abs(picture.rgb.astype(int) - COLOURS).max() > 20
    assert NOTE in picture.notes
    if with_alpha:
        np.testing.assert_array_equal(picture.alpha, COLOURS[..., 0])
    np.testing.assert_array_equal(read_rgb8(tmp_path / name), picture.rgb)


def test_the_colours_of_a_phone_jpeg(tmp_path: Path) -> None:
    flat = np.full((16, 16, 3), (200, 60, 90), np.uint8)
    entry = Image.Exif()
    entry[274] = 6
    Image.fromarray(flat).save(
        tmp_path / "a.jpg", icc_profile=profile_of(P3), quality=100, subsampling=0, exif=entry
    )
    picture = read_image(tmp_path / "a.jpg")
    assert np.abs(picture.rgb - expected(flat)).max() <= 4
    assert picture.notes == ("EXIF rotation applied", NOTE)


@pytest.mark.parametrize(
    "profile",
    [
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
        profile_of(SRGB, "another sRGB"),
    ],
)
def test_srgb_stays_byte_for_byte(tmp_path: Path, profile: bytes) -> None:
    Image.fromarray(COLOURS).save(tmp_path / "a.png", icc_profile=profile)
    picture = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(picture.rgb, COLOURS)
    assert picture.notes == ()


def test_a_damaged_profile_is_passed_over_and_told(tmp_path: Path) -> None:
    for profile in (b"not a profile", profile_of(P3)[:200]):
        Image.fromarray(COLOURS).save(tmp_path / "a.png", icc_profile=profile)
        picture = read_image(tmp_path / "a.png")
        np.testing.assert_array_equal(picture.rgb, COLOURS)
        assert len(picture.notes) == 1 and "its colour profile is passed over" in picture.notes[0]


def test_gray_and_palette_pictures_with_a_profile(tmp_path: Path) -> None:
    gray = Image.fromarray(COLOURS[..., 0])
    gray.save(tmp_path / "gray.png", icc_profile=profile_of(P3))
    picture = read_image(tmp_path / "gray.png")  # gray is gray in both, by one curve
    assert np.abs(picture.rgb.astype(int) - COLOURS[..., :1]).max() <= 2
    palette = Image.fromarray(COLOURS).quantize(8)
    before = np.asarray(palette.convert("RGB"))
    palette.save(tmp_path / "palette.png", icc_profile=profile_of(P3))
    picture = read_image(tmp_path / "palette.png")
    assert np.abs(picture.rgb - expected(before)).max() <= 2


def test_16_bits_are_cut_to_8_and_told(tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    profile = profile_of(P3)
    tag = (34675, 7, len(profile), profile, True)
    deep = COLOURS.astype(np.uint16) * 257
    tifffile.imwrite(tmp_path / "a.tif", deep, photometric="rgb", extratags=[tag])
    picture = read_image(tmp_path / "a.tif")
    assert picture.rgb.dtype == np.uint8
    assert np.abs(picture.rgb - expected(COLOURS)).max() <= 2
    assert picture.notes == ("16-bit", NOTE, "16 bits cut to 8 for the conversion")


def test_a_profile_of_another_model_is_passed_over(tmp_path: Path) -> None:
    stream = io.BytesIO()
    inks = Image.new("CMYK", (16, 16), (200, 100, 0, 50))
    inks.save(stream, "JPEG", icc_profile=profile_of(P3))
    (tmp_path / "a.jpg").write_bytes(stream.getvalue())
    notes = read_image(tmp_path / "a.jpg").notes
    assert notes[0] == "CMYK to RGB" and "a profile of RGB for CMYK" in notes[1]


def test_a_mask_keeps_its_values(tmp_path: Path) -> None:
    mask = np.eye(10, dtype=np.uint8) * 255
    colours = np.dstack([mask, 0 * mask, 0 * mask])
    Image.fromarray(colours).save(tmp_path / "a.png", icc_profile=profile_of(P3))
    np.testing.assert_array_equal(read_mask(tmp_path / "a.png"), mask > 0)
