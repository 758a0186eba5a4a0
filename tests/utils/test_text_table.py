import pytest

from desra.utils.text_table import text_table


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
