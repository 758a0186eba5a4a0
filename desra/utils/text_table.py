"""Tables of cells as text: for a terminal, and as CSV."""

import csv
import io
from collections.abc import Container, Iterable, Sequence


def number(value: float | None, digits: int = 2) -> str:
    """Return a number rounded to so many digits behind the point; a dash for None."""
    return "-" if value is None else f"{value:.{digits}f}"


def text_table(rows: Sequence[Sequence[str]], left: Container[int] = ()) -> str:
    """Return rows of cells as lines, each column as wide as its longest cell, two blanks between.

    Args:
        rows: of equal length; a heading is a row too.
        left: numbers of the columns that are aligned to the left; the others are to the right.

    Example:
        >>> print(text_table([["area", "image"], ["1024", "a"], ["8", "sub/b"]], left={1}))
        area  image
        1024  a
           8  sub/b
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place in left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    r"""Return rows of cells as CSV, lines ended by ``\n``; None becomes an empty cell.

    Example:
        >>> csv_text([["class", "share"], ["sky, blue", None]])
        'class,share\n"sky, blue",\n'
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
