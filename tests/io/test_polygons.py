"""Polygons by the names of the images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from desra.io.annotations import find_human_masks, read_human_masks
from desra.utils.errors import InputError
from helpers.drawn_masks import square, write_json


def labels(*polygons: Any, size: Any = (10, 8)) -> dict[str, Any]:
    regions = [{"polygon": polygon, "severity": 2, "what": "x"} for polygon in polygons]
    return {"sub/a": {"size": size, "regions": regions}, "b": {"size": [4, 6], "regions": []}}


def test_the_outline_belongs_to_the_polygon(tmp_path: Path) -> None:
    box, corner = [[2, 1], [6, 1], [6, 4], [2, 4]], [[8, 6], [30, 6], [30, 30], [8, 30]]
    path = write_json(tmp_path / "a.json", labels(box, corner))
    found = find_human_masks(path, {"sub/a": (8, 10), "b": (6, 4)})
    union = square((8, 10), slice(1, 5), slice(2, 7)) | square((8, 10), slice(6, 8), slice(8, 10))
    np.testing.assert_array_equal(found["sub/a"].mask(), union)
    assert found["b"].size == (6, 4) and found["b"].area == 0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (labels([[1, 1], [2, 2]]), "region 1 of sub/a: polygon must be a list"),
        (labels([[1, 1], [2, "x"], [3, 3]]), "region 1 of sub/a: polygon must be a list"),
        (labels([[20, 1], [30, 1], [30, 5]]), "region 1 of sub/a: .* lies outside"),
        (labels(size=[0, 8]), "image sub/a: .* whole numbers above 0"),
        (labels(size=3), "image sub/a"),
        ({}, "it has no list 'images'"),
        ([], "it has no list 'images'"),
    ],
)
def test_errors_name_the_file(tmp_path: Path, content: Any, words: str) -> None:
    path = write_json(tmp_path / "a.json", content)
    with pytest.raises(InputError, match=rf"a\.json.*{words}"):
        read_human_masks(path)


def test_they_must_fit_their_images(tmp_path: Path) -> None:
    path = write_json(tmp_path / "a.json", labels())
    with pytest.raises(InputError, match="belong to no image: b"):
        find_human_masks(path, {"sub/a": (8, 10)})
    with pytest.raises(InputError, match=r"is \(6, 4\), but the SR image is \(6, 5\)"):
        find_human_masks(path, {"sub/a": (8, 10), "b": (6, 5)})
