"""Masks of humans in any format: found by name, of the right size."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from desra.io.annotations import find_human_masks, read_human_masks
from desra.io.coco import read_coco, write_coco
from desra.io.labelme import read_labelme, write_labelme
from desra.utils.errors import InputError
from helpers.drawn_masks import coco, labelme, png, shape, square, write_json

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
