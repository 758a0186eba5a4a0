"""Masks of humans: hand-drawn cases, round trips, and pycocotools where it is installed."""

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
from skimage.draw import polygon2mask

from desra.io.annotations import (
    RLE,
    find_human_masks,
    read_coco,
    read_human_masks,
    read_labelme,
    write_coco,
    write_labelme,
)
from desra.utils.errors import InputError


def blobs(seed: int, shape: tuple[int, int] = (37, 53)) -> np.ndarray:
    """A mask with several regions, holes, diagonal contacts, some of them at the border."""
    noise = np.random.default_rng(seed).normal(size=shape)
    return ndimage.gaussian_filter(noise, 1.2) > 0.15


def square(shape: tuple[int, int], rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[rows, columns] = True
    return mask


def write_json(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), "utf-8")
    return path


def labelme(*shapes: dict[str, Any], height: Any = 8, width: Any = 10) -> dict[str, Any]:
    return {"shapes": list(shapes), "imageHeight": height, "imageWidth": width}


def shape(kind: str | None, points: list[list[float]], **extra: Any) -> dict[str, Any]:
    return {"label": "x", "shape_type": kind, "points": points, **extra}


def png(pixels: np.ndarray, mode: str = "L") -> str:
    stream = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


def coco(segmentation: Any, height: int = 8, width: int = 10, **extra: Any) -> dict[str, Any]:
    return {
        "images": [{"id": 7, "file_name": "a/b.png", "height": height, "width": width}],
        "annotations": [{"id": 1, "image_id": 7, "segmentation": segmentation, **extra}],
    }


def compressed(counts: list[int]) -> str:
    """COCO's own encoder, restated: two's complement in groups of five bits, lowest first."""
    text = ""
    for i, count in enumerate(counts):
        x = count - counts[i - 2] if i > 2 else count
        while True:
            group, x = x & 31, x >> 5
            last = x == (-1 if group & 16 else 0)
            text += chr(48 + (group if last else group | 32))
            if last:
                break
    return text


# ------------------------------------------------------------------------------------------- runs


def test_runs_go_down_the_columns() -> None:
    mask = np.array([[0, 1, 0], [1, 1, 0]], bool)
    assert RLE.of(mask) == RLE((2, 3), (1, 3, 2))
    assert RLE.of(mask).area == 3
    assert RLE.of(~mask).counts == (0, 1, 3, 2)
    assert RLE.of(np.zeros((2, 2), bool)).counts == (4,)


@pytest.mark.parametrize(
    "mask", [blobs(0), ~blobs(1), np.ones((3, 4), bool), np.zeros((5, 1), bool), blobs(2).T]
)
def test_runs_lose_no_pixel(mask: np.ndarray) -> None:
    back = RLE.of(mask).mask()
    assert back.dtype == np.bool_
    np.testing.assert_array_equal(back, mask)


def test_runs_must_fill_the_size() -> None:
    for counts in ((1, 2), (5, -1)):
        with pytest.raises(ValueError, match="the runs cover"):
            RLE((2, 2), counts)


# ---------------------------------------------------------------------------------------- LabelMe


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


# ------------------------------------------------------------------------------------------- COCO


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


# ---------------------------------------------------------------------------------------- finding


SIZES = {"a": (8, 10), "sub/b": (8, 10), "c": (8, 10)}


