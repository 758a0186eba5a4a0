"""The border that valid filtering takes away, and how to take the same from another image."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray


def border_between(inner: tuple[int, ...], outer: tuple[int, ...]) -> int:
    """Return the width of the border around a centred ``inner``, the same on all four sides.

    Only the first two numbers of each shape, height and width, are looked at.

    Raises:
        ValueError: ``inner`` does not lie centred in ``outer`` with one border on all sides.

    Example:
        >>> border_between((110, 90), (120, 100))
        5
    """
    rows, columns = outer[0] - inner[0], outer[1] - inner[1]
    if rows != columns or rows < 0 or rows % 2:
        raise ValueError(
            f"a map of {inner[0]}x{inner[1]} (height x width) does not fit an image of "
            f"{outer[0]}x{outer[1]}: expected the same even margin in both dimensions, "
            f"got {rows} and {columns}"
        )
    return rows // 2


def crop_to(image: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Return the centre of ``image``, ``(H, W, ...)``, as high and wide as ``shape``; a view.

    An empty ``shape`` (the map of an image smaller than the window) gives an empty view.

    Raises:
        ValueError: as `border_between`.
    """
    height, width = shape[:2]
    if height == 0 or width == 0:
        return image[:height, :width]
    border = border_between(shape, image.shape)
    return image[border : border + height, border : border + width]
