"""What a run tells: the progress bar, the text log, TensorBoard. The main process alone tells."""

import logging
import time
from collections.abc import Generator, Iterable, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from desra.utils import distributed

logger = logging.getLogger("desra")

Batch = TypeVar("Batch")


@contextmanager
def text_log(path: Path) -> Generator[None]:
    """While inside, what is logged goes to ``path`` too; other processes log warnings only."""
    level = logger.level
    if not distributed.is_main():
        logger.setLevel(logging.WARNING)
        try:
            yield
        finally:
            logger.setLevel(level)
        return
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)  # also where train() is called from Python, without our set-up
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
        handler.close()


def above_the_bar() -> AbstractContextManager[None]:
    """While inside, what is logged to the console stands above the progress bar, not within it."""
    consoles = [h for h in logging.getLogger().handlers if type(h) is logging.StreamHandler]
    return logging_redirect_tqdm() if consoles else nullcontext()


class Reports:
    """Tells of a run from iteration ``start`` to ``total``.

    Args:
        folder: of TensorBoard's events.
        name: of the run.
        start, total: iterations done, and in all.
    """

    def __init__(self, folder: Path, name: str, start: int, total: int):
        main = distributed.is_main()
        self._writer = SummaryWriter(str(folder), purge_step=start + 1) if main else None
        # Said only where it is meant: disable=False would overrule TQDM_DISABLE.
        hidden: dict[str, Any] = {} if main else {"disable": True}
        self._bar = tqdm(
            total=total, initial=start, desc=name, unit="it", mininterval=1.0, **hidden
        )
        self._start, self._total, self._began = start, total, time.monotonic()
        self._told, self._waited = self._began, 0.0

    def timed(self, batches: Iterable[Batch]) -> Generator[Batch]:
        """The batches; how long each is waited for is told with the losses."""
        coming = iter(batches)
        while True:
            began = time.monotonic()
            batch = next(coming, None)
            self._waited += time.monotonic() - began
            if batch is None:
                return
            yield batch

    def advance(self) -> None:
        """A step is done."""
        self._bar.update()

    def losses(self, iteration: int, means: Mapping[str, float], rate: float) -> None:
        """Mean losses since the last time, the generator's learning rate, and the share of time in
        which the step waited for samples."""
        now = time.monotonic()
        waiting = self._waited / max(now - self._told, 1e-9)
        self._told, self._waited = now, 0.0
        if self._writer is None:
            return
        for name, value in means.items():
            self._writer.add_scalar(f"losses/{name}", value, iteration)
        self._writer.add_scalar("lr", rate, iteration)
        self._writer.add_scalar("waiting_for_data", waiting, iteration)
        text = " ".join(f"{name} {value:.4g}" for name, value in means.items())
        self._bar.set_postfix_str(text)
        each = (now - self._began) / max(iteration - self._start, 1)
        left = timedelta(seconds=round(each * (self._total - iteration)))
        logger.info(
            "iter %d/%d eta %s data %.1f%% lr %.3g %s",
            iteration,
            self._total,
            left,
            100 * waiting,
            rate,
            text,
        )

    def scores(self, iteration: int, scores: Mapping[str, float], note: str) -> None:
        """What a validation gave."""
        if self._writer is None:
            return
        for name, value in scores.items():
            self._writer.add_scalar(f"val/{name}", value, iteration)
        text = " ".join(f"{name} {value:.4f}" for name, value in scores.items())
        logger.info("validation at %d: %s%s", iteration, text, note)

    def picture(self, iteration: int, image: Tensor) -> None:
        """A grid of samples, (3, H, W) in [0, 1]."""
        if self._writer is not None:
            self._writer.add_image("samples/lq_before_now_gt_mask", image, iteration)

    def close(self) -> None:
        """Write what is still held back."""
        self._bar.close()
        if self._writer is not None:
            self._writer.close()
