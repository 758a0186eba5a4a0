"""Pictures of results for people: overlay, map in colour, contact sheet. Arrays in, arrays out."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

_RED = np.array([255, 40, 40], np.float32)


class Overlay:
    """A mask drawn on its image: tinted red and outlined, red on white so that it shows on red too.

    Args:
        mask: bool (H, W), True = artifact.
    """

    def __init__(self, mask: NDArray[np.bool_]):
        self.mask = mask
        self._contours, _ = cv2.findContours(
            mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE
        )
        self._width = max(1, round(min(mask.shape) / 256))

    def rows(self, image: Image, top: int) -> Image:
        """The rows from ``top`` on: ``image``, uint8 (rows, W, 3) RGB, drawn on."""
        mask = self.mask[top : top + len(image)]
        # Drawn with a margin: OpenCV shortens lines that cross the border by a pixel.
        margin = self._width + 2
        canvas = np.pad(image, ((margin, margin), (0, 0), (0, 0)))
        inner = canvas[margin:-margin]
        inner[mask] = (0.75 * image[mask].astype(np.float32) + 0.25 * _RED).round()
        red = tuple(map(int, _RED))
        for colour, width in (((255, 255, 255), self._width + 2), (red, self._width)):
            cv2.drawContours(canvas, self._contours, -1, colour, width, offset=(0, margin - top))
        return inner


def overlay(image: Image, mask: NDArray[np.bool_]) -> Image:
    """All of `Overlay` at once: uint8 (H, W, 3) RGB, bool (H, W) -> uint8 (H, W, 3)."""
    return Overlay(mask).rows(image, 0)


def map_in_colour(D: NDArray[np.floating]) -> Image:
    """D in [0, 1] as uint8 (H, W, 3) RGB: dark violet where texture differs, yellow where alike."""
    grey = np.round(np.clip(D, 0, 1) * 255).astype(np.uint8)
    colours = np.asarray(cv2.applyColorMap(grey, cv2.COLORMAP_VIRIDIS), np.uint8)
    return np.ascontiguousarray(colours[..., ::-1])


def thickest_spot(mask: NDArray[np.bool_]) -> tuple[int, int]:
    """(row, column) of the pixel that lies deepest in the mask; the centre if it is all one value.

    Args:
        mask: bool (H, W).
    """
    if mask.all() or not mask.any():
        return mask.shape[0] // 2, mask.shape[1] // 2
    depth = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)
    row, column = np.unravel_index(int(np.argmax(depth)), depth.shape)
    return int(row), int(column)


def fit(image: Image, side: int, smooth: bool = True) -> Image:
    """``image`` centred on a white square of ``side`` pixels, aspect kept."""
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    height, width = image.shape[:2]
    factor = side / max(height, width)
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC if smooth else cv2.INTER_NEAREST
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    scaled = cv2.resize(image, size, interpolation=how)
    square = np.full((side, side, 3), 255, np.uint8)
    top, left = (side - scaled.shape[0]) // 2, (side - scaled.shape[1]) // 2
    square[top : top + scaled.shape[0], left : left + scaled.shape[1]] = scaled
    return square


def _text(canvas: Image, text: str, x: int, y: int, size: float) -> None:
    cv2.putText(canvas, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, size, (20, 20, 20), 1, cv2.LINE_AA)


def contact_sheet(
    rows: Sequence[tuple[str, Sequence[Image]]], titles: Sequence[str], side: int = 240
) -> Image:
    """A table of pictures.

    Args:
        rows: (caption, one image for each title).
        titles: heads of the columns.
        side: side of a cell in pixels.

    Returns:
        uint8 (H, W, 3) RGB.
    """
    gap, head, line = 6, 30, 22
    width = len(titles) * (side + gap) + gap
    height = head + len(rows) * (side + line + gap)
    sheet = np.full((height, width, 3), 255, np.uint8)
    for column, title in enumerate(titles):
        _text(sheet, title, gap + column * (side + gap) + 2, 20, 0.5)
    for number, (caption, images) in enumerate(rows):
        top = head + number * (side + line + gap)
        _text(sheet, caption, gap + 2, top + 15, 0.45)
        for column, image in enumerate(images):
            left = gap + column * (side + gap)
            cell = fit(image, side, smooth=column > 0)
            sheet[top + line : top + line + side, left : left + side] = cell
    return sheet
