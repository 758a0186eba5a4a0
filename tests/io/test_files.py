from __future__ import annotations

import hashlib
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from desra.io import files
from desra.io.files import atomic_write, remove_unfinished, sha256_of, write_json
from desra.utils.errors import InputError


def stored(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_a_failing_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = stored(tmp_path / "scores.json", b"old")
    with pytest.raises(RuntimeError, match="half-way"), atomic_write(path) as file:
        file.write(b"new, but only half of")
        file.flush()
        assert path.read_bytes() == b"old"
        raise RuntimeError("half-way")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]

    with pytest.raises(KeyboardInterrupt), atomic_write(tmp_path / "fresh") as file:
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == [path]


def test_a_finished_write_replaces_the_old_file(tmp_path):
    path = stored(tmp_path / "scores.json", b"old")
    with atomic_write(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]
    plain = stored(tmp_path / "plain", b"")
    assert path.stat().st_mode == plain.stat().st_mode  # readable by whom other files are


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path):
    kept = [stored(tmp_path / name, b"") for name in (".mine.tmp", "0123456789abcdef.tmp")]
    (tmp_path / "sub").mkdir()
    stored(tmp_path / "sub" / ".0123456789abcdef.tmp", b"")
    remove_unfinished(tmp_path)
    assert sorted(p for p in tmp_path.rglob("*") if p.is_file()) == sorted(kept)


def test_json_is_read_back_whatever_the_names(tmp_path):
    content = {"größe 写真": [1, 0.1, None, True], "not UTF-8: \udcff": "x"}
    path = tmp_path / "new" / "a.json"
    for indent in (1, None):
        write_json(path, content, indent)
        assert json.loads(path.read_bytes()) == content
        assert "größe 写真" in path.read_text("utf-8")
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"psnr": math.inf})
    assert json.loads(path.read_bytes()) == content
    assert list(path.parent.iterdir()) == [path]
    with pytest.raises(InputError, match="is a folder"):
        write_json(tmp_path, content)


@pytest.mark.parametrize("size", [0, 5, files._CHUNK, 2 * files._CHUNK + 1])
def test_sha256(tmp_path, size: int):
    data = np.random.default_rng(0).bytes(size)
    assert sha256_of(stored(tmp_path / "a", data)) == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("limit", [0, 2**20])
def test_scratch_arrays_hold_what_is_written_and_leave_nothing(tmp_path, monkeypatch, limit: int):
    monkeypatch.setattr(files, "_IN_MEMORY", limit)
    array = files.scratch((7, 5, 3), np.uint16, tmp_path / "out")
    assert isinstance(array, np.memmap) == (limit == 0)
    assert array.shape == (7, 5, 3) and array.dtype == np.uint16
    values = np.arange(105, dtype=np.uint16).reshape(7, 5, 3)
    array[:] = values
    np.testing.assert_array_equal(array, values)
    del array
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


def test_a_file_that_another_process_writes_is_left_alone(tmp_path: Path):
    code = (
        "import sys; from desra.io.files import atomic_write\n"
        "with atomic_write(sys.argv[1]) as file:\n"
        "    file.write(b'whole'); print('open', flush=True); input()"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "open\n"
        (tmp_path / ".0123456789abcdef.tmp").write_text("of a killed process")
        remove_unfinished(tmp_path)
        assert len(list(tmp_path.glob(".*.tmp"))) == 1
        process.communicate("\n")
    assert process.returncode == 0 and (tmp_path / "a").read_bytes() == b"whole"
