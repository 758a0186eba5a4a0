"""``import desra`` is light, and so is what only says what there is."""

import subprocess
import sys

import pytest

from helpers.heavy import HEAVY


def loaded(code: str, names: list[str]) -> str:
    """Which of the modules are loaded at the end of a program."""
    code = f"import sys\n{code}\nprint([name for name in {names} if name in sys.modules])"
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return result.stdout.splitlines()[-1]


def test_import_loads_nothing_heavy():
    assert loaded("import desra; assert desra.__version__", HEAVY) == "[]"


@pytest.mark.parametrize("stage", ["evaluate", "report", "run", "calibrate"])
def test_the_help_of_a_stage_loads_no_network(stage: str):
    code = (
        f"from desra.{stage} import main\n"
        "try: main(['-h'])\n"
        "except SystemExit as end: assert not end.code"
    )
    assert loaded(code, ["torch", "torchvision", "basicsr", "spandrel", "scipy", "skimage"]) == "[]"
