"""A run's folder: for one process, emptied only where it is a run's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from desra.io import lock as module
from desra.io.lock import held_folder
from desra.utils.errors import InputError

SIGNS = ("options.yml", "states")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {module.LOCK}


@pytest.mark.parametrize("sign", SIGNS)
def test_a_run_is_deleted_on_request_only(tmp_path: Path, sign: str):
    folder, other = tmp_path / "a/run", tmp_path / "other"
    other.mkdir()
    (other / "mine").write_text("mine")
    with held_folder(folder, "name", SIGNS, overwrite=True):  # nothing there yet
        (folder / sign).mkdir()
        (folder / "file").write_text("x")
        (folder / "link").symlink_to(other)
        (folder / ".0123456789abcdef.tmp").write_text("of a killed process")
    with held_folder(folder, "name", SIGNS):
        assert names(folder) == {sign, "file", "link"}
    with held_folder(folder, "name", SIGNS, overwrite=True):
        assert names(folder) == set()
    assert (other / "mine").read_text() == "mine"


def test_what_is_no_run_is_not_deleted(tmp_path: Path):
    (tmp_path / "holiday.jpg").write_text("mine")
    words = r"^name: .* holds no options\.yml and no states, so it is no run and nothing in it is d"
    with pytest.raises(InputError, match=words), held_folder(tmp_path, "name", SIGNS, True):
        pass
    assert names(tmp_path) == {"holiday.jpg"}
    with held_folder(tmp_path, "name", SIGNS):  # and it is not locked any more
        pass


def test_it_is_held_against_other_processes(tmp_path: Path):
    code = (
        "import sys; from pathlib import Path; from desra.io import lock as m; "
        "m.LOCK_SECONDS = 0.05\n"
        "with m.held_folder(Path(sys.argv[1]), 'output', ('x',)): print('in')"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with held_folder(tmp_path, "output", ("x",)):
        said = subprocess.run(command, capture_output=True, text=True).stderr
    assert "InputError: output: another process is at work in" in said
    assert subprocess.run(command, capture_output=True, text=True).stdout == "in\n"


def test_a_folder_that_cannot_be_made(tmp_path: Path):
    (tmp_path / "file").write_text("x")
    with (
        pytest.raises(InputError, match=r"^output: .*file/run cannot be written \(Not a directory"),
        held_folder(tmp_path / "file/run", "output", ("x",)),
    ):
        pass
