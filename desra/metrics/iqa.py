"""Metrics of pyiqa by name (extra ``metrics``)."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from desra.utils.device import is_out_of_memory, select_device
from desra.utils.errors import InputError, did_you_mean

logger = logging.getLogger("desra")

Image = NDArray[np.uint8]

_MEASURED_ANYWAY = ("niqe",)  # their keys in scores.json would be ours


@dataclass(frozen=True)
class PyiqaMetric:
    """A metric of pyiqa, ready to measure.

    Attributes:
        name: as pyiqa lists it.
        with_reference: whether it compares with a true image.
        lower_is_better: which way is up.
        model: pyiqa's; NCHW in [0, 1] -> a tensor with one number.
        device: where it computes.
    """

    name: str
    with_reference: bool
    lower_is_better: bool
    model: Any
    device: torch.device

    def __call__(self, image: Image, reference: Image | None, what: str) -> float | None:
        """Measure an image.

        Args:
            image: uint8 ``(H, W, 3)``.
            reference: the true image of the same size, for metrics that compare.
            what: the image's name, for the log.

        Returns:
            None where the metric has no finite value, or cannot be had of such an image (most
            have a least size); the log says so.
        """
        images = (image, reference) if self.with_reference else (image,)
        tensors = [
            torch.tensor(x, device=self.device).permute(2, 0, 1)[None] / 255
            for x in images
            if x is not None
        ]
        try:
            with torch.random.fork_rng(), torch.no_grad():
                torch.manual_seed(0)  # some metrics look at random crops
                value = float(self.model(*tensors))
        except (RuntimeError, ValueError, AssertionError, IndexError) as error:
            if isinstance(error, RuntimeError) and is_out_of_memory(error):
                raise
            logger.warning("%s of %s is undefined: %s", self.name, what, _first_line(error))
            return None
        return value if math.isfinite(value) else None


def make_metrics(names: Sequence[str], device: str, has_truth: bool) -> list[PyiqaMetric]:
    """Set up metrics of pyiqa.

    Args:
        names: as `pyiqa.list_models` gives them.
        device: as the option of that name.
        has_truth: whether there are true images to compare with.

    Raises:
        InputError: pyiqa is not installed, does not know a name or cannot set it up, or a metric
            that needs the truth is asked for without.
    """
    if not names:
        return []
    try:
        import pyiqa  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise InputError(
            f"metrics: {names[0]} needs pyiqa ({error}); run: pip install 'desra[metrics]', or "
            "leave metrics out"
        ) from error
    known = pyiqa.list_models()
    with_reference = set(pyiqa.list_models(metric_mode="FR"))
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known)
            raise InputError(f"metrics: '{name}' is no metric of pyiqa; {hint}")
        if name in _MEASURED_ANYWAY:
            raise InputError(f"metrics: {name} is measured anyway; leave it out")
        if "fid" in name or name == "inception_score":  # as pyiqa itself tells them
            raise InputError(
                f"metrics: {name} judges whole folders and has no value for an image; leave it out"
            )
        if name in with_reference and not has_truth:
            raise InputError(f"metrics: {name} compares with the truth; give gt, or leave it out")
    where = select_device(device)
    metrics: list[PyiqaMetric] = []
    for name in names:
        try:
            model = pyiqa.create_metric(name, device=where)
        except (OSError, ImportError, RuntimeError, AssertionError) as error:
            raise InputError(
                f"metrics: pyiqa cannot set up {name} ({_first_line(error)}); it downloads weights "
                "at first use and some metrics need further packages; make both reachable, or "
                "leave it out"
            ) from error
        metric = PyiqaMetric(name, name in with_reference, bool(model.lower_better), model, where)
        logger.info("%s: %s is better", name, "lower" if metric.lower_is_better else "higher")
        metrics.append(metric)
    return metrics


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".strip().split("\n")[0]
