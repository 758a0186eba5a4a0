"""``import desra`` is light, and so is what only says what there is."""

import subprocess
import sys

import pytest

from desra.__main__ import STAGES
from helpers.heavy import HEAVY


def loaded(code: str, names: list[str]) -> str:
    """Which of the modules are loaded at the end of a program."""
    code = f"import sys\n{code}\nprint([name for name in {names} if name in sys.modules])"
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return result.stdout.splitlines()[-1]


def test_import_loads_nothing_heavy():
    assert loaded("import desra; assert desra.__version__", HEAVY) == "[]"


@pytest.mark.parametrize("stage", STAGES)
def test_help_loads_no_network(stage: str):
    """It loads the options, of which the settings of the method are part, and no more."""
    code = (
        "from desra.__main__ import main\n"
        f"try: main(['{stage}', '-h'])\n"
        "except SystemExit as end: assert not end.code"
    )
    assert loaded(code, ["torch", "torchvision", "basicsr", "spandrel", "scipy", "skimage"]) == "[]"
