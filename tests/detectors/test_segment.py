"""Class ids and class weights: label maps of every kind, a SegFormer, matching by name."""

from __future__ import annotations

import logging
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
import yaml
from PIL import Image

from desra.artifacts import ADE20K_INTERVALS, apply_class_weights
from desra.detectors.segment import (
    LabelFolder,
    SegFormer,
    enlarged_argmax,
    make_segmenter,
    network_size,
    read_names,
    segment_weights,
)
from desra.io.images import read_labels
from desra.options.loading import parse
from desra.options.sections import SegmentOptions
from desra.utils.errors import InputError

H, W = 6, 10
RNG = np.random.default_rng(0)


def ids_below(count: int) -> np.ndarray:
    return RNG.integers(0, count, (H, W), dtype=np.uint16)


def save_ids(path: Path, ids: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), ids)


def raw_png(ids: np.ndarray, depth: int, colour_type: int) -> bytes:
    """A PNG with ``depth`` bits a pixel, written by hand: no library of ours writes these."""
    bits = ((ids[..., None] >> np.arange(depth)[::-1]) & 1).reshape(len(ids), -1)
    rows = b"".join(b"\0" + bytes(row) for row in np.packbits(bits.astype(np.uint8), axis=1))

    def chunk(kind: bytes, content: bytes) -> bytes:
        crc = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", ids.shape[1], ids.shape[0], depth, colour_type, 0, 0, 0)
    palette = bytes(RNG.integers(0, 256, 3 * 2**depth, dtype=np.uint8)) if colour_type == 3 else b""
    chunks = chunk(b"IHDR", header) + (chunk(b"PLTE", palette) if palette else b"")
    return b"\x89PNG\r\n\x1a\n" + chunks + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_none_is_none():
    assert make_segmenter(SegmentOptions()) is None


# ------------------------------------------------------------------------------------- label maps


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
@pytest.mark.parametrize("colour_type", [0, 3], ids=["gray", "palette"])
def test_ids_are_read_as_stored(tmp_path: Path, depth: int, colour_type: int):
    ids = ids_below(2**depth)
    (tmp_path / "a.png").write_bytes(raw_png(ids, depth, colour_type))
    np.testing.assert_array_equal(read_labels(tmp_path / "a.png"), ids)


def test_sixteen_bit_ids(tmp_path: Path):
    ids = ids_below(65536)
    save_ids(tmp_path / "a.png", ids)
    read = read_labels(tmp_path / "a.png")
    assert read.dtype == np.int32
    np.testing.assert_array_equal(read, ids)


def test_ids_are_turned_like_the_image(tmp_path: Path):
    ids = ids_below(200).astype(np.uint8)
    exif = Image.Exif()
    exif[274] = 6  # stored lying on its left side
    Image.fromarray(ids).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_labels(tmp_path / "a.png"), np.rot90(ids, -1))


@pytest.mark.parametrize(
    ("name", "mode", "reason"),
    [
        ("a.png", "RGB", "is colour or with alpha"),
        ("a.png", "LA", "is colour or with alpha"),
        ("a.jpg", "L", "is JPEG"),
        ("a.tif", "L", "is TIFF"),
    ],
)
def test_what_holds_no_ids_is_refused(tmp_path: Path, name: str, mode: str, reason: str):
    Image.new(mode, (W, H)).save(tmp_path / name)
    with pytest.raises(InputError, match=f"{reason}; class ids must be a gray or palette PNG"):
        read_labels(tmp_path / name)


def test_labels_are_found_by_stem(tmp_path: Path):
    first, second = ids_below(3), ids_below(3)
    save_ids(tmp_path / "labels/a.png", first.astype(np.uint8))
    save_ids(tmp_path / "labels/sub/a.png", second)
    (tmp_path / "names.txt").write_text("sky\nTree\n a b \n\n", "utf-8")
    segmenter = make_segmenter(
        SegmentOptions(
            type="labels", labels=str(tmp_path / "labels"), names=str(tmp_path / "names.txt")
        )
    )
    assert segmenter is not None
    assert segmenter.names == ["sky", "Tree", "a b"]
    image = np.zeros((H, W, 3), np.uint8)
    np.testing.assert_array_equal(segmenter(image, "a"), first)
    np.testing.assert_array_equal(segmenter(image, "sub/a"), second)

    known = segmenter.fingerprint("a")
    assert segmenter.fingerprint("sub/a") != known
    save_ids(tmp_path / "labels/a.png", (first + 1).astype(np.uint8) % 3)
    assert segmenter.fingerprint("a") != known


