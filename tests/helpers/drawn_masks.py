"""Masks and the files of annotation tools that hold them, for all tests."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy import ndimage


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
