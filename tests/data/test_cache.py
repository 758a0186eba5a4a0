"""The cache: bounded by bytes, oldest use out first, files written anew are read anew."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from desra.data.cache import ByteCache


class Reader:
    """Makes an array of as many bytes as the file's text says, and counts."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def __call__(self, path: Path) -> tuple[np.ndarray, ...]:
        self.read.append(path.name)
        return (np.zeros(int(path.read_text()), np.uint8),)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    for name in "abc":
        (tmp_path / name).write_text("40")
    return {name: tmp_path / name for name in "abc"}


def test_what_was_used_last_stays(files: dict[str, Path]):
    cache, reader = ByteCache(100), Reader()
    for name in "abacab":  # c drives b out, for a was used after it
        cache.get(files[name], reader)
        assert cache.used <= 100
    assert reader.read == ["a", "b", "c", "b"]


def test_what_is_larger_than_the_limit_is_not_kept_and_drives_nothing_out(files: dict[str, Path]):
    cache, reader = ByteCache(100), Reader()
    files["b"].write_text("101")
    for name in "abba":
        assert cache.get(files[name], reader)[0].nbytes == int(files[name].read_text())
    assert reader.read == ["a", "b", "b"] and cache.used == 40


def test_a_file_written_anew_is_read_anew(files: dict[str, Path]):
    cache, reader = ByteCache(100), Reader()
    cache.get(files["a"], reader)
    files["a"].write_text("30")
    assert cache.get(files["a"], reader)[0].nbytes == 30
    os.utime(files["a"], ns=(1, 1))  # the same size
    cache.get(files["a"], reader)
    assert reader.read == ["a"] * 3


def test_two_things_made_of_one_file_are_kept_apart(files: dict[str, Path]):
    cache, first, second = ByteCache(100), Reader(), Reader()
    cache.get(files["a"], first)
    cache.get(files["a"], second)
    assert first.read == second.read == ["a"] and cache.used == 80