def test_faulty_label_folders(tmp_path: Path):
    save_ids(tmp_path / "a.png", np.full((H, W), 2, np.uint8))
    folder = LabelFolder(str(tmp_path), ["x", "y"])
    with pytest.raises(InputError, match=r"segment\.labels: .* holds no label map sub/b\.png"):
        folder.check("sub/b", (H, W))
    with pytest.raises(InputError, match=r"a\.png is 6x10 .* but the SR image a is 10x6"):
        folder.check("a", (W, H))
    with pytest.raises(InputError, match="label maps are in the size of the SR images"):
        folder(np.zeros((H + 1, W, 3), np.uint8), "a")
    folder.check("a", (H, W))
    with pytest.raises(InputError, match=r"a\.png has the class id 2, but .* has 2 names"):
        folder(np.zeros((H, W, 3), np.uint8), "a")
    with pytest.raises(InputError, match="must differ and not be empty; given more than once: x"):
        LabelFolder(str(tmp_path), ["x", "y", "x"])
    with pytest.raises(InputError, match=r"must differ and not be empty$"):
        LabelFolder(str(tmp_path), ["x", ""])
    (tmp_path / "blank.txt").write_text("\n \n")
    with pytest.raises(InputError, match=r"segment\.names: there is no name of a class"):
        LabelFolder(str(tmp_path), read_names(str(tmp_path / "blank.txt")))
    with pytest.raises(InputError, match=r"segment\.names: .*none\.txt cannot be read"):
        read_names(str(tmp_path / "none.txt"))


def test_no_class_weighs_one(tmp_path: Path):
    ids = np.array([[0, 1], [255, 0]], np.uint8)
    save_ids(tmp_path / "a.png", ids)
    save_ids(tmp_path / "b.png", np.where(ids == 255, 65535, ids).astype(np.uint16))
    folder = LabelFolder(str(tmp_path), ["x", "y"])
    for stem in ("a", "b"):
        labels = folder(np.zeros((2, 2, 3), np.uint8), stem)
        weighted = apply_class_weights(np.full((2, 2), 0.2), labels, np.array([2.0, 3.0]))
        np.testing.assert_allclose(weighted, [[0.4, 0.6], [0.2, 0.4]])


# ----------------------------------------------------------------------------- names and weights


def test_names_match_whatever_their_case_and_variants(caplog: pytest.LogCaptureFixture):
    names = ["wall", "bed ", "Door;double door", "CRT screen", "screen door, screen", "sea, ocean"]
    weights = segment_weights(SegmentOptions(), names)
    intervals = [
        ADE20K_INTERVALS[n] for n in ("wall", "bed", "door", "crt screen", "screen door", "sea")
    ]
    np.testing.assert_array_equal(weights, [20 / (20 - i) for i in intervals])
    assert intervals[-1] == 7
    assert not caplog.records


def test_classes_without_a_weight_are_said_once(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING, "desra"):
        weights = segment_weights(SegmentOptions(), ["unicorn", "tree", "dragon; wyvern"])
    np.testing.assert_array_equal(weights, [1.0, 20 / 15, 1.0])
    assert [r.getMessage() for r in caplog.records] == [
        "2 of 3 classes are not in the table of class weights and weigh 1: unicorn, dragon; wyvern"
    ]


def with_table(path: Path) -> SegmentOptions:
    return SegmentOptions(type="segformer", table=str(path))


def test_a_table_of_ones_own(tmp_path: Path):
    path = tmp_path / "table.json"
    path.write_text('{"intervals": 10, "classes": {"door": 2, "door;glass": 5, "sea, wide": 9}}')
    weights = segment_weights(with_table(path), ["Door; glass ", "door;glass", "sea", "door"])
    np.testing.assert_array_equal(weights, [10 / 8, 10 / 5, 10 / 1, 10 / 8])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"intervals": 5, "classes": {"a": 5}}, "an interval is at most 4: a"),
        ({"classes": {"a": -1}}, "greater than or equal to 0"),
        ({"classes": {"a": "high"}}, "classes.a: "),
        ({"wall": 1}, "wall: unknown key"),
    ],
)
def test_faulty_tables(tmp_path: Path, content: dict[str, Any], reason: str):
    path = tmp_path / "table.yml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(InputError, match=rf"segment\.table: .*table\.yml: (.|\n)*{reason}"):
        segment_weights(with_table(path), ["a"])


@pytest.mark.parametrize(
    ("section", "reason"),
    [
        ({"type": "labels", "names": ["a"]}, "type: labels needs labels"),
        ({"type": "labels", "labels": "a"}, "type: labels needs labels"),
        ({"labels": "a"}, "labels and names are for type: labels, not none"),
        ({"type": "segformer", "names": ["a"]}, "are for type: labels, not segformer"),
        ({"table": "t.yml"}, "table needs classes"),
        ({"type": "segfomer"}, "segfomer"),
        ({"lables": "a"}, "did you mean 'labels'"),
    ],
)
def test_faulty_sections(section: dict[str, Any], reason: str):
    with pytest.raises(InputError, match=reason):
        parse(SegmentOptions, section, "file.yml")


# -------------------------------------------------------------------------------------- segformer


def test_the_released_test_size():
    assert network_size(640, 640) == (640, 640)
    assert network_size(1200, 1700) == (640, 907)  # 640 / 1200 * 1700 = 906.67
    assert network_size(320, 100) == (2048, 640)
    assert network_size(4000, 1000) == (2048, 512)  # the longer side decides
    assert network_size(10, 4000) == (32, 2048)


