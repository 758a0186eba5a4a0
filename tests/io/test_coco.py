"""COCO files: hand-drawn cases, round trips, and pycocotools where it is installed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage
from skimage.draw import polygon2mask

from desra.io.coco import read_coco, write_coco
from desra.io.rle import RLE
from desra.utils.errors import InputError
from helpers.drawn_masks import blobs, coco, compressed, square, write_json


def test_coco_loses_no_pixel(tmp_path: Path) -> None:
    masks = {"a": blobs(0), "sub/b.c": ~blobs(1), "none": np.zeros((4, 6), bool)}
    path = tmp_path / "out" / "coco.json"
    write_coco(path, ((f"{stem}.png", mask) for stem, mask in masks.items()))
    found = read_coco(path)
    assert list(found) == list(masks)
    for stem, mask in masks.items():
        np.testing.assert_array_equal(found[stem].mask(), mask)


def test_coco_annotations_are_regions(tmp_path: Path) -> None:
    mask = square((8, 10), slice(2, 5), slice(3, 9))
    mask[0, 0] = mask[1, 1] = True  # one region, by a corner
    write_coco(tmp_path / "a.json", [("x.png", mask)], label="halo")
    content = json.loads((tmp_path / "a.json").read_text("utf-8"))
    small, large = content["annotations"]
    assert (small["area"], small["bbox"]) == (2, [0, 0, 2, 2])
    assert (large["area"], large["bbox"]) == (18, [3, 2, 6, 3])
    assert large["segmentation"] == {
        "size": [8, 10],
        "counts": [26, 3, 5, 3, 5, 3, 5, 3, 5, 3, 5, 3, 11],
    }
    assert [a["id"] for a in content["annotations"]] == [1, 2]
    assert {(a["image_id"], a["category_id"], a["iscrowd"]) for a in (small, large)} == {(1, 1, 1)}
    assert content["categories"][0]["name"] == "halo"
    assert content["images"] == [{"id": 1, "file_name": "x.png", "height": 8, "width": 10}]


@pytest.mark.parametrize(
    ("segmentation", "extra"),
    [
        ({"size": [8, 10], "counts": [26, 3, 5, 3, 5, 3, 5, 3, 5, 3, 5, 3, 11]}, {}),
        ({"size": [8, 10], "counts": "j0350000000006"}, {}),  # 26, 3, 5, then differences
        ([[3, 2, 9, 2, 9, 5, 3, 5]], {}),
        ([[3, 2, 6, 2, 6, 5, 3, 5], [6, 2, 9, 2, 9, 5, 6, 5]], {}),
        ([], {"bbox": [3, 2, 6, 3]}),
    ],
)
def test_coco_segmentations(tmp_path: Path, segmentation: Any, extra: dict[str, Any]) -> None:
    path = write_json(tmp_path / "coco.json", coco(segmentation, **extra))
    expected = square((8, 10), slice(2, 5), slice(3, 9))
    assert list(read_coco(path)) == ["a/b"]
    np.testing.assert_array_equal(read_coco(path)["a/b"].mask(), expected)


def test_coco_polygon_takes_the_pixels_whose_centres_are_inside(tmp_path: Path) -> None:
    triangle = [1.2, 0.9, 30.3, 7.1, 11.7, 24.8]
    path = write_json(tmp_path / "coco.json", coco([triangle], 28, 34))
    corners = np.reshape(triangle, (3, 2))
    expected = np.zeros((28, 34), bool)
    for row in range(28):
        for column in range(34):
            centre = np.array([column + 0.5, row + 0.5])
            edges, to_centre = np.roll(corners, -1, axis=0) - corners, centre - corners
            cross = edges[:, 0] * to_centre[:, 1] - edges[:, 1] * to_centre[:, 0]
            expected[row, column] = (cross > 0).all()
    np.testing.assert_array_equal(read_coco(path)["a/b"].mask(), expected)


@pytest.mark.parametrize("seed", range(3))
def test_compressed_runs(tmp_path: Path, seed: int) -> None:
    mask = np.kron(blobs(seed), np.ones((9, 7), bool))  # runs of one, two and three groups
    mask[:, :30] = False
    segmentation = {"size": mask.shape, "counts": compressed(list(RLE.of(mask).counts))}
    path = write_json(tmp_path / "coco.json", coco(segmentation, *mask.shape))
    np.testing.assert_array_equal(read_coco(path)["a/b"].mask(), mask)


def test_pycocotools_agrees(tmp_path: Path) -> None:
    from_coco = pytest.importorskip("pycocotools.mask")
    mask = np.kron(blobs(5), np.ones((9, 7), bool))
    theirs = from_coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    theirs["counts"] = theirs["counts"].decode()
    assert theirs["counts"] == compressed(list(RLE.of(mask).counts))
    path = write_json(tmp_path / "coco.json", coco(theirs, *mask.shape))
    np.testing.assert_array_equal(read_coco(path)["a/b"].mask(), mask)

    write_coco(tmp_path / "ours.json", [("a.png", mask)])
    union = np.zeros_like(mask)
    for annotation in json.loads((tmp_path / "ours.json").read_text())["annotations"]:
        runs = from_coco.frPyObjects(annotation["segmentation"], *mask.shape)
        assert from_coco.area(runs) == annotation["area"]
        assert from_coco.toBbox(runs).tolist() == annotation["bbox"]
        union |= from_coco.decode(runs).astype(bool)
    np.testing.assert_array_equal(union, mask)

    polygon = [3.3, 4.1, 140.2, 20.6, 150.9, 90.4, 60.7, 70.2, 12.8, 88.8]
    path = write_json(tmp_path / "coco.json", coco([polygon], 100, 160))
    runs = from_coco.merge(from_coco.frPyObjects([polygon], 100, 160))
    ours = read_coco(path)["a/b"].mask()
    differ = ours ^ from_coco.decode(runs).astype(bool)
    edge = ours ^ ndimage.binary_erosion(ours) | ndimage.binary_dilation(ours) ^ ours
    assert not differ[~edge].any() and differ.sum() < 0.01 * ours.sum()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"shapes": []}, "no COCO file: it has no list 'images'"),
        ({"images": []}, "no list 'annotations'"),
        (coco({"size": [8, 9], "counts": [72]}), "a mask of size [8, 9] on an image of [8, 10]"),
        (coco({"size": [8, 10], "counts": [70]}), "the runs cover 70 pixels"),
        (coco({"size": [8, 10], "counts": ["x"]}), "annotation 1 of a/b.png"),
        (coco({"size": [8, 10], "counts": "~"}), "the character '~'"),
        (coco({"size": [8, 10], "counts": "`"}), "cut off"),
        (coco({"size": [8, 10]}), "'counts' is missing"),
        (coco([[1, 1, 2, 2]]), "at least three pairs"),
        (coco([[1, 1, 2, 2, 3]]), "annotation 1 of a/b.png"),
        (coco(None), "'bbox' is missing"),
        (coco(None, bbox=["1", "2", "3", "4"]), "bbox must be a list of four numbers"),
        (coco(None, bbox=[1, 2, 3]), "bbox must be a list of four numbers"),
        (coco(None, bbox=[1, 2, 0, 4]), "width and height above 0"),
        (coco([["1", "1", "5", "1", "5", "5"]]), "at least three pairs"),
        (coco([[11, 1, 15, 1, 15, 5]]), "lies outside the image of 10 x 8 pixels"),
        (coco([[1, -9, 5, -9, 5, -1]]), "lies outside the image"),
        ({**coco([]), "images": []}, "no image has the id 7"),
        ({**coco([]), "images": [3]}, "its annotations|an annotation"),
        ({"images": [{"id": 1, "file_name": "a.png"}], "annotations": []}, "'height' is missing"),
        (
            {
                "images": [
                    {"id": i, "file_name": name, "height": 1, "width": 1}
                    for i, name in enumerate(("a.png", "a.jpg"))
                ],
                "annotations": [],
            },
            "image 1 (a.jpg): another image has the same name",
        ),
    ],
)
def test_coco_errors_name_the_file(tmp_path: Path, content: Any, words: str) -> None:
    path = write_json(tmp_path / "coco.json", content)
    with pytest.raises(InputError) as error:
        read_coco(path)
    assert any(w in str(error.value) for w in words.split("|")) and str(path) in str(error.value)


@pytest.mark.parametrize(
    "mask", [blobs(0), ~blobs(3), np.zeros((4, 6), bool), np.ones((4, 6), bool)]
)
def test_coco_polygons_lose_no_pixel(tmp_path: Path, mask: np.ndarray) -> None:
    """Holes included; each annotation is one polygon, which is all that some converters read."""
    path = tmp_path / "coco.json"
    write_coco(path, [("sub/a.png", mask)], label="halo", polygons=True)
    np.testing.assert_array_equal(read_coco(path)["sub/a"].mask(), mask)
    union = np.zeros_like(mask)
    content = json.loads(path.read_text())
    for number, annotation in enumerate(content["annotations"], 1):
        (points,) = annotation["segmentation"]
        x, y = points[::2], points[1::2]
        part = polygon2mask(mask.shape, np.stack([y, x], axis=1) - 0.5)
        assert annotation["area"] == part.sum() and annotation["iscrowd"] == 0
        assert annotation["bbox"] == [min(x), min(y), max(x) - min(x), max(y) - min(y)]
        assert annotation["id"] == number and annotation["category_id"] == 1
        assert not (union & part).any()
        union |= part
    np.testing.assert_array_equal(union, mask)


def test_pycocotools_reads_the_polygons(tmp_path: Path) -> None:
    from_coco = pytest.importorskip("pycocotools.mask")
    mask = np.kron(blobs(5), np.ones((9, 7), bool))
    write_coco(tmp_path / "ours.json", [("a.png", mask)], polygons=True)
    union = np.zeros_like(mask)
    for annotation in json.loads((tmp_path / "ours.json").read_text())["annotations"]:
        runs = from_coco.merge(from_coco.frPyObjects(annotation["segmentation"], *mask.shape))
        union |= from_coco.decode(runs).astype(bool)
    np.testing.assert_array_equal(union, mask)
