"""DegradedDataset: shapes, alignment, the same sample for the same number."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from desra.data.degraded_dataset import DegradedDataset
from desra.utils.errors import InputError

# Nothing but resizing: then lq is gt made smaller.
NOTHING = {
    "kernel_list": ["iso"],
    "kernel_prob": [1.0],
    "sinc_prob": 0.0,
    "blur_sigma": [0.2, 0.2],
    "resize_prob": [0.0, 0.0, 1.0],
    "gaussian_noise_prob": 1.0,
    "noise_range": [0.0, 0.0],
    "jpeg_range": [100.0, 100.0],
    "second_blur_prob": 0.0,
    "resize_prob2": [0.0, 0.0, 1.0],
    "gaussian_noise_prob2": 1.0,
    "noise_range2": [0.0, 0.0],
    "jpeg_range2": [100.0, 100.0],
    "final_sinc_prob": 0.0,
}


def dataset(folder: Path, **changes: Any) -> DegradedDataset:
    return DegradedDataset(
        **{"dataroot_gt": str(folder), "scale": 2, "gt_size": 32, "crop_pad_size": 40, **changes}
    )


def test_a_sample(photographs: Path):
    sample = dataset(photographs)[0]
    assert sample["lq"].shape == (3, 16, 16) and sample["gt"].shape == (3, 32, 32)
    assert sample["mask"].shape == (1, 32, 32) and not sample["mask"].any()
    for key in ("lq", "gt"):
        assert sample[key].dtype == torch.float32
        assert 0 <= sample[key].min() and sample[key].max() <= 1
    assert sample["name"] in {"p0", "p1", "p2"}


def test_lq_and_gt_show_the_same_place(photographs: Path):
    for number in range(9):
        sample = dataset(photographs, degradation=NOTHING)[number]
        gt = sample["gt"].numpy().transpose(1, 2, 0)
        small = cv2.resize(gt, (16, 16), interpolation=cv2.INTER_AREA)
        lq = sample["lq"].numpy().transpose(1, 2, 0)
        right = np.abs(lq - small).mean()
        shifted = np.abs(lq[:, 1:] - small[:, :-1]).mean()
        assert right < 0.03 and right < 0.6 * shifted


def test_samples_are_the_same_whoever_makes_them(photographs: Path):
    def batches(start: int, workers: int) -> list[torch.Tensor]:
        loader = DataLoader(
            dataset(photographs), batch_size=2, sampler=range(start, 8), num_workers=workers
        )
        return [batch["lq"] for batch in loader]

    alone, apart, later = batches(0, 0), batches(0, 2), batches(4, 0)
    assert all(torch.equal(a, b) for a, b in zip(alone, apart, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(alone[2:], later, strict=True))
    assert not torch.equal(alone[0], dataset(photographs, seed=1)[0]["lq"])


@pytest.mark.parametrize(
    "changes",
    [
        {"gt_size": 31},
        {"crop_pad_size": 41},
        {"gt_size": 48},
        {"degradation": {"jpeg_rnage": [1, 2]}},
        {"dataroot_gt": "no/such/folder"},
    ],
)
def test_wrong_options(photographs: Path, changes: dict[str, Any]):
    with pytest.raises(InputError):
        dataset(photographs, **changes)


def test_photographs_smaller_than_the_crop_are_padded(photographs: Path):
    sample = dataset(photographs, crop_pad_size=80, gt_size=64)[0]
    assert sample["gt"].shape == (3, 64, 64)


def test_sharpened_targets_are_given_when_asked_for(photographs: Path):
    plain, sharp = dataset(photographs)[1], dataset(photographs, gt_usm=True)[1]
    assert "gt_usm" not in plain
    assert torch.equal(plain["gt"], sharp["gt"])
    assert sharp["gt_usm"].shape == sharp["gt"].shape
    assert 0 <= sharp["gt_usm"].min() and sharp["gt_usm"].max() <= 1
    # What is degraded is the sharpened image, as published.
    assert not torch.equal(plain["lq"], sharp["lq"])


def test_the_sharpened_target_is_cut_from_the_sharpened_crop(photographs: Path):
    """Without an inner crop it is basicsr's USMSharp of gt."""
    from basicsr.utils import USMSharp

    sample = dataset(photographs, gt_size=40, gt_usm=True)[2]
    expected = USMSharp()(sample["gt"][None])[0]
    assert (sample["gt"] - expected).abs().max() > 0.02
    torch.testing.assert_close(sample["gt_usm"], expected, rtol=0, atol=1e-5)


def test_the_fingerprint_tells_other_photographs(photographs: Path, tmp_path: Path):
    before = dataset(photographs).fingerprint
    shutil.copytree(photographs, tmp_path / "copied")
    assert dataset(tmp_path / "copied").fingerprint == before
    (photographs / "p1.png").rename(photographs / "p9.png")
    assert dataset(photographs).fingerprint != before
    (photographs / "p9.png").rename(photographs / "p1.png")
    (photographs / "list.txt").write_text("p0.png\np1.png\n")
    some = dataset(photographs, meta_info=str(photographs / "list.txt"))
    assert some.fingerprint != before == dataset(photographs).fingerprint
