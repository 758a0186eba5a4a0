"""YAML as plain data: what would grow, run or be lost is one sentence."""

from __future__ import annotations

import pytest

from desra.options.yaml_text import read
from desra.utils.errors import InputError

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: !!int abc", "is not valid YAML"),
        ("a: !!float abc", "is not valid YAML"),
        ("a: !!bool abc", "is not valid YAML"),
        ("a: !!timestamp abc", "is not valid YAML"),
        ("a: !!python/object/apply:os.system ['true']", "is not valid YAML"),
        (f"a: {'9' * 5000}", "is not valid YAML"),
        ("[" * 60 + "]" * 60, "is nested deeper than 50"),
        ("[" * 5000 + "]" * 5000, "is nested deeper than 50"),
        ("{a: " * 60 + "1" + "}" * 60, "is nested deeper than 50"),
        (LAUGHS, "holds more than 100000 values, aliases written out"),
        ("a: &a [*a]", "an alias holds itself"),
        ("a: 1\na: 2", "the key 'a' is given twice, in line 2"),
        ("base: &b {x: 1, x: 2}\nc: {<<: *b}", "the key 'x' is given twice"),
        ("? {a: 1}\n: 2", "a key must be a text"),
        ("a: [", "is not valid YAML"),
        ("a: 'x\0y'", "is not valid YAML"),
        ("<<: 3", "is not valid YAML"),
        ("--- 1\n--- 2", "is not valid YAML"),
    ],
)
def test_refused(text: str, words: str):
    with pytest.raises(InputError, match=words):
        read(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (
            "base: &b {x: 1, y: 2}\nc: {<<: *b, y: 3}",
            {"base": {"x": 1, "y": 2}, "c": {"x": 1, "y": 3}},
        ),
        (
            "a: &a {x: 1}\nb: &b {<<: *a, x: 2}\nc: {<<: *b}",
            {"a": {"x": 1}, "b": {"x": 2}, "c": {"x": 2}},
        ),
        (
            "a: &a {x: 1}\nb: &b {x: 2, y: 3}\nc: {<<: [*a, *b]}",
            {"a": {"x": 1}, "b": {"x": 2, "y": 3}, "c": {"x": 1, "y": 3}},
        ),
        ("a: &a {x: 1}\n<<: *a", {"a": {"x": 1}, "x": 1}),
        ("a: &a [1, 2]\nb: *a", {"a": [1, 2], "b": [1, 2]}),
        ("a: 2026-01-31", {"a": "2026-01-31"}),
        ("a: 1e-4", {"a": 1e-4}),
        ("a: ~", {"a": None}),
        ("a: '~'", {"a": "~"}),
        ("", None),
    ],
)
def test_read(text: str, value: object):
    assert read(text) == value
