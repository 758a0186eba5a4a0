"""LabelMe files: hand-drawn cases and round trips."""

from __future__ import annotations

import base64
import io
import json
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from desra.io.coco import read_coco
from desra.io.labelme import read_labelme, write_labelme
from desra.utils.errors import InputError
from helpers.drawn_masks import blobs, labelme, png, shape, square, write_json


@pytest.mark.parametrize("mask", [blobs(0), ~blobs(3), np.zeros((4, 6), bool), blobs(2, (300, 7))])
def test_labelme_loses_no_pixel(tmp_path: Path, mask: np.ndarray) -> None:
    path = tmp_path / "labelme" / "sub" / "ä.json"
    write_labelme(path, mask, tmp_path / "sr_gan" / "sub" / "ä.png", label="halo")
    np.testing.assert_array_equal(read_labelme(path), mask)
    content = json.loads(path.read_text("utf-8"))
    assert len(content["shapes"]) == ndimage.label(mask, np.ones((3, 3)))[1]
    assert {s["label"] for s in content["shapes"]} <= {"halo"}
    assert content["imagePath"] == "../../sr_gan/sub/ä.png"
    assert content["imageData"] is None


def test_labelme_mask_shape_is_laid_out_as_labelme_reads_it(tmp_path: Path) -> None:
    write_labelme(tmp_path / "a.json", square((8, 10), slice(2, 5), slice(3, 9)), "a.png")
    content = json.loads((tmp_path / "a.json").read_text("utf-8"))
    (only,) = content["shapes"]
    assert only["shape_type"] == "mask"
    assert only["points"] == [[3, 2], [8, 4]]  # both corners belong to the shape
    patch = np.asarray(Image.open(io.BytesIO(base64.b64decode(only["mask"]))))
    np.testing.assert_array_equal(patch, np.ones((3, 6)))


@pytest.mark.parametrize(
    ("drawn", "rows", "columns"),
    [
        (shape("rectangle", [[2, 1], [5, 3]]), slice(1, 4), slice(2, 6)),
        (shape("rectangle", [[5, 3], [2, 1]]), slice(1, 4), slice(2, 6)),
        (shape("polygon", [[2, 1], [5, 1], [5, 3], [2, 3]]), slice(1, 4), slice(2, 6)),
        (shape(None, [[2, 1], [5, 1], [5, 3], [2, 3]]), slice(1, 4), slice(2, 6)),
        (shape("polygon", [[-4, -4], [3, -4], [3, 2], [-4, 2]]), slice(0, 3), slice(0, 4)),
    ],
)
def test_labelme_outlines_belong_to_the_shape(
    tmp_path: Path, drawn: dict[str, Any], rows: slice, columns: slice
) -> None:
    path = write_json(tmp_path / "a.json", labelme(drawn))
    np.testing.assert_array_equal(read_labelme(path), square((8, 10), rows, columns))


def test_labelme_circle_is_centre_and_rim(tmp_path: Path) -> None:
    path = write_json(
        tmp_path / "a.json", labelme(shape("circle", [[20, 15], [23, 19]]), height=40, width=50)
    )
    y, x = np.mgrid[:40, :50]
    distance = np.hypot(x - 20, y - 15)
    mask = read_labelme(path)
    assert mask[distance < 4.5].all() and not mask[distance > 5.7].any()


@pytest.mark.parametrize("kind", ["rectangle", "rotation"])
def test_rectangles_of_x_anylabeling(tmp_path: Path, kind: str) -> None:
    corners = [[2.0, 1.0], [6.0, 1.0], [6.0, 4.0], [2.0, 4.0]]
    drawn = shape(kind, corners, direction=0.0)
    path = write_json(tmp_path / "a.json", labelme(drawn))
    np.testing.assert_array_equal(read_labelme(path), square((8, 10), slice(1, 5), slice(2, 7)))
    turned = [[4.0, 1.0], [7.0, 4.0], [4.0, 7.0], [1.0, 4.0]]
    of_polygon = read_labelme(write_json(path, labelme(shape("polygon", turned))))
    of_kind = read_labelme(write_json(path, labelme(shape(kind, turned))))
    np.testing.assert_array_equal(of_kind, of_polygon)


def test_labelme_shapes_are_united(tmp_path: Path) -> None:
    first, second = (
        shape("rectangle", [[0, 0], [3, 3]]),
        shape("mask", [[2, 2], [4, 4]], mask=png(np.eye(3, dtype=np.uint8))),
    )
    expected = square((8, 10), slice(0, 4), slice(0, 4))
    expected[4, 4] = True
    path = write_json(tmp_path / "a.json", labelme(first, second))
    np.testing.assert_array_equal(read_labelme(path), expected)


