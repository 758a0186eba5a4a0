"""A training from its options to its checkpoint."""

import inspect
import logging
from pathlib import Path
from typing import Any

from desra.data.samples import MixedDataset
from desra.models.base_model import TrainableModel
from desra.options.train import TrainOptions
from desra.registry import MODEL_REGISTRY, build, find, import_modules
from desra.train.loader import batches_of, make_dataset, make_loader, samples_a_step
from desra.train.loop import Run
from desra.train.pictures import SamplePictures
from desra.train.random_state import seed_everything, set_rng_state
from desra.train.reports import text_log
from desra.train.run_folder import RunFolder
from desra.train.state import restored
from desra.train.validation import Best, Validation
from desra.utils import distributed
from desra.utils.device import select_device
from desra.utils.disk import told_if_full
from desra.utils.errors import InputError

logger = logging.getLogger("desra")


def train(opt: TrainOptions, overwrite: bool = False, auto_resume: bool = True) -> Path:
    """Train or finetune a network.

    Ctrl-C and SIGTERM save the run and end it.

    Args:
        opt: the options of the run.
        overwrite: delete a run of the same name first.
        auto_resume: accepted as by basicsr; an unfinished run is resumed with and without it.

    Returns:
        The checkpoint ``net_g_latest.pth``.

    Raises:
        InputError: wrong options, weights or data, or a full disk; nothing of an existing run is
            lost.
        FloatingPointError: a loss is not finite; the last checkpoint is kept.
    """
    import_modules(opt.imports)
    with distributed.process_group(distributed.local_device(select_device(opt.device))):
        return _train(opt, overwrite)


def _train(opt: TrainOptions, overwrite: bool) -> Path:
    seed_everything(opt.manual_seed)  # the same networks in all processes
    model = _model(opt)
    if not distributed.is_main_process():
        seed_everything(opt.manual_seed + distributed.rank())
    dataset = make_dataset(opt)  # bad data is said before a folder is made
    validation = Validation(opt) if opt.val else None

    folder = RunFolder(opt, dataset.fingerprint)
    state = distributed.broadcast(lambda: folder.open(overwrite))
    try:
        with told_if_full(folder.root), text_log(folder.log):
            run = Run(opt, model, folder, validation=validation)
            _resume(run, state, dataset)
            if run.finished:
                if state is not None:
                    folder.restore_latest(model, state)
                logger.info("%s is finished (%s); nothing to do", folder.root, run.finished)
                return folder.latest
            dtype = str(model.dtype).split(".")[1]
            for sentence in opt.unused if distributed.is_main_process() else ():
                logger.warning(sentence)
            world_size = distributed.world_size()
            processes = f", {world_size} processes" if world_size > 1 else ""
            logger.info("%s on %s, %s%s", folder.root, model.device, dtype, processes)
            steps = opt.train.total_iter - run.iteration
            run.go(batches_of(make_loader(opt, dataset, run.samples, steps)))
            logger.info("finished (%s): %s", run.finished, folder.latest)
    finally:
        folder.close()
    return folder.latest


def _model(opt: TrainOptions) -> TrainableModel:
    """Build the model of the options.

    Raises:
        InputError: ``model_type`` is not registered, or is no whole TrainableModel.
    """
    cls = find(MODEL_REGISTRY, opt.model_type, "model_type")
    whole = isinstance(cls, type) and issubclass(cls, TrainableModel)
    if not whole or inspect.isabstract(cls):
        missing = ", ".join(sorted(getattr(cls, "__abstractmethods__", ())))
        raise InputError(
            f"model_type: {opt.model_type} must be a subclass of desra.models.TrainableModel"
            + (f" and define {missing}" if missing else "")
        )
    if hasattr(cls, "optimize_parameters"):
        raise InputError(
            f"model_type: {opt.model_type} defines optimize_parameters as a model of basicsr does, "
            "which is never called here; define optimize(batch, iteration), which returns the "
            "losses by name, see desra.models.TrainableModel"
        )
    return build(MODEL_REGISTRY, {"type": opt.model_type}, "model_type", opt=opt)


def _resume(run: Run, state: dict[str, Any] | None, dataset: MixedDataset) -> None:
    """Set the run to where ``state`` was saved, or to its start."""
    opt, model = run.opt, run.model
    if opt.val:
        run.best = Best.resumed(opt.val, state and state["best"])
    if state is not None:
        run.iteration, run.samples = int(state["iteration"]), int(state["samples"])
    if run.finished:
        return
    run.folder.refuse_changed_latest()
    if opt.logger.image_freq and distributed.is_main_process():
        run.pictures = SamplePictures(dataset, model)  # before the weights of the state are loaded
    if state is None:
        return
    file = run.folder.state_file
    restored(lambda: model.load_state(state), file)
    logger.info("resumed at iteration %d of %d", run.iteration, opt.train.total_iter)
    if state["processes"] == distributed.world_size():
        rng = state["rng"][distributed.rank()]
        restored(lambda: set_rng_state(rng, model.device), file)
        return
    # SamplePictures go on where they were; random numbers have no successor in another division.
    seed_everything(opt.manual_seed + run.iteration + distributed.rank())
    logger.info(
        "the run had %d processes and has %d: a step takes %d samples now, and the result differs "
        "from that of an uninterrupted run",
        state["processes"],
        distributed.world_size(),
        samples_a_step(opt),
    )
