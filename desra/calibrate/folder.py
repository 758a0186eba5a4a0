"""The output folder of calibrate: what it writes, and how an earlier version's is recognised."""

import re
from pathlib import Path

from desra.io.ledger import Kind
from desra.utils.reading import open_file

HEAD = "# Interval of each class, by desra.calibrate; segment.table of detect reads it."


def _is_earlier(folder: Path) -> bool:
    """Return whether a folder without a ledger holds the table that calibrate wrote."""
    try:
        with open_file(folder / "intervals.yml") as file:
            return file.readline().strip() == HEAD.encode()
    except OSError:
        return False


KIND = Kind("calibrate", re.compile(r"intervals\.(yml|csv)|plots/\d{3}_[^/]*\.png"), _is_earlier)
