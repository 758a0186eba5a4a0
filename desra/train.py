"""Stage 2: train or finetune. ``python -m desra.train -opt options/finetune.yml``

Writes ``<experiments_root>/<name>/``: ``models/net_g_<iter>.pth`` and ``net_g_latest.pth`` (keys
``params`` and ``params_ema``), ``training_states/latest.state``, ``options.yml``, ``train.log`` and
TensorBoard events in ``tb/``. The same command resumes a run that was cut off.
"""

import argparse
import logging
import random
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import yaml
from torch.utils.data import DataLoader
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from desra import checkpoints, cli
from desra.data.samples import MixedDataset, Numbers
from desra.errors import InputError
from desra.images import remove_unfinished
from desra.options import DatasetOptions, TrainOptions, fingerprint, resolved
from desra.registry import DATASET_REGISTRY, MODEL_REGISTRY, build, import_modules

logger = logging.getLogger("desra")


class RunFolder:
    """The folder of one run, and whether it holds a run to go on with.

    Args:
        opt: the options of the run.
        data: what changes when the training data does.
    """

    def __init__(self, opt: TrainOptions, data: Any = None):
        self.root = Path(opt.path.experiments_root) / opt.name
        self.models = self.root / "models"
        self.state_file = self.root / "training_states" / "latest.state"
        self.settings = resolved(opt)
        self.hash = fingerprint([self.settings, data])

    def open(self, overwrite: bool) -> dict[str, Any] | None:
        """Make the folder, and return the state to resume from, if there is one.

        Raises:
            InputError: the folder holds a run of other options or data, without ``overwrite``.
        """
        if overwrite and self.root.exists():
            shutil.rmtree(self.root)
        state = checkpoints.read(self.state_file) if self.state_file.is_file() else None
        if state is not None and state["options_hash"] != self.hash:
            raise InputError(
                f"name: {self.root} holds a run with other options or other data; choose another "
                "name, or give --overwrite to delete it"
            )
        self.models.mkdir(parents=True, exist_ok=True)
        remove_unfinished(self.root)
        (self.root / "options.yml").write_text(
            yaml.safe_dump(self.settings, sort_keys=False, allow_unicode=True), encoding="utf-8"
        )
        return state

    def save(self, model: Any, iteration: int) -> None:
        """Weights first, then the state that points past them."""
        weights = model.weights()
        checkpoints.save_atomically(weights, self.models / f"net_g_{iteration}.pth")
        checkpoints.save_atomically(weights, self.models / "net_g_latest.pth")
        state = {
            "iteration": iteration,
            "options_hash": self.hash,
            "torch_rng": torch.get_rng_state(),
            **model.state(),
        }
        checkpoints.save_atomically(state, self.state_file)


def _dataset(section: DatasetOptions, key: str, scale: int, seed: int) -> Any:
    spec = section.spec()
    return build(DATASET_REGISTRY, {"scale": scale, "seed": seed, **spec}, key)


def make_dataset(opt: TrainOptions) -> MixedDataset:
    """The training samples: ``datasets.train`` and, by their shares, ``datasets.clean``."""
    sections = {"datasets.train": opt.datasets.train, "datasets.clean": opt.datasets.clean}
    given = {key: section for key, section in sections.items() if section is not None}
    parts = [_dataset(s, key, opt.scale, opt.manual_seed) for key, s in given.items()]
    return MixedDataset(parts, [s.share for s in given.values()], opt.manual_seed)


def _one_thread(_worker: int) -> None:
    cv2.setNumThreads(0)  # workers share the processors with the training process


def make_loader(opt: TrainOptions, dataset: MixedDataset, start: int) -> DataLoader[dict[str, Any]]:
    """Batches ``start`` to ``total_iter``, each the same whichever worker makes it."""
    size = opt.datasets.batch_size
    return DataLoader(
        dataset,
        batch_size=size,
        sampler=Numbers(start * size, opt.train.total_iter * size),
        num_workers=opt.datasets.num_workers,
        worker_init_fn=_one_thread,
        prefetch_factor=4 if opt.datasets.num_workers else None,
        pin_memory=torch.cuda.is_available(),
        # Of its own, for a loader draws from the global one, once more in a run that resumes.
        generator=torch.Generator().manual_seed(opt.manual_seed),
    )


@contextmanager
def _text_log(path: Path) -> Iterator[None]:
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(logging.INFO)  # also where train() is called from Python, without our set-up
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
        handler.close()


