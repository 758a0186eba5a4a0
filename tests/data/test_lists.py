"""Lists of images: shapes after names, and the datasets that take them."""

from __future__ import annotations

from pathlib import Path

import pytest

from desra.data.degraded_dataset import DegradedDataset
from desra.data.lists import lines_of, listed_images
from desra.utils.errors import InputError


def test_lines(tmp_path: Path):
    file = tmp_path / "list.txt"
    file.write_text("a.png (480,480,3)\n\n  b c.png (4, 8, 3)\nsub/d (1).png\ne.png, f.png\n")
    assert lines_of(str(file)) == ["a.png", "b c.png", "sub/d (1).png", "e.png, f.png"]
    stems = [image.stem for image in listed_images(str(file), tmp_path)]
    assert stems == ["a", "b c", "sub/d (1)", "e.png, f"]
    file.write_text("\n \n")
    with pytest.raises(InputError, match=r"meta_info: .*list\.txt lists no images"):
        lines_of(str(file))
    with pytest.raises(InputError, match=r"meta_info: .*none\.txt cannot be read"):
        lines_of(str(tmp_path / "none.txt"))


def test_lists_of_windows(tmp_path: Path):
    file = tmp_path / "list.txt"
    file.write_bytes("sub\\a.png (4,4,3)\r\nb.png\r\n".encode("utf-8-sig"))
    assert lines_of(str(file)) == ["sub/a.png", "b.png"]


@pytest.mark.parametrize("line", [".", "..", "/", "a\0b.png", "a" * 5000])
def test_lines_that_are_no_file_name(tmp_path: Path, line: str):
    file = tmp_path / "list.txt"
    file.write_text(f"a.png\n{line}\n")
    with pytest.raises(InputError, match="has a line that is no file name"):
        lines_of(str(file))


def test_degraded_crops_of_listed_photographs(photographs: Path, tmp_path: Path):
    def dataset(text: str) -> DegradedDataset:
        (tmp_path / "list.txt").write_text(text)
        sizes = {"scale": 2, "gt_size": 16, "crop_pad_size": 24}
        return DegradedDataset(str(photographs), **sizes, meta_info=str(tmp_path / "list.txt"))

    data = dataset("p2.png\np0.png (48,56,3)\n")
    assert {data[number]["name"] for number in range(8)} == {"p0", "p2"}
    with pytest.raises(InputError, match=r"(?s)dataroot_gt: .*p9\.png"):
        dataset("p2.png\np9.png\n")
