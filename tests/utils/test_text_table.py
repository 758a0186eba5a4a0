import csv
import doctest
import io

import pytest

from desra.utils import text_table as module
from desra.utils.text_table import csv_text, number, text_table


def test_columns_are_as_wide_as_their_longest_cell():
    rows = [["name", "n", ""], ["a", "1000", "given up"], ["longer", "-", ""]]
    assert text_table(rows, left={0}).split("\n") == [
        "name       n",
        "a       1000  given up",
        "longer     -",
    ]
    assert text_table([["a"], ["bcd"]]) == "  a\nbcd"


def test_rows_of_other_lengths_are_refused():
    with pytest.raises(ValueError, match="zip"):
        text_table([["a", "b"], ["c"]])


def test_csv_is_read_back_as_it_was():
    rows = [["a", 'say "b"', ""], ["1,5", "two\nlines", "é"]]
    assert list(csv.reader(io.StringIO(csv_text(rows)))) == rows
    assert csv_text([[None, 1.5]]) == ",1.5\n"


def test_numbers_are_rounded_and_none_is_a_dash():
    assert (number(1.005, 1), number(2), number(None), number(float("inf"))) == (
        "1.0",
        "2.00",
        "-",
        "inf",
    )


def test_examples():
    result = doctest.testmod(module)
    assert result.attempted >= 2 and result.failed == 0
