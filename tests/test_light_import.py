"""``import desra`` is light."""

import subprocess
import sys

import pytest

from helpers.heavy import HEAVY


def test_import_loads_nothing_heavy():
    code = (
        "import sys, desra; assert desra.__version__; "
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_the_names_of_notebooks_come_at_first_use():
    import desra

    assert {"ArtifactFinder", "SRPair", "artifact_map", "MaskRule", "compose_pseudo_gt"} <= {
        *dir(desra)
    }
    for name in dir(desra):
        assert getattr(desra, name).__name__ == name
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = desra.no_such_name


@pytest.mark.parametrize("stage", ["detect", "upscale", "sweep", "app", "train", "report"])
def test_help_loads_no_network_and_no_opencv_beyond_the_options(stage: str):
    """It loads the options, of which the settings of the method are part, and no more."""
    code = (
        "import sys, desra.__main__\n"
        f"try: desra.__main__.main(['{stage}', '-h'])\n"
        "except SystemExit: pass\n"
        "print([name for name in ('torch', 'torchvision', 'basicsr', 'scipy', 'spandrel') "
        "if name in sys.modules])"
    )
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]"
