"""Two small folders that detect wrote, before and after, for the tests of the report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from desra.detect import detect
from desra.io.images import write_image
from desra.options.detect import DetectOptions
from desra.options.loading import parse

# A folder's and a file's name.
HOSTILE = "<img src=x onerror=document.title=1>&amp; $title <" + "/script>"

Squares = list[tuple[int, int, int]]

# For each image: its size, the invented squares (top, left, side) before, and those after.
IMAGES: dict[str, tuple[tuple[int, int], Squares, Squares]] = {
    "a": ((192, 256), [(20, 20, 60), (120, 150, 40)], [(120, 150, 40)]),
    "sub/b": ((128, 192), [], [(40, 60, 40)]),
    HOSTILE: ((128, 192), [(30, 100, 48)], [(44, 114, 16)]),
    "same": ((160, 96), [(60, 20, 44)], [(60, 20, 44)]),
    "tiny": ((8, 8), [], []),
}


def make_results(root: Path, **detect_options: Any) -> tuple[Path, Path]:
    """Runs detect on finished pairs: where the noise is, a GAN made something up."""
    rng = np.random.default_rng(0)
    for stem, (size, before, after) in IMAGES.items():
        smooth = cv2.resize(rng.random((*np.array(size) // 4, 3)), size[::-1])
        mse = (60 + 120 * smooth).round().astype(np.uint8)
        write_image(root / "mse" / f"{stem}.png", mse)
        noise = rng.integers(0, 256, mse.shape, np.uint8)
        for when, squares in (("before", before), ("after", after)):
            gan = mse.copy()
            for top, left, side in squares:
                square = np.s_[top : top + side, left : left + side]
                gan[square] = noise[square]
            write_image(root / f"gan_{when}" / f"{stem}.png", gan)
    for when in ("before", "after"):
        options = {
            "input": {"sr_gan": str(root / f"gan_{when}"), "sr_mse": str(root / "mse")},
            "output": str(root / when),
            "detector": {"type": "relative_local_variance"},
            "mask": {"min_area": 200},
            **detect_options,
        }
        detect(parse(DetectOptions, options, "test"))
    return root / "before", root / "after"


def write_scores(path: Path) -> Path:
    """A scores.json as evaluate writes it, with some images and keys alone."""
    content = {
        "total": {
            "images": 5,
            "regions_before": 4,
            "regions_after": 3,
            "removal_rate": 0.5,
            "psnr_outside": 41.2345,
            "detail_kept": 0.94,
            "niqe_before": 5.0,
            "niqe_after": None,
            "musiq_before": 60.25,
            "musiq_after": 61.5,
        },
        "intervals": {"removal_rate": [0.25, 0.75], "psnr_outside": None},
        "images": {
            "a": {"psnr_outside": 40.0},
            "same": {"psnr_outside": 50.5},
            HOSTILE: {"psnr_outside": 45.25, "niqe_before": 4.5},
            "tiny": {"psnr_outside": None},
        },
        "masks": {
            "total": {"iou": 0.5},
            "pr_curve": {
                "threshold": [i / 999 for i in range(1000)],
                "precision": [1 - i / 2000 for i in range(1000)],
                "recall": [i / 999 for i in range(1000)],
            },
        },
    }
    path.write_text(json.dumps(content))
    return path


def write_table(path: Path) -> Path:
    """A file for `tables`."""
    content = {
        "title": "Rounds",
        "note": "<b>note</b>",
        "columns": ["round", "regions"],
        "rows": [["before", 4], ["1", None]],
        "curves": [
            {
                "title": "By round",
                "x": "round",
                "y": "rate",
                "series": [
                    {"name": "removal", "x": [0, 1, 2], "y": [0, 0.5, None]},
                    {"name": "addition", "x": [0, 1, 2], "y": [0, float("nan"), 0.25]},
                ],
            }
        ],
    }
    path.write_text(json.dumps(content))
    return path