@pytest.mark.parametrize("mode", ["L", "1", "P"])
@pytest.mark.parametrize("corner", [(-1, -2), (8, 6), (3, 2), (-9, 0), (30, 30)])
def test_labelme_masks_may_lie_across_the_border(
    tmp_path: Path, corner: tuple[int, int], mode: str
) -> None:
    x, y = corner
    ones = np.full((4, 5), 255, np.uint8)
    drawn = shape("mask", [[x + 0.2, y - 0.2], [x + 4, y + 3]], mask=png(ones, mode))
    expected = np.zeros((8, 10), bool)
    for row in range(max(y, 0), min(y + 4, 8)):
        for column in range(max(x, 0), min(x + 5, 10)):
            expected[row, column] = True
    path = write_json(tmp_path / "a.json", labelme(drawn))
    np.testing.assert_array_equal(read_labelme(path), expected)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([], "no LabelMe file"),
        ({"images": [], "annotations": []}, "no LabelMe file: it has no list 'shapes'"),
        ({"shapes": [], "imageHeight": 5}, "'imageWidth' is missing"),
        (labelme(height=0), "must be whole numbers above 0"),
        (labelme(shape("point", [[1, 1]])), "shape 1: a shape of type 'point' marks no area"),
        (labelme(shape("circle", [[1, 1]])), "a circle of 1 points, not 2"),
        (labelme(shape("polygon", [[1, 1], [2, 2]])), "a polygon of 2 points, not 3"),
        (labelme(shape("polygon", [[1, 1, 1]])), "points must be a list"),
        (labelme(shape("polygon", [[1, float("nan")]] * 3)), "points must be a list"),
        (labelme(shape("polygon", [["1", "1"]] * 3)), "points must be a list"),
        (labelme(shape("circle", [[1, 1], [1e9, 1]])), "points must be a list"),
        (
            labelme(shape("polygon", [[11, 1], [15, 1], [15, 5]])),
            "lies outside the image of 10 x 8",
        ),
        (labelme(shape("circle", [[-9, 4], [-7, 4]])), "a circle from [-11.0, 2.0] to [-7.0, 6.0]"),
        (labelme({"label": "x"}), "'points' is missing"),
        (labelme("text"), "shape 1"),
        (labelme(shape("mask", [[0, 0], [1, 1]])), "'mask' is missing"),
        (labelme(shape("mask", [[0, 0], [1, 1]], mask="AAAA")), "no PNG in base64"),
        (labelme(shape("mask", [[0, 0], [1, 1]], mask="A")), "no PNG in base64"),
        (
            labelme(shape("mask", [[0, 0], [1, 1]], mask=png(np.ones((2, 2), np.uint8), "RGB"))),
            "no gray PNG",
        ),
    ],
)
def test_labelme_errors_name_the_file(tmp_path: Path, content: Any, words: str) -> None:
    path = write_json(tmp_path / "a.json", content)
    with pytest.raises(InputError) as error:
        read_labelme(path)
    assert words in str(error.value) and str(path) in str(error.value)


def test_a_labelme_mask_is_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an EPS, Pillow would run the PostScript."""
    calls: list[Any] = []
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", lambda *args, **_: calls.append(args))
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\n(x) (w) file\n%%EOF\n"
    assert Image.open(io.BytesIO(eps)).format == "EPS"  # a real one, which Pillow takes
    text = base64.b64encode(eps).decode()
    path = write_json(tmp_path / "a.json", labelme(shape("mask", [[0, 0], [3, 3]], mask=text)))
    with pytest.raises(InputError, match="shape 1: its mask is no PNG in base64"):
        read_labelme(path)
    assert not calls


@pytest.mark.parametrize("kind", ["TIFF", "BMP", "GIF", "JPEG", "PPM"])
def test_a_labelme_mask_is_a_png_alone(tmp_path: Path, kind: str) -> None:
    stream = io.BytesIO()
    Image.new("L", (4, 4), 255).save(stream, kind)
    text = base64.b64encode(stream.getvalue()).decode()
    path = write_json(tmp_path / "a.json", labelme(shape("mask", [[0, 0], [3, 3]], mask=text)))
    with pytest.raises(InputError, match="its mask is no PNG in base64"):
        read_labelme(path)


@pytest.mark.parametrize("side", [11, 20_000])
def test_a_labelme_mask_larger_than_its_image_is_not_decoded(tmp_path: Path, side: int) -> None:
    text = png(np.zeros((1, side), np.uint8))
    if side > 11:  # a bomb: the header claims more than Pillow's own limit
        data = bytearray(base64.b64decode(text))
        data[16:24] = side.to_bytes(4, "big") * 2
        data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
        text = base64.b64encode(data).decode()
    path = write_json(tmp_path / "a.json", labelme(shape("mask", [[0, 0], [3, 3]], mask=text)))
    with pytest.raises(InputError, match=f"its mask of {side} x .* is larger than the image"):
        read_labelme(path)


def test_what_is_no_json(tmp_path: Path) -> None:
    for name, content in (("a.json", b"{"), ("b.json", b"\xff\xfe\x00")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=f"{name} is not JSON"):
            read_labelme(tmp_path / name)
    with pytest.raises(InputError, match="cannot be read"):
        read_coco(tmp_path)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("holes", [False, True])
def test_labelme_polygons_follow_the_mask_to_a_pixel(
    tmp_path: Path, seed: int, holes: bool
) -> None:
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(200, 260)), 6)
    mask = noise > 0.4 * noise.std()
    if holes:  # what is left are rings of five pixels
        mask[ndimage.binary_erosion(mask, iterations=5)] = False
    path = tmp_path / "a.json"
    write_labelme(path, mask, "a.png", label="halo", polygons=True)
    found = read_labelme(path)
    shared = (found & mask).sum() / (found | mask).sum()
    assert shared > (0.93 if holes else 0.965)
    from_outline = ndimage.distance_transform_edt(mask) + ndimage.distance_transform_edt(~mask)
    assert from_outline[found ^ mask].max() <= (3 if holes else 1)
    shapes = json.loads(path.read_text())["shapes"]
    assert {(s["shape_type"], s["label"], "mask" in s) for s in shapes} == {
        ("polygon", "halo", False)
    }
    by_opencv = np.zeros(mask.shape, np.uint8)
    for drawn_shape in shapes:
        cv2.fillPoly(by_opencv, [np.array(drawn_shape["points"], np.int32)], 1)
    assert ((by_opencv > 0) ^ found).sum() < 0.04 * mask.sum()
