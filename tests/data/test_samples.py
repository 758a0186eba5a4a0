"""Samples: order, padding, aligned crops, the same augmentation for all, shares."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from desra.data.samples import (
    MixedDataset,
    augment,
    crop_at,
    pad_to,
    pick,
    rng_of,
    to_tensor,
)
from desra.utils.errors import InputError


def test_each_image_once_an_epoch_in_a_new_order():
    epochs = [[pick(e * 7 + i, 7, seed=4) for i in range(7)] for e in range(5)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1
    assert epochs != [[pick(e * 7 + i, 7, seed=5) for i in range(7)] for e in range(5)]


def test_rng_depends_on_all_its_numbers():
    assert rng_of(1, 2, 3).random() == rng_of(1, 2, 3).random()
    assert len({rng_of(*n).random() for n in [(1, 2, 3), (1, 3, 2), (1, 2), (2, 2, 3)]}) == 4


@pytest.mark.parametrize("have", [(1, 1), (1, 5), (2, 3), (5, 9), (12, 12), (30, 8)])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_pad_to_reflects_and_never_crops(have: tuple[int, int], channels: tuple[int, ...]):
    image = np.arange(np.prod(have + channels)).reshape(have + channels)
    grown = pad_to(image, 12, 11)
    assert grown.shape == (max(have[0], 12), max(have[1], 11), *channels)
    np.testing.assert_array_equal(grown[: have[0], : have[1]], image)
    for axis in (0, 1):  # each new row and column is one of the old
        lines = np.moveaxis(grown, axis, 0)
        old = {line.tobytes() for line in lines[: have[axis]]}
        assert {line.tobytes() for line in lines} == old


def test_pad_to_keeps_images_of_different_scale_aligned():
    lq = rng_of(0).integers(0, 255, (3, 8, 3))
    gt = lq.repeat(4, 0).repeat(4, 1)
    small, large = pad_to(lq, 11, 11), pad_to(gt, 44, 44)
    np.testing.assert_array_equal(large, small.repeat(4, 0).repeat(4, 1))
    np.testing.assert_array_equal(small[3:6], small[2::-1])  # mirrored


def test_crops_of_lq_and_gt_show_the_same_place():
    lq = rng_of(0).integers(0, 255, (10, 12, 3))
    gt = lq.repeat(4, 0).repeat(4, 1)
    small, large = crop_at([(lq, 1), (gt, 4)], top=3, left=5, size=6)
    assert small.shape == (6, 6, 3)
    np.testing.assert_array_equal(large, small.repeat(4, 0).repeat(4, 1))
    np.testing.assert_array_equal(small, lq[3:9, 5:11])


def test_augmentation_is_the_same_for_all_and_takes_all_eight_forms():
    lq = rng_of(0).integers(0, 255, (4, 4, 3))
    gt, mask = lq.repeat(2, 0).repeat(2, 1), lq[..., 0]
    forms = set()
    for seed in range(100):
        a, b, c = augment([lq, gt, mask], rng_of(seed), hflip=True, rot=True)
        np.testing.assert_array_equal(b, a.repeat(2, 0).repeat(2, 1))
        np.testing.assert_array_equal(c, a[..., 0])
        forms.add(a.tobytes())
    turned = {np.rot90(flipped, k).tobytes() for k in range(4) for flipped in (lq, lq[:, ::-1])}
    assert forms == turned


def test_augmentation_does_what_is_asked_only():
    image = rng_of(0).integers(0, 255, (4, 4, 3))

    def forms(hflip: bool, rot: bool) -> set[bytes]:
        return {augment([image], rng_of(s), hflip, rot)[0].tobytes() for s in range(60)}

    assert forms(False, False) == {image.tobytes()}
    assert forms(True, False) == {image.tobytes(), image[:, ::-1].tobytes()}
    assert len(forms(False, True)) == 4


def test_tensors():
    image = rng_of(0).integers(0, 256, (5, 4, 3), dtype=np.uint8)
    tensor = to_tensor(image[:, ::-1])
    assert tensor.dtype == torch.float32 and tensor.is_contiguous()
    np.testing.assert_allclose(tensor.numpy(), image[:, ::-1].transpose(2, 0, 1) / 255, rtol=1e-6)
    for narrow in (image[:, :1][:, ::-1], image[:1][::-1]):  # numpy calls these contiguous
        assert to_tensor(narrow).shape == (3, *narrow.shape[:2])
    mask = to_tensor(np.array([[True, False]]))
    assert mask.tolist() == [[[1.0, 0.0]]]
    assert to_tensor(np.float32([[0.25]])).tolist() == [[[0.25]]]


class Constant(torch.utils.data.Dataset):
    def __init__(self, name: str):
        self.name = name

    def __getitem__(self, number: int) -> tuple[str, int]:
        return self.name, number


def test_mixing_keeps_shares_and_numbers():
    mixed = MixedDataset([Constant("a"), Constant("b")], [3.0, 1.0], seed=0)
    drawn = [mixed[i] for i in range(2000)]
    assert [number for _, number in drawn] == list(range(2000))
    share = sum(name == "a" for name, _ in drawn) / 2000
    assert share == pytest.approx(0.75, abs=3 * np.sqrt(0.75 * 0.25 / 2000))
    assert drawn == [mixed[i] for i in range(2000)]


def test_one_dataset_is_not_drawn_for():
    assert MixedDataset([Constant("a")], [0.1], seed=0)[12] == ("a", 12)


def test_sharpened_targets_of_some_datasets_only_are_refused():
    sharp = Constant("b")
    sharp.gt_usm = True
    MixedDataset([sharp, sharp], [1.0, 1.0], seed=0)
    with pytest.raises(InputError, match="gt_usm is true for one dataset and not for another"):
        MixedDataset([Constant("a"), sharp], [1.0, 1.0], seed=0)
