"""The output folder of report: what it writes, and how an earlier version's is recognised."""

import re
from pathlib import Path

from desra.io.ledger import Kind
from desra.utils.reading import open_file


def _is_earlier(folder: Path) -> bool:
    """Return whether a folder without a ledger holds a page that report made."""
    try:
        with open_file(folder / "index.html") as file:
            return b'<script type="application/json" id="data">' in file.read()
    except OSError:
        return False


KIND = Kind("report", re.compile(r"index\.html|pictures/\d{6}_\w+\.webp"), _is_earlier)
