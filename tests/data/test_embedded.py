"""The pictures that ship inside a dependency."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from desra.data import embedded
from desra.data.embedded import SCALE, SPLITS, make, provide_folder
from desra.io.files import sha256_of
from desra.io.images import read_image, write_image
from desra.io.listing import list_images
from desra.utils.errors import InputError


def test_no_photograph_is_in_both_splits():
    finetune, heldout = ({c.photograph for c in SPLITS[s]} for s in ("finetune", "heldout"))
    assert not finetune & heldout


def test_sizes_and_number():
    pictures = {**make("finetune"), **make("heldout")}
    assert len(pictures) >= 12
    for lq, gt in pictures.values():
        assert gt.shape == (lq.shape[0] * SCALE, lq.shape[1] * SCALE, 3)
        assert lq.dtype == gt.dtype == np.uint8
        # The LR image is a degraded version of its own truth, not of another crop.
        small = gt.reshape(lq.shape[0], SCALE, lq.shape[1], SCALE, 3).mean(axis=(1, 3))
        assert np.abs(small - lq).mean() < 20


def is_as_made(lq: Path, gt: Path) -> bool:
    """Whether two folders hold exactly the pictures that are held out."""
    pictures = make("heldout")
    found = [{f.stem: read_image(f.path).rgb for f in list_images(folder)} for folder in (lq, gt)]
    return all(f.keys() == pictures.keys() for f in found) and all(
        np.array_equal(found[i][stem], pair[i]) for stem, pair in pictures.items() for i in (0, 1)
    )


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    monkeypatch.chdir(tmp_path)
    return provide_folder("embedded:heldout", "lq"), provide_folder("embedded:heldout", "gt")


def test_written_once(folders, monkeypatch):
    assert is_as_made(*folders)
    files = [file for folder in folders for file in folder.iterdir()]
    for file in files:
        os.utime(file, (1, 1))
    monkeypatch.setattr(embedded, "make", None)  # cannot be called
    assert provide_folder("embedded:heldout", "lq") == folders[0]
    assert {file.stat().st_mtime for file in files} == {1}


@pytest.mark.parametrize("harm", ["gone", "changed", "no stamp", "garbage for a stamp"])
def test_what_is_missing_or_changed_is_written_again(folders, harm):
    victim = sorted(folders[1].iterdir())[0]
    stamp = folders[0].parent / "made.json"
    if harm == "gone":
        victim.unlink()
    elif harm == "changed":
        write_image(victim, np.zeros((8, 8, 3), np.uint8))
    elif harm == "no stamp":
        stamp.unlink()
    else:
        stamp.write_bytes(b"[]")
    provide_folder("embedded:heldout", "gt")
    assert is_as_made(*folders) and stamp.read_bytes() != b"[]"


def test_pictures_that_another_version_made_are_noticed(folders, monkeypatch):
    """Also those that are no longer made; a file of the user's own is left alone."""
    lq, gt = folders
    stamp = lq.parent / "made.json"
    content = json.loads(stamp.read_bytes())
    for file in (lq / "older.png", gt / "older.png"):
        write_image(file, np.zeros((8, 8, 3), np.uint8))
    write_image(sorted(lq.iterdir())[0], np.zeros((8, 8, 3), np.uint8))
    files = {f"{f.parent.name}/{f.name}": sha256_of(f) for f in (*lq.iterdir(), *gt.iterdir())}
    stamp.write_text(json.dumps({**content, "files": files}))
    (lq / "notes.txt").write_text("mine")
    # All files are as they were written: by the same code nothing is done, by other code all is.
    provide_folder("embedded:heldout", "lq")
    assert not is_as_made(lq, gt)
    monkeypatch.setattr(embedded, "version", lambda name: "another")
    provide_folder("embedded:heldout", "lq")
    assert is_as_made(lq, gt) and (lq / "notes.txt").is_file()


def test_a_path_stays_a_path():
    assert str(provide_folder("some/folder", "lq")) == "some/folder"


def test_an_unknown_split(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="embedded:finetune"):
        provide_folder("embedded:test", "lq")


@pytest.mark.parametrize(
    "edited", ["[]", '{"files": []}', '{"by": 1, "files": {"../../x.png": ""}}']
)
def test_an_edited_list_of_pictures_is_none(folders, edited: str):
    """What it names is not deleted, and the pictures are written again."""
    stamp = folders[0].parent / "made.json"
    foreign = stamp.parent / "../../x.png"
    foreign.write_text("of others")
    next(folders[0].iterdir()).unlink()
    stamp.write_text(edited)
    provide_folder("embedded:heldout", "lq")
    assert is_as_made(*folders) and foreign.read_text() == "of others"
    stamp.write_text(json.dumps(json.loads(stamp.read_text()) | {"files": {}}))
    next(folders[0].iterdir()).unlink()
    provide_folder("embedded:heldout", "lq")
    assert is_as_made(*folders)
