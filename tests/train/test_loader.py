"""Which process takes which samples."""

from __future__ import annotations

import pytest
from torch.utils.data import DataLoader

from desra.train.loader import RankSampler


def steps(count: int, batch: int, accumulate: int, start: int = 0) -> list[list[list[int]]]:
    """Step -> batch of all processes -> sample numbers, sorted."""
    loaders = [
        iter(
            DataLoader(
                range(1000),
                batch_size=batch,
                sampler=RankSampler(start, 3, batch, accumulate, rank, count),
            )
        )
        for rank in range(count)
    ]
    return [
        [sorted(n for loader in loaders for n in next(loader).tolist()) for _ in range(accumulate)]
        for _ in range(3)
    ]


@pytest.mark.parametrize("accumulate", [1, 2, 3])
def test_many_processes_take_the_batches_of_one(accumulate: int):
    one = steps(1, 12, accumulate, start=5)
    assert one[0][0] == list(range(5, 17))
    assert one == steps(2, 6, accumulate, start=5) == steps(4, 3, accumulate, start=5)


def test_nothing_twice_and_nothing_left_out():
    shares = [RankSampler(7, 4, 2, 3, rank, 3) for rank in range(3)]
    assert sorted(n for share in shares for n in share) == list(range(7, 7 + 4 * 2 * 3 * 3))
    assert all(len(share) == len(list(share)) == 24 for share in shares)


def test_a_resumed_run_takes_what_comes_next():
    whole = list(RankSampler(0, 10, 2, 2, 1, 2))
    assert whole[4 * 4 :] == list(RankSampler(4 * 2 * 2 * 2, 6, 2, 2, 1, 2))


def test_numbers_go_on_where_they_were():
    alone = RankSampler(6, 4, 1, 1, 0, 1)
    assert list(alone) == [6, 7, 8, 9]
    assert len(alone) == 4
