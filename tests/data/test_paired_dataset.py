"""PairedDataset: which files pair, alignment, bad pairs said together."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from desra.data.paired_dataset import PairedDataset
from desra.io.images import read_rgb8
from desra.utils.errors import InputError
from helpers.small import save_png

# isort: split
from basicsr.utils.img_process_util import usm_sharp

SCALE = 2


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """lq/ and gt/ with a, b and sub/c; gt is lq repeated, so that alignment shows."""
    rng = np.random.default_rng(0)
    for stem in ("a", "b", "sub/c"):
        lq = rng.integers(0, 256, (12, 14, 3), dtype=np.uint8)
        save_png(tmp_path / "lq" / f"{stem}.png", lq)
        save_png(tmp_path / "gt" / f"{stem}.png", lq.repeat(SCALE, 0).repeat(SCALE, 1))
    return tmp_path


def dataset(folders: Path, **changes: Any) -> PairedDataset:
    roots = {"dataroot_lq": str(folders / "lq"), "dataroot_gt": str(folders / "gt")}
    return PairedDataset(**{**roots, "scale": SCALE, "gt_size": 16, **changes})


def names(data: PairedDataset) -> list[tuple[str, str]]:
    return [(lq.name, gt.name) for lq, gt in data.pairs]


@pytest.mark.parametrize("gt_size", [16, 40])  # 40: larger than the images
def test_crops_are_aligned_after_augmentation(folders: Path, gt_size: int):
    data, seen = dataset(folders, gt_size=gt_size), set()
    for number in range(12):
        sample = data[number]
        assert sample["lq"].shape == (3, gt_size // SCALE, gt_size // SCALE)
        assert sample["lq"].dtype == torch.float32
        assert sample["mask"].shape == (1, gt_size, gt_size) and not sample["mask"].any()
        again = sample["lq"].repeat_interleave(SCALE, 1).repeat_interleave(SCALE, 2)
        assert torch.equal(again, sample["gt"])
        assert torch.equal(dataset(folders, gt_size=gt_size)[number]["gt"], sample["gt"])
        seen.add(sample["name"])
    assert seen == {"a", "b", "c"}


def test_augmentation_can_be_left_out(folders: Path):
    data = dataset(folders, gt_size=24, use_hflip=False, use_rot=False)
    crop = data[0]["gt"]
    whole = {gt.stem: gt for _, gt in data.pairs}
    image = torch.from_numpy(read_rgb8(whole[data[0]["name"]]).copy()).permute(2, 0, 1) / 255
    places = [image[:, :, x : x + 24] for x in (0, 2, 4)]
    assert any(torch.equal(crop, place) for place in places)


def test_lists(folders: Path):
    pairs = folders / "pairs.txt"
    pairs.write_text("a.png, b.png\nsub/c.png, sub/c.png\n\n")
    assert names(dataset(folders, meta_info=str(pairs))) == [("b.png", "a.png"), ("c.png", "c.png")]

    shapes = folders / "shapes.txt"
    shapes.write_text("b.png (24,28,3)\na.png (24, 28, 3)\na.png\n")
    found = names(dataset(folders, meta_info=str(shapes)))
    assert found == [("b.png", "b.png"), ("a.png", "a.png"), ("a.png", "a.png")]


def test_name_templates(folders: Path):
    for path in sorted((folders / "lq").rglob("*.png")):
        path.rename(path.with_name(f"{path.stem}x2.png"))
    found = names(dataset(folders, filename_tmpl="{}x2"))
    assert found == [("ax2.png", "a.png"), ("bx2.png", "b.png"), ("cx2.png", "c.png")]
    (folders / "shapes.txt").write_text("b.png (24,28,3)\n")
    meta = str(folders / "shapes.txt")
    assert names(dataset(folders, meta_info=meta, filename_tmpl="{}x2")) == [("bx2.png", "b.png")]
    with pytest.raises(InputError, match=r"(?s)'\{\}_lr' leaves images .*no a_lr\.\* in"):
        dataset(folders, filename_tmpl="{}_lr")


def test_sharpened_truth(folders: Path):
    plain, sharp = (dataset(folders, gt_usm=given)[0] for given in (False, True))
    assert "gt_usm" not in plain and torch.equal(plain["gt"], sharp["gt"])
    gt = np.ascontiguousarray(sharp["gt"].permute(1, 2, 0).numpy())
    np.testing.assert_allclose(sharp["gt_usm"].permute(1, 2, 0).numpy(), usm_sharp(gt), atol=1e-6)
    assert (sharp["gt_usm"] - sharp["gt"]).abs().max() > 0.01


def test_bad_pairs_are_said_together(folders: Path):
    save_png(folders / "lq" / "a.png", np.zeros((12, 13, 3), np.uint8))
    (folders / "lq" / "b.png").write_bytes(b"no image")
    with pytest.raises(InputError) as caught:
        dataset(folders)
    message = str(caught.value)
    assert "a.png (28 x 24) is not 2 times as large as" in message and "(13 x 12)" in message
    assert "b.png" in message and "c.png" not in message


def test_refusals(folders: Path):
    with pytest.raises(InputError, match="gt_size 15 must be a multiple of scale 2"):
        dataset(folders, gt_size=15)
    with pytest.raises(InputError, match=r"meta_info: .*none\.txt cannot be read"):
        dataset(folders, meta_info=str(folders / "none.txt"))
    (folders / "empty.txt").write_text("\n")
    with pytest.raises(InputError, match=r"empty\.txt lists no images"):
        dataset(folders, meta_info=str(folders / "empty.txt"))
    with pytest.raises(InputError, match="filename_tmpl: 'x' must hold {} once"):
        dataset(folders, filename_tmpl="x")
    (folders / "lq" / "a.png").unlink()
    with pytest.raises(InputError, match=r"do not pair up .*only in .*gt: a"):
        dataset(folders)


def test_the_fingerprint_tells_other_pairs(folders: Path):
    (folders / "one.txt").write_text("a.png\n")
    all_pairs, one = dataset(folders), dataset(folders, meta_info=str(folders / "one.txt"))
    assert all_pairs.fingerprint == dataset(folders).fingerprint != one.fingerprint


def test_the_fingerprint_tells_replaced_files(
    folders: Path, tmp_path_factory: pytest.TempPathFactory
):
    before = dataset(folders).fingerprint
    copied = shutil.copytree(folders, tmp_path_factory.mktemp("other") / "copied")
    assert dataset(copied).fingerprint == before
    for side in ("lq", "gt"):
        file = folders / side / "a.png"
        content = file.read_bytes()
        save_png(file, read_rgb8(file) // 64)
        assert dataset(folders).fingerprint != before
        file.write_bytes(content)
        assert dataset(folders).fingerprint == before
