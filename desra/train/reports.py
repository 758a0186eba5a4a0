"""The progress bar, the text log and TensorBoard of a run; the main process alone writes them."""

import logging
import sys
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
from desra.utils.printable import PrintableFormatter

logger = logging.getLogger("desra")

Batch = TypeVar("Batch")


class _LogFile(logging.FileHandler):
    """A log file that raises where it cannot be written: a full disk ends the run."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Raise an OSError again; other errors, such as of a wrong message, are printed."""
        if isinstance(sys.exc_info()[1], OSError):
            raise
        super().handleError(record)


@contextmanager
def text_log(path: Path) -> Generator[None]:
    """Log to the file ``path`` too, while inside; other processes log warnings only."""
    level = logger.level
    if not distributed.is_main_process():
        logger.setLevel(logging.WARNING)
        try:
            yield
        finally:
            logger.setLevel(level)
        return
    handler = _LogFile(path, encoding="utf-8")
    handler.setFormatter(PrintableFormatter("%(asctime)s %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)  # also where train() is called from Python, without our set-up
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
        handler.close()


def logs_above_bar() -> AbstractContextManager[None]:
    """Print log messages above the progress bar, not within it, while inside."""
    consoles = [h for h in logging.getLogger().handlers if type(h) is logging.StreamHandler]
    return logging_redirect_tqdm() if consoles else nullcontext()


class Reports:
    """The reports of a run from iteration ``start`` to ``total``.

    Args:
        folder: where TensorBoard's events go.
        name: of the run.
        start: iterations that are done already.
        total: iterations in all.
    """

    def __init__(self, folder: Path, name: str, start: int, total: int):
        main = distributed.is_main_process()
        self._writer = SummaryWriter(str(folder), purge_step=start + 1) if main else None
        # Given only where it is True: disable=False would overrule TQDM_DISABLE.
        hidden: dict[str, Any] = {} if main else {"disable": True}
        self._bar = tqdm(
            total=total, initial=start, desc=name, unit="it", mininterval=1.0, **hidden
        )
        self._start, self._total, self._start_time = start, total, time.monotonic()
        self._last_report, self._waited = self._start_time, 0.0

    def timed(self, batches: Iterable[Batch]) -> Generator[Batch]:
        """Yield the batches, and measure how long each is waited for; `losses` reports that."""
        remaining = iter(batches)
        while True:
            start = time.monotonic()
            batch = next(remaining, None)
            self._waited += time.monotonic() - start
            if batch is None:
                return
            yield batch

    def advance(self) -> None:
        """Advance the progress bar by a step."""
        self._bar.update()

    def losses(self, iteration: int, means: Mapping[str, float], rate: float) -> None:
        """Report losses, and the share of time since the last report that was spent waiting for
        samples.

        Args:
            iteration: the number of steps done.
            means: name of a loss -> its mean since the last report.
            rate: the generator's learning rate.
        """
        now = time.monotonic()
        waiting = self._waited / max(now - self._last_report, 1e-9)
        self._last_report, self._waited = now, 0.0
        if self._writer is None:
            return
        for name, value in means.items():
            self._writer.add_scalar(f"losses/{name}", value, iteration)
        self._writer.add_scalar("lr", rate, iteration)
        self._writer.add_scalar("waiting_for_data", waiting, iteration)
        text = " ".join(f"{name} {value:.4g}" for name, value in means.items())
        self._bar.set_postfix_str(text)
        seconds_a_step = (now - self._start_time) / max(iteration - self._start, 1)
        left = timedelta(seconds=round(seconds_a_step * (self._total - iteration)))
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
        """Report the scores of a validation.

        Args:
            iteration: the number of steps done.
            scores: name -> value.
            note: added to the line of the log.
        """
        if self._writer is None:
            return
        for name, value in scores.items():
            self._writer.add_scalar(f"val/{name}", value, iteration)
        text = " ".join(f"{name} {value:.4f}" for name, value in scores.items())
        logger.info("validation at %d: %s%s", iteration, text, note)

    def picture(self, iteration: int, image: Tensor) -> None:
        """Report a picture of samples, float (3, H, W) in [0, 1]."""
        if self._writer is not None:
            self._writer.add_image("samples/lq_before_now_gt_mask", image, iteration)

    def close(self) -> None:
        """Write what is not written yet, and close the progress bar."""
        self._bar.close()
        if self._writer is not None:
            self._writer.close()
