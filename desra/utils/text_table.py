"""A table for a terminal."""

from collections.abc import Container, Sequence


def text_table(rows: Sequence[Sequence[str]], left: Container[int] = ()) -> str:
    """Rows of cells, each column as wide as its longest cell, two blanks between them.

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
            cell.ljust(width) if number in left else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
