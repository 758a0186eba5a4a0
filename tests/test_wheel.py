"""The wheel carries the weights and the YAML files, so that an install outside a clone works."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
def test_the_wheel_carries_weights_and_options(tmp_path: Path):
    command = [
        sys.executable, "-m", "pip", "wheel", str(ROOT), "--no-deps", "--quiet",
        "--no-build-isolation", "--disable-pip-version-check", "-w", str(tmp_path),
    ]  # fmt: skip
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    (wheel,) = tmp_path.glob("desra-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        for path in [*ROOT.glob("options/**/*.yml"), *ROOT.glob("options/schema/*.json")]:
            inside = f"desra/assets/{path.relative_to(ROOT).as_posix()}"
            assert archive.read(inside) == path.read_bytes()
    assert "desra/assets/options/detect.yml" in names
    modules = {p.relative_to(ROOT).as_posix() for p in ROOT.glob("desra/**/*.py")}
    assert modules <= names
    page = {p.relative_to(ROOT).as_posix() for p in ROOT.glob("desra/assets/report/*")}
    assert len(page) == 3 and page <= names

    weights = sorted((ROOT / "desra/assets").glob("*.safetensors"))
    if not weights:
        pytest.skip("the embedded weights are not in this tree; the rest of the wheel is right")
    assert {f"desra/assets/{path.name}" for path in weights} <= names
