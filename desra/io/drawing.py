"""Draw results for people to look at: overlay, coloured map, contact sheet. Pure functions."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

_RED = np.array([255, 40, 40], np.float32)


class Overlay:
    """A mask drawn on its image: tinted red, with a red outline on white that shows on red too.

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
        """Draw the mask on a strip of the image.

        Args:
            image: the strip, uint8 RGB (rows, W, 3).
            top: number of its first row in the whole image.

        Returns:
            uint8 (rows, W, 3).
        """
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
    """Draw a mask, bool (H, W), on its image, uint8 RGB (H, W, 3), as `Overlay` does."""
    return Overlay(mask).rows(image, 0)


def map_in_colour(D: NDArray[np.floating]) -> Image:
    """Colour a map D in [0, 1], (H, W): dark violet where texture differs, yellow where it agrees.

    Returns:
        uint8 RGB (H, W, 3).
    """
    grey = np.round(np.clip(D, 0, 1) * 255).astype(np.uint8)
    colours = np.asarray(cv2.applyColorMap(grey, cv2.COLORMAP_VIRIDIS), np.uint8)
    return np.ascontiguousarray(colours[..., ::-1])


def thickest_spot(mask: NDArray[np.bool_]) -> tuple[int, int]:
    """Return (row, column) of the pixel farthest inside the mask; the centre of a uniform mask.

    Args:
        mask: bool (H, W).
    """
    if mask.all() or not mask.any():
        return mask.shape[0] // 2, mask.shape[1] // 2
    depth = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)
    row, column = np.unravel_index(int(np.argmax(depth)), depth.shape)
    return int(row), int(column)


def fit(image: Image, side: int, smooth: bool = True) -> Image:
    """Scale an image into a white square, centred, with its aspect kept.

    Args:
        image: uint8 (H, W, 3) RGB or (H, W).
        side: side of the square in pixels.
        smooth: enlarge bicubically; else by repeating pixels.

    Returns:
        uint8 RGB (side, side, 3).
    """
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    height, width = image.shape[:2]
    factor = side / max(height, width)
    enlarging = cv2.INTER_CUBIC if smooth else cv2.INTER_NEAREST
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    scaled = cv2.resize(image, size, interpolation=cv2.INTER_AREA if factor < 1 else enlarging)
    square = np.full((side, side, 3), 255, np.uint8)
    top, left = (side - scaled.shape[0]) // 2, (side - scaled.shape[1]) // 2
    square[top : top + scaled.shape[0], left : left + scaled.shape[1]] = scaled
    return square


def _text(canvas: Image, text: str, x: int, y: int, size: float) -> None:
    # OpenCV ends the process at bytes of file names that are not UTF-8.
    text = text.encode("utf-8", "backslashreplace").decode()
    cv2.putText(canvas, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, size, (20, 20, 20), 1, cv2.LINE_AA)


def contact_sheet(
    rows: Sequence[tuple[str, Sequence[Image]]], titles: Sequence[str], side: int = 240
) -> Image:
    """Draw a table of images.

    Args:
        rows: (caption, an image for each title); images are uint8 RGB of any size.
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
