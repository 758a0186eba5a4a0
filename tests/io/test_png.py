"""Strips against Pillow and OpenCV, which read the files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from PIL import Image

from desra.io import png
from desra.io.images import read_image
from desra.io.png import with_alpha, write_png


def pixels(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    rng = np.random.default_rng(len(shape))
    return rng.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


@pytest.mark.parametrize("height", [1, 255, 256, 257, 600])
@pytest.mark.parametrize("channels", [(), (3,), (4,)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_what_is_written_is_read(tmp_path: Path, height: int, channels, dtype: type):
    image = pixels(height, 37, *channels, dtype=dtype)
    write_png(tmp_path / "a/b.png", height, lambda rows: image[rows])
    read = cv2.imread(str(tmp_path / "a/b.png"), cv2.IMREAD_UNCHANGED)
    order = {(): ..., (3,): [2, 1, 0], (4,): [2, 1, 0, 3]}[channels]
    np.testing.assert_array_equal(read, image[..., order] if channels else image)
    with Image.open(tmp_path / "a/b.png") as opened:
        opened.verify()  # checksums of all chunks
    if dtype is np.uint8:
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a/b.png")), image)


def test_masks_are_black_and_white(tmp_path: Path):
    mask = pixels(300, 20) > 99
    write_png(tmp_path / "m.png", 300, mask.__getitem__)
    np.testing.assert_array_equal(read_image(tmp_path / "m.png").rgb[..., 0], mask * 255)


def test_rows_are_asked_for_from_top_to_bottom_once(tmp_path: Path):
    asked: list[int] = []

    def rows_of(rows: slice) -> np.ndarray:
        asked.extend(range(rows.start, rows.stop))
        return np.zeros((rows.stop - rows.start, 5, 3), np.uint8)

    write_png(tmp_path / "a.png", 700, rows_of)
    assert asked == list(range(700))


def test_a_failure_leaves_the_old_file(tmp_path: Path):
    image = pixels(2 * png._STRIP, 9)
    write_png(tmp_path / "a.png", len(image), image.__getitem__)
    before = (tmp_path / "a.png").read_bytes()

    def fails_late(rows: slice) -> np.ndarray:
        if rows.start:
            raise RuntimeError("half of it")
        return image[rows]

    with pytest.raises(RuntimeError, match="half of it"):
        write_png(tmp_path / "a.png", len(image), fails_late)
    assert (tmp_path / "a.png").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_photographs_take_little_room(tmp_path: Path):
    image = skimage.data.astronaut()
    write_png(tmp_path / "a.png", len(image), image.__getitem__)
    _, opencv = cv2.imencode(".png", image[..., ::-1])
    assert (tmp_path / "a.png").stat().st_size < 1.1 * len(opencv)


def test_alpha_joins_by_rows():
    rgb, alpha = pixels(8, 5, 3), pixels(8, 5)
    strip = with_alpha(rgb[2:6], alpha, slice(2, 6))
    np.testing.assert_array_equal(strip[..., :3], rgb[2:6])
    np.testing.assert_array_equal(strip[..., 3], alpha[2:6])
    assert with_alpha(rgb[2:6], None, slice(2, 6)).shape == (4, 5, 3)