def _seed_everything(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def train(opt: TrainOptions, overwrite: bool = False) -> Path:
    """Train or finetune a network.

    Args:
        opt: the options of the run.
        overwrite: delete a run of the same name first.

    Returns:
        The checkpoint ``net_g_latest.pth``.

    Raises:
        InputError: wrong options, weights or data; nothing of an existing run is lost.
        FloatingPointError: a loss is not finite; the last checkpoint is kept.
    """
    import_modules(opt.imports)
    _seed_everything(opt.manual_seed)
    model = build(MODEL_REGISTRY, {"type": opt.model_type}, "model_type", opt=opt)
    dataset = make_dataset(opt)  # bad data is said before a folder is made

    folder = RunFolder(opt, dataset.fingerprint)
    state = folder.open(overwrite)
    latest = folder.models / "net_g_latest.pth"
    start = 0
    if state is not None:
        start = int(state["iteration"])
        if start >= opt.train.total_iter:
            logger.info("%s is finished (%d iterations); nothing to do", folder.root, start)
            return latest
        model.load_state(state)
        torch.set_rng_state(state["torch_rng"])

    with _text_log(folder.root / "train.log"):
        logger.info("%s on %s, %s", folder.root, model.device, str(model.dtype).split(".")[1])
        if start:
            logger.info("resumed at iteration %d", start)
        _loop(opt, model, make_loader(opt, dataset, start), folder, start)
        logger.info("finished: %s", latest)
    return latest


def _loop(
    opt: TrainOptions,
    model: Any,
    loader: DataLoader[dict[str, Any]],
    folder: RunFolder,
    start: int,
) -> None:
    total, freq = opt.train.total_iter, opt.logger.print_freq
    writer = SummaryWriter(str(folder.root / "tb"), purge_step=start + 1)
    bar = tqdm(total=total, initial=start, desc=opt.name, unit="it", mininterval=1.0)
    sums: dict[str, torch.Tensor] = {}
    counts: dict[str, int] = {}
    iteration = saved = start
    try:
        for iteration, batch in enumerate(loader, start + 1):
            for name, value in model.optimize(batch, iteration).items():
                sums[name] = sums.get(name, torch.zeros_like(value)) + value
                counts[name] = counts.get(name, 0) + 1
            bar.update()
            save = iteration % opt.logger.save_checkpoint_freq == 0 or iteration == total
            if save or iteration % freq == 0:
                means = {name: float(sums[name]) / counts[name] for name in sums}
                _check_finite(means, iteration, batch["name"], folder)
                sums, counts = {}, {}
                for name, value in means.items():
                    writer.add_scalar(f"losses/{name}", value, iteration)
                rate = model.optimizers["g"].param_groups[0]["lr"]
                writer.add_scalar("lr", rate, iteration)
                text = " ".join(f"{name} {value:.4g}" for name, value in means.items())
                bar.set_postfix_str(text)
                logger.info("iter %d lr %.3g %s", iteration, rate, text)
            if save:
                _check_weights_finite(model, iteration, folder)
                folder.save(model, iteration)
                saved = iteration
    except KeyboardInterrupt:
        if iteration > saved:
            logger.info("interrupted after iteration %d; saved up to %d", iteration, saved)
        raise
    finally:
        bar.close()
        writer.close()


def _check_finite(
    means: dict[str, float], iteration: int, names: list[str], folder: RunFolder
) -> None:
    bad = [name for name, value in means.items() if not np.isfinite(value)]
    if bad:
        raise FloatingPointError(
            f"{', '.join(bad)} not finite at iteration {iteration} (last samples: "
            f"{', '.join(names[:4])}); lower the learning rate or use `precision: fp32`. "
            f"The last good checkpoint is in {folder.models}"
        )


def _check_weights_finite(model: Any, iteration: int, folder: RunFolder) -> None:
    """A step that is too long spoils weights before any loss shows it."""
    if not all(bool(torch.isfinite(p).all()) for p in model.net_g.parameters()):
        raise FloatingPointError(
            f"weights not finite at iteration {iteration}; lower the learning rate or use "
            f"`precision: fp32`. The last good checkpoint is in {folder.models}"
        )


def main(argv: list[str] | None = None) -> int:
    """The command line."""

    def add_arguments(parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--overwrite", action="store_true", help="delete an earlier run of this name first"
        )

    return cli.main("train", TrainOptions, train, argv, add_arguments)


if __name__ == "__main__":
    sys.exit(main())
