"""Crops out of a results folder: aligned, centred on artifacts, reproducible, bad rows listed."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from desra.data.artifact_dataset import ArtifactDataset
from desra.detect import detect
from desra.io import manifest
from desra.io.images import read_image, write_image
from desra.options.detect import DetectOptions
from desra.options.loading import parse
from desra.utils.errors import InputError

SCALE = 4


def _row(stem, lq, size, regions):
    return manifest.Row(
        stem=stem,
        lq=str(lq),
        lq_size=size,
        sr_size=(size[0] * SCALE, size[1] * SCALE),
        scale=SCALE,
        mask_pixels=400 * regions,
        regions=regions,
        mean_D=0.9,
        seconds={},
        settings="x",
        notes=(),
    )


@pytest.fixture
def folder(tmp_path):
    """Two images of 24 x 32 LR pixels. The pseudo ground truth is the LR image repeated, so that
    alignment shows; 'b' has one artifact of 20 x 20 pixels at (40, 80)."""
    rng = np.random.default_rng(0)
    rows = []
    for stem, regions in (("a", 0), ("sub/b", 1)):
        lq = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
        mask = np.zeros((96, 128), bool)
        if regions:
            mask[40:60, 80:100] = True
        write_image(tmp_path / "lq" / f"{stem}.png", lq)
        write_image(
            manifest.result(tmp_path, "pseudo_gt", stem), lq.repeat(SCALE, 0).repeat(SCALE, 1)
        )
        write_image(manifest.result(tmp_path, "mask", stem), mask)
        rows.append(_row(stem, tmp_path / "lq" / f"{stem}.png", (24, 32), regions))
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
    assert (lq[:, 24:40] == lq[:, 8:24].flip(1)).all()  # mirrored below row 23
    assert (lq[:, :, 32:40] == lq[:, :, 24:32].flip(2)).all()


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


def test_sharpened_targets_are_given_when_asked_for(folder):
    from basicsr.utils import USMSharp

    sample = ArtifactDataset(str(folder), SCALE, gt_size=64, gt_usm=True)[1]
    expected = USMSharp()(sample["gt"][None])[0]
    assert (sample["gt"] - expected).abs().max() > 0.02
    torch.testing.assert_close(sample["gt_usm"], expected, rtol=0, atol=1e-5)
    assert "gt_usm" not in ArtifactDataset(str(folder), SCALE, gt_size=64)[1]


def test_every_region_is_drawn_with_equal_odds_whatever_its_size(folder):
    mask = np.zeros((96, 128), bool)
    mask[40:60, 80:100] = True
    mask[8:10, 8:10] = True
    write_image(manifest.result(folder, "mask", "sub/b"), mask)
    rows = manifest.read(folder)
    rows["sub/b"] = replace(rows["sub/b"], mask_pixels=404, regions=2)
    manifest.write(folder, rows.values())
    dataset = ArtifactDataset(str(folder), SCALE, gt_size=16, artifact_prob=1.0)
    sums = [int(dataset[number]["mask"].sum()) for number in range(300)]
    small = sums.count(4)  # 16 pixels around its pixels hold all 2 x 2 and nothing else
    assert abs(small - 150) < 4 * np.sqrt(300 / 4)
    assert all(value == 4 or value > 50 for value in sums)


def test_a_mask_edited_after_detect_is_refused_with_the_way_to_do_it(folder):
    write_image(manifest.result(folder, "mask", "sub/b"), np.zeros((96, 128), bool))
    with pytest.raises(InputError, match="give corrected masks to detect") as error:
        ArtifactDataset(str(folder), SCALE, gt_size=64)
    assert "sub/b.png" in str(error.value)


def test_masks_corrected_by_a_human_are_learnt_from(tmp_path):
    """detect, a mask drawn by hand, detect again with it: crops and truth are those of the hand."""
    rng = np.random.default_rng(1)
    write_image(tmp_path / "lq/a.png", rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
    mse = np.full((96, 128, 3), 100, np.uint8)
    gan = rng.integers(0, 256, (96, 128, 3), dtype=np.uint8)  # an artifact everywhere
    write_image(tmp_path / "mse/a.png", mse)
    write_image(tmp_path / "gan/a.png", gan)
    settings = {
        "input": {
            key: str(tmp_path / name)
            for key, name in (("lq", "lq"), ("sr_mse", "mse"), ("sr_gan", "gan"))
        },
        "output": str(tmp_path / "results"),
        "scale": SCALE,
        "mask": {"min_area": 100},
        "detector": {"type": "relative_local_variance"},
    }
    detect(parse(DetectOptions, settings, "detect"))
    before = ArtifactDataset(str(tmp_path / "results"), SCALE, gt_size=96)
    assert before[0]["mask"].mean() > 0.7

    hand = np.zeros((96, 128), bool)
    hand[20:40, 40:70] = True
    write_image(tmp_path / "hand/a.png", hand)
    detect(parse(DetectOptions, {**settings, "masks": str(tmp_path / "hand")}, "detect"))
    after = ArtifactDataset(
        str(tmp_path / "results"), SCALE, gt_size=96, use_hflip=False, use_rot=False
    )
    assert after.fingerprint != before.fingerprint
    for number in range(4):  # in this process too, which has read the files of before
        sample = after[number]
        inside = sample["mask"][0].bool()
        assert inside.sum() == hand.sum()
        assert (sample["gt"][:, inside] == 100 / 255).all()
        assert (sample["gt"][:, ~inside] != 100 / 255).float().mean() > 0.9


def test_several_folders_are_one_with_the_artifacts_of_all(folder, tmp_path):
    """As after two rounds: what is gone in the second folder stays a sample, by its pixels."""
    later = tmp_path / "later"
    rows = manifest.read(folder)
    truths = {}
    for stem, row in rows.items():
        mask = np.zeros((96, 128), bool)
        mask[0:20, 0:20] = stem == "a"
        truth = np.full((96, 128, 3), 7, np.uint8)
        write_image(manifest.result(later, "pseudo_gt", stem), truth)
        write_image(manifest.result(later, "mask", stem), mask)
        rows[stem] = replace(row, regions=int(mask.any()), mask_pixels=int(mask.sum()))
        truths[stem] = truth
    new = tmp_path / "lq" / "new.png"
    write_image(new, np.zeros((24, 32, 3), np.uint8))
    write_image(manifest.result(later, "pseudo_gt", "new"), np.zeros((96, 128, 3), np.uint8))
    write_image(manifest.result(later, "mask", "new"), np.zeros((96, 128), bool))
    rows["new"] = replace(rows["a"], stem="new", lq=str(new), regions=0, mask_pixels=0)
    manifest.write(later, rows.values())

    roots = [str(folder), str(later)]
    plain = {"scale": SCALE, "gt_size": 128, "use_hflip": False, "use_rot": False}
    dataset = ArtifactDataset(roots, **plain, artifact_prob=0.0)
    samples = {sample["name"]: sample for sample in (dataset[n] for n in range(3))}
    assert set(samples) == {"a", "sub/b", "new"}  # each once an epoch
    first = np.repeat(np.repeat(read_image(tmp_path / "lq/sub/b.png").rgb8, SCALE, 0), SCALE, 1)
    expected = truths["sub/b"].copy()
    expected[40:60, 80:100] = first[40:60, 80:100]
    gt = (samples["sub/b"]["gt"] * 255).round().byte().numpy().transpose(1, 2, 0)
    assert (gt[:96] == expected).all()
    masks = {name: int(sample["mask"][0, :96].sum()) for name, sample in samples.items()}
    assert masks == {"a": 400, "sub/b": 400, "new": 0}
    centred = ArtifactDataset(roots, **plain, artifact_prob=1.0)
    assert {centred[n]["name"] for n in range(8)} == {"a", "sub/b"}
    assert dataset.fingerprint != ArtifactDataset(str(folder), **plain).fingerprint
    with pytest.raises(InputError, match="holds no manifest.jsonl"):
        ArtifactDataset([str(folder), str(tmp_path / "nothing")], **plain)