@pytest.fixture(params=["labelme", "coco", "images"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Masks of two of the three images, in each of the three forms."""
    masks = {"a": square((8, 10), slice(2, 5), slice(3, 9)), "sub/b": np.zeros((8, 10), bool)}
    if request.param == "coco":
        write_coco(tmp_path / "masks.json", ((f"{s}.png", m) for s, m in masks.items()))
        return tmp_path / "masks.json"
    folder = tmp_path / "masks"
    for stem, mask in masks.items():
        if request.param == "labelme":
            write_labelme(folder / f"{stem}.json", mask, "anything.png")
        image = Image.fromarray(mask.astype(np.uint8) * 255)  # beside LabelMe files: passed over
        (folder / stem).parent.mkdir(parents=True, exist_ok=True)
        image.save(folder / f"{stem}.png")
    if request.param == "labelme":
        image.save(folder / "stranger.png")
    return folder


def test_human_masks_are_found_by_stem(source: Path) -> None:
    found = find_human_masks(str(source), SIZES)
    assert set(found) == {"a", "sub/b"}  # c is not overridden, "nothing in sub/b" is said
    np.testing.assert_array_equal(found["a"].mask(), square((8, 10), slice(2, 5), slice(3, 9)))
    assert found["sub/b"].area == 0


def test_masks_without_an_image_are_listed(source: Path) -> None:
    with pytest.raises(InputError, match=r"human: 1 of 2 masks in .* belong to no image: sub/b;"):
        find_human_masks(str(source), {"a": (8, 10), "b": (8, 10)}, "human")


def test_masks_of_another_size_are_refused(source: Path) -> None:
    with pytest.raises(InputError, match=r"mask of a in .* is \(8, 10\), but .* \(16, 20\)"):
        find_human_masks(str(source), {**SIZES, "a": (16, 20)})


@pytest.mark.parametrize("kind", ["labelme", "coco", "images"])
def test_sizes_are_compared_before_a_mask_is_decoded(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mask of 10^5 x 10^5 would take 10 GB, one of 16000 x 16000 some seconds."""
    for name in ("zeros", "full", "empty"):
        monkeypatch.setattr(np, name, lambda *_, **__: pytest.fail("a mask was made"))
    side = 16_000
    path = tmp_path / "masks"
    if kind == "labelme":
        write_json(path / "a.json", labelme(height=side, width=side))
    elif kind == "coco":
        path = write_json(path, coco({"size": [side, side], "counts": [side**2]}, side, side))
    else:
        header = bytearray(base64.b64decode(png(np.ones((1, 1), np.uint8))))
        header[16:24] = side.to_bytes(4, "big") * 2
        header[29:33] = zlib.crc32(header[12:29]).to_bytes(4, "big")
        path.mkdir()
        (path / "a.png").write_bytes(header)
    stem = "a/b" if kind == "coco" else "a"
    with pytest.raises(InputError, match=rf"mask of {stem} in .* is \({side}, {side}\), but"):
        find_human_masks(path, {stem: (8, 10)})


def test_a_mask_of_any_size_has_a_limit(tmp_path: Path) -> None:
    path = write_json(tmp_path / "a.json", labelme(height=10**5, width=10**5))
    with pytest.raises(InputError, match=r"are \(100000, 100000\), more than 1073741824 pixels"):
        read_labelme(path)
    path = write_json(tmp_path / "c.json", coco([], 10**5, 10**5))
    with pytest.raises(InputError, match="more than 1073741824 pixels"):
        read_coco(path)


@pytest.mark.parametrize(
    "name",
    [
        "images/23082be9-b.png",
        "images\\23082be9-b.png",
        "..\\..\\label-studio\\media\\upload\\4\\cb0618f6-b.png",
        "sub\\b.png",
    ],
)
def test_names_of_label_studio_and_windows(tmp_path: Path, name: str) -> None:
    content = coco({"size": [8, 10], "counts": [0, 80]})
    content["images"][0]["file_name"] = name
    path = write_json(tmp_path / "coco.json", content)
    assert find_human_masks(path, SIZES)["sub/b"].area == 80
    with pytest.raises(InputError, match="belong to no image"):  # which of the two?
        find_human_masks(path, {"x/b": (8, 10), "y/b": (8, 10)})


def test_uploads_of_label_studio_as_images(tmp_path: Path) -> None:
    Image.new("RGB", (10, 8), "red").save(tmp_path / "23082be9-a.png")
    assert find_human_masks(tmp_path, SIZES)["a"].area == 80
    Image.new("L", (10, 8), 0).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="are masks of one image, a; remove one"):
        find_human_masks(tmp_path, SIZES)


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    content = labelme(shape("rectangle", [[2, 1], [6, 4]]))
    (tmp_path / "a.json").write_text(json.dumps(content), "utf-8-sig")
    assert read_labelme(tmp_path / "a.json").sum() == 20
    runs = coco({"size": [8, 10], "counts": [0, 80]})
    (tmp_path / "coco.json").write_text(json.dumps(runs), "utf-8-sig")
    assert read_coco(tmp_path / "coco.json")["a/b"].area == 80


def test_hidden_json_files_are_passed_over(tmp_path: Path) -> None:
    write_json(tmp_path / "a.JSON", labelme())
    write_json(tmp_path / ".ipynb_checkpoints/a-checkpoint.json", labelme())
    write_json(tmp_path / ".vscode/settings.json", {})
    (tmp_path / "._a.json").write_bytes(b"\0\5\x16\7")
    assert find_human_masks(tmp_path, SIZES).keys() == {"a"}


def test_deep_json(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[" * 100_000 + "]" * 100_000)
    with pytest.raises(InputError, match="nested too deeply|is not JSON"):
        read_labelme(tmp_path / "a.json")


def test_no_source(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"masks: .*nowhere does not exist"):
        find_human_masks(tmp_path / "nowhere", SIZES)


def test_a_mask_image_of_zeros_and_ones_is_not_taken_for_empty(tmp_path: Path) -> None:
    Image.fromarray(np.eye(8, 10, dtype=np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="must hold 0 and 255"):
        find_human_masks(tmp_path, SIZES)


# -------------------------------------------------------------------------------------- polygons


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


# ------------------------------------------------------------------------ black on a white page


def drawn(folder: Path, **masks: np.ndarray) -> Path:
    folder.mkdir(exist_ok=True)
    for stem, pixels in masks.items():
        Image.fromarray(pixels).save(folder / f"{stem}.png")
    return folder


PAINTED = square((8, 10), slice(2, 5), slice(3, 9))
WHITE_ON_BLACK = PAINTED.astype(np.uint8) * 255
BLACK_ON_WHITE = 255 - WHITE_ON_BLACK


@pytest.mark.parametrize(
    "page",
    [
        BLACK_ON_WHITE,
        BLACK_ON_WHITE > 0,
        np.dstack([BLACK_ON_WHITE] * 3),
        np.dstack([BLACK_ON_WHITE] * 3 + [np.full_like(BLACK_ON_WHITE, 255)]),
        np.maximum(BLACK_ON_WHITE, 60),
        np.full_like(BLACK_ON_WHITE, 255),  # nothing painted, or all of it
    ],
)
@pytest.mark.parametrize("key", ["masks", "masks.truth"])
def test_black_paint_on_white_pages_is_refused(tmp_path: Path, page: np.ndarray, key: str) -> None:
    source = drawn(tmp_path / "masks", a=page)
    with pytest.raises(InputError, match=rf"{key}: 1 of 1 masks .*a\.png; .* invert them"):
        read_human_masks(source, key)
    drawn(source, b=page, c=WHITE_ON_BLACK)
    with pytest.raises(InputError, match="2 of 3 masks .*a.png, .*b.png; white is artifact"):
        read_human_masks(source, key, {"a": (8, 10), "b": (8, 10), "c": (8, 10)})


def test_large_masks_are_taken_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What most masks of a folder mean, a large one means too; a colour tells by itself."""
    nothing, inside = np.zeros_like(WHITE_ON_BLACK), np.zeros_like(WHITE_ON_BLACK)
    inside[1:-1, 1:-1] = 255  # of most pixels, but not at the border
    red = np.dstack([BLACK_ON_WHITE, nothing, nothing])
    layer = np.dstack([nothing, nothing, nothing, BLACK_ON_WHITE])
    for number, masks in enumerate(
        ({"a": BLACK_ON_WHITE, "b": WHITE_ON_BLACK}, {"a": red}, {"a": layer})
    ):
        caplog.clear()
        found = read_human_masks(drawn(tmp_path / str(number), **masks))
        np.testing.assert_array_equal(found["a"].mask(), ~PAINTED)
        (line,) = caplog.messages
        assert f"in 1 of {len(masks)} masks: a (78%)" in line
    assert read_human_masks(drawn(tmp_path / "inside", a=inside))["a"].area == 48
    caplog.clear()
    assert read_human_masks(drawn(tmp_path / "small", a=WHITE_ON_BLACK, b=nothing))["b"].area == 0
    assert not caplog.messages


@pytest.mark.parametrize("kind", ["labelme", "coco"])
def test_large_masks_of_json_files_are_told(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Outlines say what is inside them, so nothing is refused."""
    path = tmp_path / "masks"
    if kind == "labelme":
        write_labelme(path / "a.json", ~PAINTED, "a.png")
    else:
        write_coco(path, [("a.png", ~PAINTED)])
    assert read_human_masks(path)["a"].area == 62
    assert "marked as artifact in 1 of 1 masks: a (78%)" in caplog.text
