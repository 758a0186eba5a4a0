"""Grids of samples: what is in them, and that they change nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset

from desra import train
from desra.data.samples import MixedDataset
from desra.train.pictures import SamplePictures
from helpers.training import opt_of, read, same


class Numbered(Dataset[dict[str, Any]]):
    """Sample n is of brightness n / 100; its mask covers n rows, and none from 10 on."""

    def __getitem__(self, number: int) -> dict[str, Any]:
        mask = torch.zeros(1, 32, 32)
        mask[:, : number if number < 10 else 0] = 1
        bright = number / 100
        return {
            "lq": torch.full((3, 16, 16), bright),
            "gt": torch.full((3, 32, 32), 1 - bright),
            "mask": mask,
        }


class Model:
    """Doubles the size and adds what it has learnt."""

    learnt = 0.1

    def preview(self, lq: Tensor) -> Tensor:
        return lq.repeat_interleave(2, 2).repeat_interleave(2, 3) + self.learnt


def test_rows_and_columns():
    model = Model()
    samples = SamplePictures(MixedDataset([Numbered()], [1.0], seed=0), model)
    model.learnt = 0.3
    picture = samples.picture(model)
    assert picture.shape == (3, 4 * 34 + 2, 5 * 34 + 2)
    for row, number in enumerate([9, 8, 7, 6]):  # most artifacts first
        cells = picture[:, 34 * row + 2 : 34 * row + 34].unfold(2, 34, 34)[:, :, :5, 2:]
        bright = number / 100
        for column, value in enumerate([bright, bright + 0.1, bright + 0.3, 1 - bright]):
            torch.testing.assert_close(cells[:, :, column], torch.full((3, 32, 32), value))
        mask = cells[:, :, 4]
        assert mask[:, :number].min() == 1 and mask[:, number:].max() == 0


@pytest.mark.parametrize("decay", [0, 0.9])
def test_they_are_written_and_change_nothing(decay: float, photographs: Path, tmp_path: Path):
    weights = []
    for freq in (0, 2):
        opt = opt_of(
            tmp_path / str(freq),
            photographs,
            train__ema_decay=decay,
            logger__image_freq=freq,
            train__total_iter=5,
        )
        weights.append(read(train.train(opt)))
    assert same(*weights)

    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "2/tiny/tb"))
    events.Reload()
    (tag,) = events.Tags()["images"]
    assert [e.step for e in events.Images(tag)] == [2, 4, 5]
    assert "lq" in tag and "before" in tag
    events = EventAccumulator(str(tmp_path / "0/tiny/tb"))
    events.Reload()
    assert events.Tags()["images"] == []
