"""The manifest: what is written is what is read, and an edited row is one sentence."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from desra.io import manifest
from desra.io.manifest import Row
from desra.utils.errors import InputError
from helpers.small import save_png

ROW = Row("a/b", "lq/b.png", (8, 6), (32, 24), 4, 5, 1, 0.9, {"sr": 0.5}, "0f", ("note",), 1.5)


def test_what_is_written_is_what_is_read(tmp_path: Path):
    bare = Row("c\udcff", None, None, (32, 24), 4, 0, 0, None, {}, "0f", (), None)
    manifest.write(tmp_path, [ROW, bare])
    assert manifest.read(tmp_path) == {"a/b": ROW, "c\udcff": bare}


def test_an_lr_image_that_is_not_there_is_looked_for_beside_the_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    results = tmp_path / "results"
    results.mkdir()
    manifest.write(results, [ROW])
    monkeypatch.chdir(tmp_path)

    def lq() -> str | None:
        return manifest.read_results(results, "input")["a/b"].lq

    assert lq() == "lq/b.png"  # nowhere: the name stays, for messages
    save_png(results / "lq/b.png", np.zeros((8, 6, 3), np.uint8))
    assert lq() == str(results / "lq/b.png")
    save_png(tmp_path / "lq/b.png", np.zeros((8, 6, 3), np.uint8))
    assert lq() == "lq/b.png"  # where detect saw it
    assert manifest.read(results) == {"a/b": ROW}  # what is written again is as it was
    words = manifest.places_of_lq(results)
    assert str(tmp_path) in words and f"{results}/manifest.jsonl" in words


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("stem", 0),
        ("stem", ""),
        ("stem", "../b"),
        ("stem", "/b"),
        ("lq", 3),
        ("lq", "a\0b"),
        ("lq_size", [{}, 20]),
        ("lq_size", [20]),
        ("sr_size", None),
        ("sr_size", [0, 5]),
        ("sr_size", [True, 5]),
        ("scale", "4"),
        ("scale", 0),
        ("mask_pixels", -1),
        ("mask_pixels", 1.5),
        ("regions", None),
        ("mean_D", "x"),
        ("mean_D", float("nan")),
        ("seconds", []),
        ("seconds", {"sr": "x"}),
        ("settings", 3),
        ("notes", "x"),
        ("notes", [3]),
        ("seam", [[], None]),
        ("other", 1),
    ],
)
def test_an_edited_row_is_one_sentence(key: str, value: Any, tmp_path: Path):
    file = tmp_path / manifest.FILE
    file.write_text(manifest.to_line(ROW) + json.dumps(asdict(ROW) | {key: value}) + "\n")
    words = r"manifest\.jsonl, line 2: is no row of a manifest \(.*delete this line"
    with pytest.raises(InputError, match=words):
        manifest.read(tmp_path)


@pytest.mark.parametrize("line", ["[" * 5000, "{}", "3", "null", "x"])
def test_what_is_no_row(line: str, tmp_path: Path):
    (tmp_path / manifest.FILE).write_text(line + "\n")
    with pytest.raises(InputError, match=r"line 1: is no row of a manifest"):
        manifest.read(tmp_path)
