from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from desra.io import manifest
from desra.io.images import write_image
from desra.io.results import read_pairs, read_result, similarity, whole_map, whole_mask
from desra.utils.errors import InputError

SIZE = (24, 30)
RNG = np.random.default_rng(0)
D = RNG.integers(0, 256, (14, 20), dtype=np.uint8)
MASK = RNG.random(SIZE) < 0.5


def row(stem: str = "a", size: tuple[int, int] = SIZE, mean_D: float | None = 0.5) -> manifest.Row:
    return manifest.Row(
        stem=stem,
        lq=None,
        lq_size=None,
        sr_size=size,
        scale=2,
        mask_pixels=0,
        regions=0,
        mean_D=mean_D,
        seconds={},
        settings="",
        notes=(),
    )


def stored(folder: Path, *rows: manifest.Row) -> str:
    manifest.write(folder, rows)
    return str(folder)


def test_map_as_it_is_and_in_the_size_of_the_image(tmp_path):
    write_image(tmp_path / "map" / "a.png", D)
    np.testing.assert_array_equal(similarity(tmp_path, row()), D / 255)
    # Each pixel of the image takes the nearest of the map.
    nearest = [np.clip(np.arange(n) - 5, 0, n - 11) for n in SIZE]
    np.testing.assert_array_equal(whole_map(tmp_path, row()), D[np.ix_(*nearest)] / 255)


def test_map_of_an_image_smaller_than_the_window(tmp_path):
    tiny = row(size=(8, 9), mean_D=None)
    assert similarity(tmp_path, tiny).size == 0
    np.testing.assert_array_equal(whole_map(tmp_path, tiny), np.ones((8, 9)))


def test_mask_of_either_size(tmp_path):
    path = tmp_path / "mask" / "a.png"
    write_image(tmp_path / "map" / "a.png", D)
    write_image(path, MASK)
    for cropped in (True, False):
        np.testing.assert_array_equal(whole_mask(tmp_path, row(), cropped), MASK)
    write_image(path, MASK[5:-5, 5:-5])
    inside = np.zeros(SIZE, bool)
    inside[5:-5, 5:-5] = MASK[5:-5, 5:-5]
    np.testing.assert_array_equal(whole_mask(tmp_path, row()), inside)
    with pytest.raises(InputError, match=r"a\.png is \(14, 20\), but \(24, 30\) is expected"):
        whole_mask(tmp_path, row(), cropped=False)


def test_a_mask_of_neither_size_is_refused(tmp_path):
    """A mask of another image may lie centred in this one too."""
    write_image(tmp_path / "map" / "a.png", D)
    for border in (1, 4, 6, 10):
        write_image(tmp_path / "mask" / "a.png", MASK[border:-border, border:-border])
        for cropped in (True, False):
            with pytest.raises(InputError, match=r"a\.png is .* neither the size of the image"):
                whole_mask(tmp_path, row(), cropped)
    write_image(tmp_path / "mask" / "a.png", MASK[2:-2, 2:-2])
    with pytest.raises(InputError, match="neither the size of the image"):
        whole_mask(tmp_path, row(mean_D=None))


def test_pictures_of_another_image_are_refused(tmp_path):
    for kind in ("map", "mask", "sr_gan"):
        write_image(tmp_path / kind / "a.png", D[1:])
    for read in (similarity, whole_map, whole_mask):
        with pytest.raises(InputError, match=r"a\.png does not belong to the results: a map of 13"):
            read(tmp_path, row())
    with pytest.raises(InputError, match=r"a\.png is \(13, 20\), but \(24, 30\) is expected"):
        read_result(tmp_path, "sr_gan", row())


def test_before_and_after(tmp_path):
    before = stored(tmp_path / "1", row("b"), row("a"))
    after = stored(tmp_path / "2", row("a"), row("b", mean_D=0.25))
    assert read_pairs(before, after) == [(row("b"), row("b", mean_D=0.25)), (row("a"), row("a"))]
    other = stored(tmp_path / "3", row("a"), row("c"))
    with pytest.raises(InputError, match=r"1 only in before: b; 1 only in after: c\); run desra"):
        read_pairs(before, other)
    larger = stored(tmp_path / "4", row("a"), row("b", (48, 60)))
    with pytest.raises(InputError, match="before and after differ in the size of b; run desra"):
        read_pairs(before, larger)
    with pytest.raises(InputError, match="after: .* holds no manifest"):
        read_pairs(before, str(tmp_path))
