"""Which samples a run sees, and which process takes which of them."""

import signal
from collections.abc import Iterator
from typing import Any

import cv2
import torch
from torch.utils.data import DataLoader, Sampler

from desra.data.samples import MixedDataset
from desra.options.train import DatasetOptions, TrainOptions
from desra.registry import DATASET_REGISTRY, build
from desra.utils import distributed


def _dataset(section: DatasetOptions, key: str, scale: int, seed: int) -> Any:
    spec = section.spec()
    return build(DATASET_REGISTRY, {"scale": scale, "seed": seed, **spec}, key)


def make_dataset(opt: TrainOptions) -> MixedDataset:
    """The training samples: ``datasets.train`` and, by their shares, ``datasets.clean``."""
    sections = {"datasets.train": opt.datasets.train, "datasets.clean": opt.datasets.clean}
    given = {key: section for key, section in sections.items() if section is not None}
    parts = [_dataset(s, key, opt.scale, opt.manual_seed) for key, s in given.items()]
    return MixedDataset(parts, [s.share for s in given.values()], opt.manual_seed)


def samples_a_step(opt: TrainOptions) -> int:
    """By all processes together."""
    return opt.datasets.batch_size * opt.train.accumulate * distributed.count()


class Shares(Sampler[int]):
    """The sample numbers of one process.

    N processes with batches of b see together what one process with batches of N b sees, batch by
    batch, also where a step accumulates several.

    Args:
        start: the first number of the first step.
        steps: how many there are.
        batch: samples that a process takes at a time, b.
        accumulate: batches a step.
        rank, count: which process, of how many.

    Example:
        >>> [list(Shares(0, 2, 2, 1, rank, 2)) for rank in (0, 1)]
        [[0, 1, 4, 5], [2, 3, 6, 7]]
    """

    def __init__(self, start: int, steps: int, batch: int, accumulate: int, rank: int, count: int):
        self._start, self._batches = start, steps * accumulate
        self._size, self._rank, self._count = batch, rank, count

    def __iter__(self) -> Iterator[int]:
        for number in range(self._batches):
            first = self._start + (number * self._count + self._rank) * self._size
            yield from range(first, first + self._size)

    def __len__(self) -> int:
        return self._batches * self._size


def _prepare_worker(_worker: int) -> None:
    cv2.setNumThreads(0)  # workers share the processors with the training process
    # Ctrl-C reaches the whole group of processes: the training process alone decides when to stop.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def make_loader(
    opt: TrainOptions, dataset: MixedDataset, start: int, steps: int
) -> DataLoader[dict[str, Any]]:
    """What this process takes in ``steps`` steps from sample ``start`` on, a step at a time, each
    sample the same whichever worker makes it."""
    size, accumulate = opt.datasets.batch_size, opt.train.accumulate
    workers = opt.datasets.num_workers
    return DataLoader(
        dataset,
        batch_size=size * accumulate,
        sampler=Shares(start, steps, size, accumulate, distributed.rank(), distributed.count()),
        num_workers=workers,
        worker_init_fn=_prepare_worker,
        prefetch_factor=4 if workers else None,
        pin_memory=torch.cuda.is_available(),
        # Of its own, for a loader draws from the global one, once more in a run that resumes.
        generator=torch.Generator().manual_seed(opt.manual_seed),
    )
