"""Outlines drawn back by Pillow, and lists of regions against SciPy's labelling."""

from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image, ImageChops, ImageDraw
from scipy import ndimage

from desra.metrics.mask_scores import count_change
from desra.report.regions import LISTED, outline, regions

EIGHT = np.ones((3, 3))


def blobs(seed: int, shape: tuple[int, int] = (120, 160), share: float = 0.3) -> np.ndarray:
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 6)
    return noise > np.quantile(noise, 1 - share)


def drawn(path: str, shape: tuple[int, int]) -> np.ndarray:
    """The path filled by the even-odd rule."""
    assert re.fullmatch(r"(M\d+,\d+( \d+,\d+)*Z)*", path)
    total = Image.new("1", shape[::-1])
    for line in path.split("Z")[:-1]:
        points = [tuple(map(int, p.split(","))) for p in line[1:].split(" ")]
        one = Image.new("1", shape[::-1])
        if len(points) > 2:
            ImageDraw.Draw(one).polygon(points, fill=1)
        total = ImageChops.logical_xor(total, one)
    return np.asarray(total)


@pytest.mark.parametrize("seed", range(4))
def test_outline_encloses_the_mask(seed: int) -> None:
    mask = blobs(seed)
    mask[50:70, 50:90] = True
    mask[56:64, 60:80] = False  # a hole
    # Pillow fills the path's own pixels too: the border of a hole lies around it.
    core = ndimage.binary_erosion(mask, EIGHT, border_value=1)
    around = ndimage.binary_dilation(mask, EIGHT) & ~core
    assert not ((drawn(outline(mask), mask.shape) != mask) & ~around).any()


def test_outline_of_nothing_and_of_all() -> None:
    assert outline(np.zeros((5, 7), bool)) == ""
    assert sorted(outline(np.ones((5, 7), bool))[1:-1].split(" ")) == ["0,0", "0,4", "6,0", "6,4"]


@pytest.mark.parametrize("seed", range(4))
def test_regions_are_the_regions(seed: int) -> None:
    before, after = blobs(seed), blobs(seed) & blobs(seed + 50, share=0.6)
    labels, count = ndimage.label(before, EIGHT)
    listed = regions(before, after, ("removed", "left"))
    areas = [int((labels == i).sum()) for i in range(1, count + 1)]
    assert [r["pixels"] for r in listed] == sorted(areas, reverse=True)[:LISTED]
    for region in listed:
        x, y, width, height = region["box"]
        inside = labels[y : y + height, x : x + width]
        values, counts = np.unique(inside[inside > 0], return_counts=True)
        (label,) = [v for v, c in zip(values, counts, strict=True) if c == region["pixels"]]
        rows, columns = np.nonzero(labels == label)
        assert region["box"] == [
            columns.min(),
            rows.min(),
            np.ptp(columns) + 1,
            np.ptp(rows) + 1,
        ]
    removed = sum(r["state"] == "removed" for r in listed)
    assert count <= LISTED and removed == count_change(before, after).removed


def test_many_regions_are_cut_to_the_largest() -> None:
    mask = np.zeros((90, 90), bool)
    mask[::3, ::3] = True
    mask[0, :3] = True
    listed = regions(mask, None, ("", ""))
    assert len(listed) == LISTED and listed[0]["pixels"] == 4
    assert "state" not in listed[0]
    assert regions(np.zeros((4, 4), bool), None, ("", "")) == []
