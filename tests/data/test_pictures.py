"""The pictures that ship inside a dependency."""

import numpy as np
import pytest

from desra.data.pictures import SCALE, SPLITS, make, resolve_folder
from desra.errors import InputError
from desra.images import read_image
from desra.listing import list_images


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


def test_written_once_and_the_same_every_time(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lq, gt = resolve_folder("embedded:heldout", "lq"), resolve_folder("embedded:heldout", "gt")
    first = {p: p.read_bytes() for p in (f.path for f in list_images(lq))}
    resolve_folder("embedded:heldout", "lq")
    assert first == {p: p.read_bytes() for p in first}
    assert [f.stem for f in list_images(lq)] == [f.stem for f in list_images(gt)]
    pictures = make("heldout")
    for file in list_images(lq):
        assert (read_image(file.path).rgb == pictures[file.stem][0]).all()


def test_a_path_stays_a_path():
    assert str(resolve_folder("some/folder", "lq")) == "some/folder"


def test_an_unknown_split(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="embedded:finetune"):
        resolve_folder("embedded:test", "lq")
