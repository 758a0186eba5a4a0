"""Pictures are checked by the pixels that a person would look for."""

import numpy as np
import pytest

from desra.io.drawing import Overlay, contact_sheet, fit, map_in_colour, overlay, thickest_spot

GREY = np.full((40, 60, 3), 128, np.uint8)


def test_overlay_reddens_the_mask_and_leaves_the_rest():
    mask = np.zeros((40, 60), bool)
    mask[10:30, 20:40] = True
    before = GREY.copy()
    drawn = overlay(GREY, mask)
    np.testing.assert_array_equal(GREY, before)
    near = np.zeros_like(mask)
    near[8:32, 18:42] = True  # the white rim of the outline
    np.testing.assert_array_equal(drawn[~near], GREY[~near])
    assert drawn[9, 25].tolist() == drawn[11, 25].tolist() == [255, 255, 255]
    assert drawn[20, 30].tolist() == [160, 106, 106]  # 3/4 grey, 1/4 red
    assert drawn[10, 25].tolist() == [255, 40, 40]  # the outline
    np.testing.assert_array_equal(overlay(GREY, np.zeros_like(mask)), GREY)


@pytest.mark.parametrize("side", [300, 900])  # outlines of one and of several pixels
def test_rows_of_an_overlay_are_those_of_the_whole(side: int):
    image = np.random.default_rng(0).integers(0, 256, (side, side + 20, 3), np.uint8)
    y, x = np.mgrid[:side, : side + 20]
    mask = ((x - 150) ** 2 + (y - 140) ** 2 < 100**2) | ((x // 7 + y // 5) % 9 == 0)
    drawn = Overlay(mask)
    parts = [drawn.rows(image[top : top + 37], top) for top in range(0, side, 37)]
    np.testing.assert_array_equal(np.concatenate(parts), overlay(image, mask))


def test_map_in_colour_is_brighter_where_texture_is_alike():
    D = np.linspace(0, 1, 11)[None]
    colour = map_in_colour(D)
    assert colour.shape == (1, 11, 3) and colour.dtype == np.uint8
    luma = colour @ np.array([0.299, 0.587, 0.114])
    assert (np.diff(luma[0]) > 0).all()
    low, high = colour[0, 0].astype(int), colour[0, -1].astype(int)
    assert low[2] > low[0] > low[1]  # violet
    assert min(high[0], high[1]) > 200 > high[2]  # yellow, which BGR order would turn cyan
    np.testing.assert_array_equal(map_in_colour(np.array([[-1.0, 2.0]])), colour[:, [0, -1]])


def test_thickest_spot_is_in_the_body_not_at_the_centre():
    mask = np.zeros((100, 100), bool)
    mask[10:31, 5:26] = True  # 21 x 21
    mask[20, 26:95] = True  # and a long tail
    assert thickest_spot(mask) == (20, 15)


@pytest.mark.parametrize("value", [True, False])
def test_thickest_spot_without_an_edge_is_the_centre(value):
    assert thickest_spot(np.full((40, 60), value)) == (20, 30)


def test_fit_centres_and_keeps_the_aspect():
    square = fit(np.zeros((10, 20, 3), np.uint8), 40)
    assert square.shape == (40, 40, 3)
    dark = np.argwhere((square == 0).all(axis=2))
    assert dark.min(0).tolist() == [10, 0] and dark.max(0).tolist() == [29, 39]
    assert (square[:10] == 255).all() and (square[30:] == 255).all()


def test_fit_shows_lr_pixels_as_squares_if_not_smooth():
    image = np.zeros((2, 2), np.uint8)
    image[0, 1] = 200
    expected = np.repeat(image.repeat(5, 0).repeat(5, 1)[..., None], 3, axis=2)
    np.testing.assert_array_equal(fit(image, 10, smooth=False), expected)


def test_contact_sheet_has_a_cell_for_each_image_in_order():
    colours = [[(10, 20, 30), (200, 0, 0)], [(0, 200, 0), (0, 0, 200)], [(90, 0, 90), (0, 90, 90)]]
    rows = [
        (f"row {i}", [np.full((8, 8, 3), c, np.uint8) for c in pair])
        for i, pair in enumerate(colours)
    ]
    side = 50
    sheet = contact_sheet(rows, ("left", "right"), side)
    middles = []
    for pair in colours:
        for colour in pair:
            where = np.argwhere((sheet == colour).all(axis=2))
            assert len(where) == side * side  # whole, and nowhere else
            middles.append(where.mean(0))
    rows_, columns = np.array(middles).reshape(3, 2, 2).transpose(2, 0, 1)
    assert (np.diff(rows_[:, 0]) > side).all() and (rows_[:, 0] == rows_[:, 1]).all()
    assert (columns[:, 1] - columns[:, 0] > side).all()
    head = sheet[: int(rows_[0, 0]) - side // 2]
    assert (head < 100).any()  # the titles and the first caption are written


def test_contact_sheet_without_rows_is_its_head():
    assert contact_sheet([], ("a", "b"), 50).shape[0] < 50


def test_a_caption_that_is_not_utf_8():
    def sheet(caption: str) -> np.ndarray:
        return contact_sheet([(caption, [GREY])], ["a"], 40)

    np.testing.assert_array_equal(sheet("a\udcff"), sheet(r"a\udcff"))
    assert not np.array_equal(sheet("a\udcff"), sheet("a"))
