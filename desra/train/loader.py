"""The training data of a run: its dataset, the sampler of each process, and the loader."""

import signal
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import cv2
import torch
from torch.utils.data import DataLoader, Dataset, Sampler, default_collate

from desra.data.samples import MixedDataset
from desra.options.train import DatasetOptions, TrainOptions
from desra.registry import DATASET_REGISTRY, build
from desra.utils import distributed
from desra.utils.errors import InputError


def _dataset(section: DatasetOptions, key: str, scale: int, seed: int) -> Any:
    spec = section.spec()
    return build(DATASET_REGISTRY, {"scale": scale, "seed": seed, **spec}, key)


def make_dataset(opt: TrainOptions) -> MixedDataset:
    """Return the training samples: ``datasets.train`` and, by its share, ``datasets.clean``.

    Raises:
        InputError: an unknown type, or wrong arguments or data of a dataset.
    """
    sections = {"datasets.train": opt.datasets.train}
    if opt.datasets.clean is not None:
        sections["datasets.clean"] = opt.datasets.clean
    datasets = [_dataset(s, key, opt.scale, opt.manual_seed) for key, s in sections.items()]
    return MixedDataset(datasets, [s.share for s in sections.values()], opt.manual_seed)


def samples_a_step(opt: TrainOptions) -> int:
    """Return how many samples all processes together take in a step."""
    return opt.datasets.batch_size * opt.train.accumulate * distributed.world_size()


class RankSampler(Sampler[int]):
    """The sample numbers of one process, as a sampler for a loader.

    N processes with batches of b together see what one process with batches of N b sees, batch by
    batch, also where a step accumulates several batches.

    Args:
        start: the first number of the first step.
        steps: number of steps.
        batch_size: samples of a batch in one process, b.
        accumulate: batches of a step.
        rank, world_size: which process, of how many.

    Example:
        >>> [list(RankSampler(0, 2, 2, 1, rank, 2)) for rank in (0, 1)]
        [[0, 1, 4, 5], [2, 3, 6, 7]]
    """

    def __init__(
        self,
        start: int,
        steps: int,
        batch_size: int,
        accumulate: int,
        rank: int,
        world_size: int,
    ):
        self._start, self._batches = start, steps * accumulate
        self._batch_size, self._rank, self._world_size = batch_size, rank, world_size

    def __iter__(self) -> Iterator[int]:
        for batch in range(self._batches):
            first = self._start + (batch * self._world_size + self._rank) * self._batch_size
            yield from range(first, first + self._batch_size)

    def __len__(self) -> int:
        return self._batches * self._batch_size


def _prepare_worker(_worker: int) -> None:
    cv2.setNumThreads(0)  # workers share the processors with the training process
    # Ctrl-C reaches the whole group of processes: the training process alone decides when to stop.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


class _Failed(NamedTuple):
    """What an InputError of a worker said; raised there, it would come with a traceback."""

    message: str


class _Telling(Dataset[Any]):
    """A dataset that returns its InputErrors as items."""

    def __init__(self, dataset: MixedDataset):
        self.dataset = dataset

    def __getitem__(self, number: int) -> Any:
        try:
            return self.dataset[number]
        except InputError as error:
            return _Failed(str(error))


def _collate(samples: list[Any]) -> Any:
    failed = [sample for sample in samples if isinstance(sample, _Failed)]
    return failed[0] if failed else default_collate(samples)


def batches_of(loader: Iterable[Any]) -> Iterator[dict[str, Any]]:
    """Yield the batches of a loader.

    Raises:
        InputError: a sample cannot be read.
    """
    for batch in loader:
        if isinstance(batch, _Failed):
            raise InputError(batch.message)
        yield batch


def make_loader(
    opt: TrainOptions, dataset: MixedDataset, start: int, steps: int
) -> DataLoader[dict[str, Any]]:
    """Return the loader of this process; an item of it holds all samples of a step.

    Its batches are read through `batches_of`. Which samples they are does not depend on the number
    of workers.

    Args:
        opt: the options of the run.
        dataset: the training samples.
        start: number of the first sample.
        steps: number of steps.
    """
    size, accumulate = opt.datasets.batch_size, opt.train.accumulate
    workers = opt.datasets.num_workers
    return DataLoader(
        _Telling(dataset),
        collate_fn=_collate,
        batch_size=size * accumulate,
        sampler=RankSampler(
            start, steps, size, accumulate, distributed.rank(), distributed.world_size()
        ),
        num_workers=workers,
        worker_init_fn=_prepare_worker,
        prefetch_factor=4 if workers else None,
        pin_memory=torch.cuda.is_available(),
        # Of its own, for a loader draws from the global one, once more in a run that resumes.
        generator=torch.Generator().manual_seed(opt.manual_seed),
    )
