"""Large images from top to bottom, so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Iterator

_ROWS = 512


def bands(height: int) -> Iterator[slice]:
    """Yield the rows of an image in bands of at most 512, each with start and stop."""
    for top in range(0, height, _ROWS):
        yield slice(top, min(top + _ROWS, height))
