"""The wheel carries the weights and the YAML files, and what is installed from it outside a clone
works."""

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

import desra
from desra.__main__ import STAGES
from helpers.paths import ROOT
from helpers.small import photograph, save_png

PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]

pytestmark = pytest.mark.slow


def run(command: list[str], **settings: object) -> subprocess.CompletedProcess[str]:
    result = subprocess.run(command, capture_output=True, text=True, **settings)  # pyright: ignore
    assert result.returncode == 0, result.stderr
    return result


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run([*PIP, "wheel", str(ROOT), "--no-deps", "--no-build-isolation", "-w", str(folder)])
    (wheel,) = folder.glob("desra-*.whl")
    return wheel


def test_the_version_is_that_of_the_package(wheel: Path):
    assert wheel.name.startswith(f"desra-{desra.__version__}-")


def test_the_wheel_carries_weights_and_options(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        for path in [*ROOT.glob("options/**/*.yml"), *ROOT.glob("options/schema/*.json")]:
            inside = f"desra/assets/{path.relative_to(ROOT).as_posix()}"
            assert archive.read(inside) == path.read_bytes()
    assert {"desra/assets/options/detect.yml", "desra/py.typed"} <= names
    modules = {p.relative_to(ROOT).as_posix() for p in ROOT.glob("desra/**/*.py")}
    assert modules <= names
    page = {p.relative_to(ROOT).as_posix() for p in ROOT.glob("desra/assets/report/*")}
    assert len(page) == 3 and page <= names

    weights = sorted((ROOT / "desra/assets").glob("*.safetensors"))
    if not weights:
        pytest.skip("the embedded weights are not in this tree; the rest of the wheel is right")
    assert {f"desra/assets/{path.name}" for path in weights} <= names


class Installed:
    """desra from the wheel in an environment of its own, which borrows all else from this one."""

    def __init__(self, wheel: Path, root: Path) -> None:
        venv.create(root / "venv", with_pip=False)
        bin = root / "venv" / ("Scripts" if os.name == "nt" else "bin")
        self.python, self.desra, self.folder = bin / "python", bin / "desra", root / "elsewhere"
        self.folder.mkdir()
        run([*PIP, "--python", str(self.python), "install", "--no-deps", "--no-index", str(wheel)])
        # Path lines of a .pth file come after what is installed, and name no editable desra: the
        # .pth files in those folders are not read.
        ask = [str(self.python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
        folders = [p for p in sys.path if Path(p).name in ("site-packages", "dist-packages")]
        Path(run(ask).stdout.strip(), "borrowed.pth").write_text("\n".join(folders))

    def __call__(self, *command: str) -> str:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        result = run(list(command), cwd=self.folder, env=environment, stdin=subprocess.DEVNULL)
        return result.stdout + result.stderr


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(wheel, tmp_path_factory.mktemp("installed"))


def test_it_is_the_installed_one(installed: Installed):
    where = installed(str(installed.python), "-c", "import desra; print(desra.__file__)").strip()
    assert Path(where).is_relative_to(installed.python.parent.parent)
    said = installed(str(installed.desra), "--help")
    assert all(f"\n  {stage} " in said for stage in STAGES)


def test_detect_on_a_picture_with_the_packaged_defaults(installed: Installed):
    save_png(installed.folder / "photo.png", photograph(0, 40, 48))
    installed(str(installed.desra), "detect", "-i", "photo.png", "-o", "out")
    (row,) = map(json.loads, (installed.folder / "out/manifest.jsonl").open(encoding="utf-8"))
    assert row["sr_size"] == [160, 192]
    assert (installed.folder / "out/mask/photo.png").is_file()


def test_options_are_found_in_the_package(installed: Installed):
    command = [str(installed.desra), "detect", "-opt", "options/detect.yml"]
    printed = installed(*command, "--check")
    assert "lq: embedded:finetune" in printed and "min_area: 1000" in printed
    save_png(installed.folder / "in" / "photo.png", photograph(1, 40, 48))
    installed(*command, "-i", "in", "-o", "by_file")
    assert (installed.folder / "by_file/pseudo_gt/photo.png").is_file()
