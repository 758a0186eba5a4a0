"""The output folder of upscale: any name may be a result's, so its ledger alone knows them."""

import re
from pathlib import Path

from desra.io.ledger import Kind


def _is_earlier(folder: Path) -> bool:
    """Return False: what an earlier version wrote looks like any image."""
    return False


KIND = Kind("upscale", re.compile(r".+"), _is_earlier)
