"""``import desra`` is light."""

import subprocess
import sys

from helpers.heavy import HEAVY


def test_import_loads_nothing_heavy():
    code = (
        "import sys, desra; assert desra.__version__; "
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
