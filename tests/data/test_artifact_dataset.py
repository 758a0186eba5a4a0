"""Crops out of a results folder: aligned, centred on artifacts, reproducible, bad rows listed."""

from dataclasses import replace

import numpy as np
import pytest

from desra import manifest
from desra.data.artifact_dataset import ArtifactDataset
from desra.errors import InputError
from desra.images import write_image

SCALE = 4


def _row(stem, lq, size, components):
    return manifest.Row(
        stem=stem, lq=str(lq), lq_size=size, sr_size=(size[0] * SCALE, size[1] * SCALE),
        scale=SCALE, mask_pixels=400 * components, components=components, mean_D=0.9,
        seconds={}, settings="x", notes=(),
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    """Two images of 24 x 32 LR pixels. The pseudo ground truth is the LR image repeated, so that
    alignment shows; 'b' has one artifact of 20 x 20 pixels at (40, 80)."""
    rng = np.random.default_rng(0)
    rows = []
    for stem, components in (("a", 0), ("sub/b", 1)):
        lq = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
        mask = np.zeros((96, 128), bool)
        if components:
            mask[40:60, 80:100] = True
        write_image(tmp_path / "lq" / f"{stem}.png", lq)
        write_image(
            manifest.result(tmp_path, "pseudo_gt", stem), lq.repeat(SCALE, 0).repeat(SCALE, 1)
        )
        write_image(manifest.result(tmp_path, "mask", stem), mask)
        rows.append(_row(stem, tmp_path / "lq" / f"{stem}.png", (24, 32), components))
    manifest.write(tmp_path, rows)
    return tmp_path


def test_crops_are_aligned_after_augmentation(folder):
    dataset = ArtifactDataset(str(folder), SCALE, gt_size=64, artifact_prob=0.5)
    for number in range(20):
        sample = dataset[number]
        assert sample["lq"].shape == (3, 16, 16)
        assert sample["gt"].shape == (3, 64, 64)
        assert sample["mask"].shape == (1, 64, 64)
        again = sample["lq"].repeat_interleave(SCALE, 1).repeat_interleave(SCALE, 2)
        assert (again == sample["gt"]).all()


def test_artifact_crops_hold_the_artifact(folder):
    dataset = ArtifactDataset(str(folder), SCALE, gt_size=64, artifact_prob=1.0)
    for number in range(20):
        sample = dataset[number]
        assert sample["name"] == "sub/b"
        assert sample["mask"].sum() == 400  # 64 px around any of its pixels hold all 20 x 20
        assert set(sample["mask"].unique().tolist()) == {0.0, 1.0}


def test_share_of_artifact_crops(folder):
    dataset = ArtifactDataset(str(folder), SCALE, gt_size=16, artifact_prob=0.25)
    names = [dataset[number]["name"] for number in range(400)]
    # A quarter is centred on b's artifact, and half of the rest lies in b by chance.
    assert 0.55 < names.count("sub/b") / 400 < 0.70


def test_a_sample_depends_on_seed_and_number_alone(folder):
    first = ArtifactDataset(str(folder), SCALE, gt_size=32, seed=3)
    second = ArtifactDataset(str(folder), SCALE, gt_size=32, seed=3)
    second[7]
    assert (first[5]["lq"] == second[5]["lq"]).all()
    other = ArtifactDataset(str(folder), SCALE, gt_size=32, seed=4)
    assert any((first[n]["lq"] != other[n]["lq"]).any() for n in range(8))


def test_images_smaller_than_the_crop_are_reflected(folder):
    sample = ArtifactDataset(str(folder), SCALE, gt_size=160, use_hflip=False, use_rot=False)[0]
    lq = sample["lq"]
    assert lq.shape == (3, 40, 40)
    assert (lq[:, 24:40] == lq[:, 7:23].flip(1)).all()  # mirrored about row 23
    assert (lq[:, :, 32:40] == lq[:, :, 23:31].flip(2)).all()


def test_every_bad_row_is_listed(folder):
    rows = manifest.read(folder)
    manifest.result(folder, "mask", "a").unlink()
    write_image(manifest.result(folder, "pseudo_gt", "sub/b"), np.zeros((96, 124, 3), np.uint8))
    with pytest.raises(InputError) as error:
        ArtifactDataset(str(folder), SCALE, gt_size=64)
    assert "mask" in str(error.value) and "not 4 times as large" in str(error.value)

    manifest.write(folder, [replace(row, lq=None) for row in rows.values()])
    with pytest.raises(InputError, match="no LR image"):
        ArtifactDataset(str(folder), SCALE, gt_size=64)


def test_nothing_found_is_said(folder):
    rows = manifest.read(folder)
    manifest.write(folder, [rows["a"]])
    with pytest.raises(InputError, match="no artifacts were found"):
        ArtifactDataset(str(folder), SCALE, gt_size=64)


def test_no_results_folder_tells_the_command(tmp_path):
    with pytest.raises(InputError, match=r"python -m desra.detect"):
        ArtifactDataset(str(tmp_path), SCALE, gt_size=64)


def test_the_fingerprint_tells_other_results(folder):
    rows = manifest.read(folder)
    first = ArtifactDataset(str(folder), SCALE, gt_size=64).fingerprint
    manifest.write(folder, [replace(row, seconds={"sr": 9.0}) for row in rows.values()])
    assert ArtifactDataset(str(folder), SCALE, gt_size=64).fingerprint == first
    manifest.write(folder, [replace(row, settings="y") for row in rows.values()])
    assert ArtifactDataset(str(folder), SCALE, gt_size=64).fingerprint != first
