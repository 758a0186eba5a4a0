"""Masks as run lengths, in COCO's order."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from desra.io.shapes import Mask, Size


@dataclass(frozen=True)
class RLE:
    """A mask as run lengths, in COCO's order: down the columns, clear and set runs in turns.

    Attributes:
        size: (height, width).
        counts: lengths of the runs, of clear pixels first; 0 where the first pixel is set.

    Raises:
        ValueError: a negative run, or runs that do not fill the size.

    Example:
        >>> RLE.of(np.array([[False, True], [True, True]])).counts
        (1, 3)
    """

    size: Size
    counts: tuple[int, ...]

    def __post_init__(self) -> None:
        if min(self.counts, default=0) < 0 or sum(self.counts) != math.prod(self.size):
            raise ValueError(
                f"the runs cover {sum(self.counts)} pixels, not {self.size[0]} x {self.size[1]}"
            )

    @classmethod
    def of(cls, mask: Mask) -> RLE:
        """Return the run lengths of a mask, bool ``(H, W)``."""
        pixels = mask.ravel(order="F")
        changes = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
        counts = np.diff(changes, prepend=0, append=pixels.size).tolist()
        starts_set = pixels.size > 0 and bool(pixels[0])
        return cls((mask.shape[0], mask.shape[1]), (0, *counts) if starts_set else tuple(counts))

    def mask(self) -> Mask:
        """Return the mask, bool ``(H, W)``."""
        is_set = np.arange(len(self.counts)) % 2 == 1
        return np.repeat(is_set, self.counts).reshape(self.size, order="F")

    @property
    def area(self) -> int:
        """Return the number of set pixels."""
        return sum(self.counts[1::2])
