"""The loop: a step, what is due after it, and how it ends."""

import logging
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch

from desra.models.base_model import TrainableModel
from desra.options.train import TrainOptions
from desra.train import stop_request
from desra.train.loader import samples_a_step
from desra.train.loss_log import LossLog
from desra.train.pictures import SamplePictures
from desra.train.reports import Reports, logs_above_bar
from desra.train.run_folder import RunFolder
from desra.train.validation import Best, Validation
from desra.utils import distributed
from desra.utils.errors import InputError

logger = logging.getLogger("desra")

_CHECK_FREQ = 50
"""Iterations after which a GPU is asked at the latest whether losses are finite."""


@dataclass
class Run:
    """All that takes part in a run.

    Attributes:
        opt: its options.
        model: what learns.
        folder: where it is kept.
        iteration, samples: steps done, and samples that all processes have taken.
        validation, best: with ``val``.
        pictures: with ``logger.image_freq``.
    """

    opt: TrainOptions
    model: TrainableModel
    folder: RunFolder
    iteration: int = 0
    samples: int = 0
    validation: Validation | None = None
    best: Best | None = None
    pictures: SamplePictures | None = None

    @property
    def finished(self) -> str | None:
        """Why there is nothing left to do; None: there is."""
        val, best = self.opt.val, self.best
        if self.iteration >= self.opt.train.total_iter:
            return f"{self.iteration} iterations"
        if val and best and val.patience and best.since >= val.patience:
            return (
                f"stopped at iteration {self.iteration}: {best.since} validations without a better "
                f"{val.score} than {best.value:.4g} at {best.iteration}"
            )
        return None

    def save(self, number: int | None = None) -> None:
        """Save the latest checkpoint, and one of its own by ``number``."""
        state = {
            "iteration": self.iteration,
            "samples": self.samples,
            "processes": distributed.world_size(),
            "best": self.best.state() if self.best else None,
        }
        self.folder.save(self.model, state, number)

    def go(self, batches: Iterable[dict[str, Any]]) -> None:
        """Train on the batches until all is done or one of them spoils a loss.

        Raises:
            FloatingPointError: a loss or weight is not finite; the last checkpoint is kept.
            KeyboardInterrupt, SystemExit: Ctrl-C, SIGTERM; the run is saved.
        """
        opt = self.opt
        total = opt.train.total_iter
        reports = Reports(self.folder.root / "tb", opt.name, self.iteration, total)
        losses = LossLog(self.folder.models)
        try:
            with stop_request.deferred() as request, logs_above_bar():
                if self.validation and not self.iteration:
                    reports.scores(0, self._scores(), " (before training)")
                for batch in reports.timed(batches):
                    self._step(batch, losses)
                    reports.advance()
                    due = _Due(opt, self.iteration)
                    self._look(due, losses, reports)
                    if due.validation:
                        self._validate(reports)
                    done = self.finished
                    if due.save or done:
                        self._check_weights()
                        self.save(self.iteration)
                    if done:
                        break
                    if number := distributed.all_reduce_max(request.signal):
                        self._interrupted(number, losses, request)
            if request.signal:  # it came in the last step: all is saved, but what follows must not
                request.grant(request.signal)
        finally:
            reports.close()

    def _step(self, batch: dict[str, Any], losses: LossLog) -> None:
        values = self.model.optimize(batch, self.iteration + 1)
        self.iteration += 1
        self.samples += samples_a_step(self.opt)
        losses.add(self.iteration, batch["name"], values)

    def _look(self, due: "_Due", losses: LossLog, reports: Reports) -> None:
        """Check and tell the losses, and draw, where it is time."""
        # Where nothing has to be waited for, at once; else seldom, and still the right step named.
        alone = self.model.device.type == "cpu" and distributed.world_size() == 1
        if alone or due.save or due.losses or self.iteration % _CHECK_FREQ == 0:
            losses.check()
        if due.losses:
            rate = self.model.optimizers["g"].param_groups[0]["lr"]
            reports.losses(self.iteration, losses.means(), rate)
        if due.picture and self.pictures is not None:
            reports.picture(self.iteration, self.pictures.picture(self.model))

    def _validate(self, reports: Reports) -> None:
        assert self.opt.val and self.best
        name, scores = self.opt.val.score, self._scores()
        better = self.best.take(scores[name], self.iteration)
        if better:
            self.folder.save_best(self.model)
        reports.scores(self.iteration, scores, f" (best {name}: saved)" if better else "")

    def _scores(self) -> dict[str, float]:
        assert self.opt.val and self.validation
        name, scores = self.opt.val.score, self.validation(self.model)
        if name not in scores:
            raise InputError(
                f"val.score: {name} is not defined on these images (nothing was detected on them, "
                "or all are equal to their truth); choose other images or another score"
            )
        return scores

    def _check_weights(self) -> None:
        """A step that is too long spoils weights before any loss shows it."""
        if not all(bool(torch.isfinite(p).all()) for p in self.model.net_g.parameters()):
            raise FloatingPointError(
                f"weights not finite at iteration {self.iteration}; lower the learning rate or use "
                f"`precision: fp32`. The last good checkpoint is in {self.folder.models}"
            )

    def _interrupted(self, number: int, losses: LossLog, request: stop_request.StopRequest) -> None:
        losses.check()
        self._check_weights()
        self.save()
        name = signal.Signals(number).name
        logger.info(
            "%s: saved at iteration %d in %s; give the same command again to go on",
            name,
            self.iteration,
            self.folder.root,
        )
        request.grant(number)


class _Due:
    """What is to be done after an iteration."""

    def __init__(self, opt: TrainOptions, iteration: int):
        last = iteration >= opt.train.total_iter
        told = opt.logger
        self.save = last or iteration % told.save_checkpoint_freq == 0
        self.losses = self.save or iteration % told.print_freq == 0
        self.picture = bool(told.image_freq) and (last or iteration % told.image_freq == 0)
        self.validation = opt.val is not None and (last or iteration % opt.val.val_freq == 0)
