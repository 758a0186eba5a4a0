"""Stage 2: train or finetune. ``python -m desra.train -opt options/finetune.yml``

Writes ``<experiments_root>/<name>/``: ``models/net_g_<iter>.pth``, ``net_g_latest.pth`` and, with
``val``, ``net_g_best.pth`` (keys ``params`` and ``params_ema``), ``training_states/latest.state``,
``options.yml``, ``train.log`` and TensorBoard events in ``tb/``.

The same command goes on with a run that was cut off, and leaves one alone that is finished. In
several processes: ``torchrun --nproc_per_node=N -m desra.train -opt options/finetune.yml``.
"""

import argparse
import logging
import sys
from pathlib import Path
from typing import Any

from desra import cli, processes
from desra.data.samples import MixedDataset
from desra.device import select_device
from desra.options import TrainOptions
from desra.registry import MODEL_REGISTRY, build, import_modules
from desra.training.loop import Run
from desra.training.pictures import Samples
from desra.training.random_state import seed_everything, set_rng_state
from desra.training.reports import text_log
from desra.training.run_folder import RunFolder
from desra.training.samples import make_dataset, make_loader, samples_a_step
from desra.training.validation import Best, Validation

logger = logging.getLogger("desra")


def train(opt: TrainOptions, overwrite: bool = False) -> Path:
    """Train or finetune a network.

    Ctrl-C and SIGTERM save the run and end it.

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
    with processes.joined(processes.own_device(select_device(opt.device))):
        return _train(opt, overwrite)


def _train(opt: TrainOptions, overwrite: bool) -> Path:
    seed_everything(opt.manual_seed)  # the same networks in all processes
    model = build(MODEL_REGISTRY, {"type": opt.model_type}, "model_type", opt=opt)
    if not processes.is_main():
        seed_everything(opt.manual_seed + processes.rank())
    dataset = make_dataset(opt)  # bad data is said before a folder is made
    validation = Validation(opt) if opt.val else None

    folder = RunFolder(opt, dataset.fingerprint)
    state = processes.from_main(lambda: folder.open(overwrite))
    try:
        with text_log(folder.log):
            run = Run(opt, model, folder, validation=validation)
            _resume(run, state, dataset)
            if run.finished:
                logger.info("%s is finished (%s); nothing to do", folder.root, run.finished)
                return folder.latest
            dtype = str(model.dtype).split(".")[1]
            for sentence in opt.unused if processes.is_main() else ():
                logger.warning(sentence)
            many = f", {processes.count()} processes" if processes.count() > 1 else ""
            logger.info("%s on %s, %s%s", folder.root, model.device, dtype, many)
            steps = opt.train.total_iter - run.iteration
            run.go(make_loader(opt, dataset, run.samples, steps))
            logger.info("finished (%s): %s", run.finished, folder.latest)
    finally:
        folder.close()
    return folder.latest


def _resume(run: Run, state: dict[str, Any] | None, dataset: MixedDataset) -> None:
    """Set the run to where ``state`` was saved, or to its start."""
    opt, model = run.opt, run.model
    if opt.val:
        run.best = Best.resumed(opt.val, state and state["best"])
    if state is not None:
        run.iteration, run.samples = int(state["iteration"]), int(state["samples"])
    if run.finished:
        return
    if opt.logger.image_freq and processes.is_main():
        run.pictures = Samples(dataset, model)  # before the weights of the state are loaded
    if state is None:
        return
    model.load_state(state)
    logger.info("resumed at iteration %d of %d", run.iteration, opt.train.total_iter)
    if state["processes"] == processes.count():
        set_rng_state(state["rng"][processes.rank()], model.device)
        return
    # Samples go on where they were; random numbers have no successor in another division.
    seed_everything(opt.manual_seed + run.iteration + processes.rank())
    logger.info(
        "the run had %d processes and has %d: a step takes %d samples now, and the result differs "
        "from that of an uninterrupted run",
        state["processes"], processes.count(), samples_a_step(opt),
    )  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    """The command line."""

    def add_arguments(parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--overwrite", action="store_true", help="delete an earlier run of this name first"
        )
        parser.add_argument(
            "--auto_resume", action="store_true",
            help="accepted as by basicsr: an unfinished run is resumed with and without it",
        )  # fmt: skip

    def run(opt: TrainOptions, overwrite: bool, auto_resume: bool) -> None:
        train(opt, overwrite)

    run.__doc__ = train.__doc__
    return cli.main("train", TrainOptions, run, argv, add_arguments)


if __name__ == "__main__":
    sys.exit(main())