def test_argmax_by_parts_is_the_argmax_of_all():
    logits = torch.randn(21, 5, 7, generator=torch.Generator().manual_seed(0))
    sizes = ((20, 28), (33, 46))
    whole = logits[None]
    for size in sizes:
        whole = F.interpolate(whole, size, mode="bilinear", align_corners=False)
    assert torch.equal(enlarged_argmax(logits, sizes), whole[0].argmax(0))


NAMES = ["tree", "bed ", "unicorn", *(f"class {i}" for i in range(8))]


@pytest.fixture(scope="module")
def segformer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny SegFormer with random weights, as ``save_pretrained`` writes it."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.SegformerConfig(
        depths=[1, 1, 1, 1],
        hidden_sizes=[4, 4, 4, 8],
        num_attention_heads=[1, 1, 1, 1],
        decoder_hidden_size=8,
        id2label=dict(enumerate(NAMES)),
    )
    net = transformers.SegformerForSemanticSegmentation(config)
    torch.nn.init.normal_(net.decode_head.classifier.weight, std=5.0)
    folder = tmp_path_factory.mktemp("segformer")
    net.save_pretrained(folder)
    return folder


def test_segformer_by_its_definition(segformer_folder: Path):
    transformers = pytest.importorskip("transformers")
    options = SegmentOptions(type="segformer", model=str(segformer_folder))
    segmenter = make_segmenter(options, "cpu", "fp32")
    assert segmenter is not None
    assert segmenter.names == NAMES
    np.testing.assert_array_equal(segment_weights(options, segmenter.names)[:3], [20 / 15, 1, 1])

    image = cv2.resize(RNG.random((5, 9, 3)), (150, 60), interpolation=cv2.INTER_CUBIC)
    image = (image.clip(0, 1) * 255).astype(np.uint8)
    net = transformers.SegformerForSemanticSegmentation.from_pretrained(segformer_folder)
    resized = cv2.resize(image, (1600, 640), interpolation=cv2.INTER_LINEAR).astype(np.float32)
    pixels = (resized - [123.675, 116.28, 103.53]) / [58.395, 57.12, 57.375]
    with torch.inference_mode():
        tensor = torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)[None]
        logits = net(pixel_values=tensor).logits
        assert logits.shape == (1, len(NAMES), 160, 400)
        logits = F.interpolate(logits, (640, 1600), mode="bilinear", align_corners=False)
        logits = F.interpolate(logits, (60, 150), mode="bilinear", align_corners=False)
    expected = logits[0].argmax(0).numpy()

    ids = segmenter(image, "a")
    assert len(np.unique(expected)) > 2  # else any constant would pass
    assert ids.shape == (60, 150)
    assert (ids != expected).mean() < 1e-3  # ties in the last bit


def test_the_fingerprint_is_of_the_weights(segformer_folder: Path, tmp_path: Path):
    transformers = pytest.importorskip("transformers")
    first = SegFormer(str(segformer_folder), "cpu", "fp32").fingerprint("a")
    assert SegFormer(str(segformer_folder), "cpu", "fp32").fingerprint("b") == first
    net = transformers.SegformerForSemanticSegmentation.from_pretrained(segformer_folder)
    with torch.no_grad():
        net.decode_head.classifier.bias[0] += 1
    net.save_pretrained(tmp_path)
    assert SegFormer(str(tmp_path), "cpu", "fp32").fingerprint("a") != first


def test_a_checkpoint_without_its_head_is_refused(segformer_folder: Path, tmp_path: Path):
    transformers = pytest.importorskip("transformers")
    net = transformers.SegformerForSemanticSegmentation.from_pretrained(segformer_folder)
    net.segformer.save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"lack \d+ tensors, such as decode_head"):
        SegFormer(str(tmp_path), "cpu")


def test_pickled_weights_are_read(segformer_folder: Path, tmp_path: Path):
    """As those of the default model are stored."""
    transformers = pytest.importorskip("transformers")
    net = transformers.SegformerForSemanticSegmentation.from_pretrained(segformer_folder)
    net.config.save_pretrained(tmp_path)
    torch.save(net.state_dict(), tmp_path / "pytorch_model.bin")
    first, second = (SegFormer(str(f), "cpu", "fp32") for f in (segformer_folder, tmp_path))
    assert first.fingerprint("a") == second.fingerprint("a")


def test_pickled_weights_run_no_code(segformer_folder: Path, tmp_path: Path):
    sign = tmp_path / "sign"

    class Touch:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (sign,)

    (tmp_path / "config.json").write_bytes((segformer_folder / "config.json").read_bytes())
    torch.save({"decode_head.classifier.bias": Touch()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(InputError, match="cannot be loaded"):
        SegFormer(str(tmp_path), "cpu")
    assert not sign.exists()


def test_missing_network(tmp_path: Path):
    pytest.importorskip("transformers")
    with pytest.raises(InputError, match=r"segment\.model: .* it must be a folder"):
        SegFormer(str(tmp_path), "cpu")


def test_missing_package(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(InputError, match=r"run: pip install 'desra\[segment\]'"):
        make_segmenter(SegmentOptions(type="segformer"), "cpu", "fp32")
