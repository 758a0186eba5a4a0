"""A full disk is one sentence in all that is written, and is never skipped."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
import torch

from desra.detect.folder import KIND
from desra.io import files
from desra.io.images import write_image
from desra.io.ledger import Ledger
from desra.io.png import write_png
from desra.networks.checkpoints import save_atomically
from desra.utils import disk
from desra.utils.disk import told_if_full
from desra.utils.errors import DiskFullError, InputError, Unusable

FULL = Path("/dev/full")  # writing to it fails as on a full disk, by the kernel
RGB = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)

WRITERS: dict[str, Callable[[Path], object]] = {
    "json": lambda folder: files.write_json(folder / "a.json", ["text"] * 100),
    "png in parts": lambda folder: write_png(folder / "a.png", 64, RGB.__getitem__),
    **{
        suffix: lambda folder, s=suffix: write_image(folder / f"a{s}", RGB)
        for suffix in (".png", ".jpg", ".tif", ".webp")
    },
    "checkpoint": lambda folder: save_atomically({"w": torch.zeros(10_000)}, folder / "a.pth"),
}


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full here")
@pytest.mark.parametrize("name", WRITERS)
def test_every_writer_tells_it(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(path: Path) -> BinaryIO:
        return FULL.open("wb")

    monkeypatch.setattr(files, "_open_locked", full)
    with pytest.raises(InputError, match=r"cannot be written: No space left on device; free") as e:
        WRITERS[name](tmp_path)
    assert isinstance(e.value, DiskFullError)
    assert str(tmp_path) in str(e.value)
    assert "\n" not in str(e.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full here")
def test_the_ledger_tells_it(tmp_path: Path):
    ledger = Ledger(tmp_path, KIND, "output")
    ledger.begin()
    ledger.path.unlink()
    ledger.path.symlink_to(FULL)
    with ledger, pytest.raises(DiskFullError, match=f"{ledger.path} cannot be written"):
        write_png(tmp_path / "mask" / "a.png", 64, RGB.__getitem__)
    assert not list(tmp_path.rglob("*.png"))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_one_sentence_whatever_the_limit(number: int):
    with pytest.raises(DiskFullError) as caught, told_if_full("out/a.png"):
        raise OSError(number, "in some words")
    assert caught.value.errno == number
    assert str(caught.value) == (
        f"out/a.png cannot be written: {os.strerror(number)}; free space there or choose another "
        "folder, and give the same command again"
    )


def test_the_innermost_file_is_named():
    with (
        pytest.raises(DiskFullError, match=r"^a\.png "),
        told_if_full("out"),
        told_if_full("a.png"),
    ):
        raise OSError(errno.ENOSPC, "")


def test_other_errors_stay_as_they_are():
    for error in (OSError(errno.EIO, "input/output error"), RuntimeError("x"), OSError("x")):
        with pytest.raises(type(error)) as caught, told_if_full("a"):
            raise error
        assert caught.value is error


def test_it_is_told_where_another_error_comes_of_it():
    """As of torch.save: the writer's OSError is the context of a RuntimeError."""
    with pytest.raises(DiskFullError), told_if_full("a"):
        try:
            raise OSError(errno.ENOSPC, "")
        except OSError:
            raise RuntimeError("unexpected pos 704 vs 598")  # noqa: B904 - as torch does


def test_it_is_never_skipped():
    unusable = Unusable("skip")
    with unusable.passing_over():
        raise InputError("one image is damaged")
    with pytest.raises(DiskFullError), unusable.passing_over(), told_if_full("a"):
        raise OSError(errno.ENOSPC, "")


def test_a_large_scratch_array_takes_its_room_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A hole in a mapped file would end the process by SIGBUS, without a word."""
    monkeypatch.setattr(files, "_IN_MEMORY", 1000)
    array = files.scratch((10, 200), np.uint8, tmp_path)
    array[:] = 7
    assert int(array.sum()) == 14_000

    def none(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(disk.os, "posix_fallocate", none, raising=False)
    with pytest.raises(DiskFullError, match=str(tmp_path)):
        files.scratch((10, 200), np.uint8, tmp_path)
    assert not list(tmp_path.iterdir())
