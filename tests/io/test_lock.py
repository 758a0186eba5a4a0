"""A run's folder: for one process, emptied only where it is a run's."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from desra.io import lock as module
from desra.io.ledger import Kind
from desra.io.lock import held_folder
from desra.utils.errors import InputError

KIND = Kind("work", re.compile(r"options\.yml|states/\w+"), lambda folder: False, digests=False)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {module.LOCK, KIND.ledger}


def test_a_run_is_deleted_on_request_only(tmp_path: Path):
    folder = tmp_path / "a/run"
    with held_folder(folder, KIND, "name", overwrite=True) as ledger, ledger:  # nothing there yet
        (folder / "states").mkdir()
        (folder / "states/latest").write_text("x")
        (folder / "options.yml").write_text("x")
        (folder / ".0123456789abcdef.tmp").write_text("of a killed process")
    with held_folder(folder, KIND, "name"):
        assert names(folder) == {"states", "options.yml"}
    with held_folder(folder, KIND, "name", overwrite=True):
        assert names(folder) == set()


def test_what_is_no_run_is_not_deleted(tmp_path: Path):
    (tmp_path / "holiday.jpg").write_text("mine")
    (tmp_path / "options.yml").write_text("mine")
    words = r"^name: .* is not marked as written by desra\.work .* so nothing in it is deleted"
    with pytest.raises(InputError, match=words), held_folder(tmp_path, KIND, "name", True):
        pass
    assert names(tmp_path) == {"holiday.jpg", "options.yml"}
    with held_folder(tmp_path, KIND, "name"):  # and it is not locked any more
        pass


@pytest.mark.parametrize("kind", ["file", "folder", "link", "link to a folder"])
def test_what_was_put_into_a_run_is_not_deleted(tmp_path: Path, kind: str):
    folder, other = tmp_path / "run", tmp_path / "other"
    other.mkdir()
    (other / "mine").write_text("mine")
    with held_folder(folder, KIND, "name") as ledger, ledger:
        (folder / "options.yml").write_text("x")
    place = folder / "states"
    if kind == "file":
        (folder / "notes.txt").write_text("mine")
    elif kind == "folder":
        (folder / "data").mkdir()
        (folder / "data/photo.png").write_text("mine")
    elif kind == "link":
        (folder / "states").mkdir()
        (folder / "states/latest").symlink_to(other / "mine")
    else:
        place.symlink_to(other)
    before = names(folder)
    with (
        pytest.raises(InputError, match=r"holds what desra\.work did not write \("),
        held_folder(folder, KIND, "name", True),
    ):
        pass
    assert names(folder) == before and (other / "mine").read_text() == "mine"


def test_a_linked_folder_is_not_emptied(tmp_path: Path):
    with held_folder(tmp_path / "run", KIND, "name") as ledger, ledger:
        (tmp_path / "run/options.yml").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "run")
    with (
        pytest.raises(InputError, match="is a link to .*/run, so nothing in it is deleted"),
        held_folder(tmp_path / "link", KIND, "name", True),
    ):
        pass
    assert (tmp_path / "run/options.yml").exists()


def test_what_is_to_be_read_is_not_deleted(tmp_path: Path):
    with held_folder(tmp_path, KIND, "name") as ledger, ledger:
        (tmp_path / "options.yml").write_text("x")
    inputs = [("path.weights", tmp_path / "options.yml")]
    with (
        pytest.raises(InputError, match=r"path\.weights \(.*options\.yml\) lies in .* be deleted"),
        held_folder(tmp_path, KIND, "name", True, inputs),
    ):
        pass
    assert (tmp_path / "options.yml").exists()


def test_it_is_held_against_other_processes(tmp_path: Path):
    code = (
        "import re, sys; from pathlib import Path; from desra.io import lock as m; "
        "from desra.io.ledger import Kind; m.LOCK_SECONDS = 0.05\n"
        "kind = Kind('work', re.compile('x'), lambda folder: False)\n"
        "with m.held_folder(Path(sys.argv[1]), kind, 'output'): print('in')"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with held_folder(tmp_path, KIND, "output"):
        said = subprocess.run(command, capture_output=True, text=True).stderr
    assert "InputError: output: another process is at work in" in said
    assert subprocess.run(command, capture_output=True, text=True).stdout == "in\n"


def test_a_folder_that_cannot_be_made(tmp_path: Path):
    (tmp_path / "file").write_text("x")
    with (
        pytest.raises(InputError, match=r"^output: .*file/run cannot be written \(Not a directory"),
        held_folder(tmp_path / "file/run", KIND, "output"),
    ):
        pass


def test_an_empty_name_is_no_folder():
    with pytest.raises(InputError, match="^output: is empty"), held_folder("", KIND, "output"):
        pass
