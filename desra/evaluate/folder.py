"""The output folder of evaluate: what it writes, and how an earlier version's is recognised."""

import re
from pathlib import Path

from desra.io.ledger import Kind
from desra.utils.reading import parse_json, read_bytes


def _is_earlier(folder: Path) -> bool:
    """Return whether a folder without a ledger holds the scores that evaluate wrote."""
    try:
        content = parse_json(read_bytes(folder / "scores.json"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and {"before", "after", "total", "images"} <= content.keys()


KIND = Kind("evaluate", re.compile(r"scores\.json|scores\.txt|sheet\.png"), _is_earlier)
