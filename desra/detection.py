"""From an SR pair to the mask of its artifacts, whatever the size: what several stages do alike."""

import logging
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from desra.artifacts import candidates, full_size_clean_up
from desra.detectors import find_detector, in_bands
from desra.files import scratch
from desra.models import SRImages
from desra.options import DetectorOptions, MaskOptions, WindowOptions

logger = logging.getLogger("desra")

Weigh = Callable[[NDArray[np.float64], slice], NDArray[np.float64]]


class FinderOptions(Protocol):
    """The sections of the options that decide what is an artifact, and where there is room."""

    @property
    def detector(self) -> DetectorOptions: ...
    @property
    def window(self) -> WindowOptions: ...
    @property
    def mask(self) -> MaskOptions: ...
    @property
    def output(self) -> str: ...


@dataclass(frozen=True, eq=False)
class Similarity:
    """The map of an SR pair.

    Attributes:
        map8: uint8 (H - 2b, W - 2b), 255 D', b the window's border.
        low: bool, of the same size: the candidates, judged on the map before it was rounded.
        mean: mean of D'; None where there is no map.
    """

    map8: NDArray[np.uint8]
    low: NDArray[np.bool_]
    mean: float | None


class ArtifactFinder:
    """Detector, window and mask rule of the options at work.

    Args:
        opt: the options.
        scale: of the networks.
        available: which of sr_mse and lq every image has.

    Raises:
        InputError: an unknown detector, or one that needs what is not there.
    """

    def __init__(self, opt: FinderOptions, scale: int, available: Collection[str]):
        self.detector = find_detector(opt.detector.type, available)
        self.window, self._mask = opt.window.spec(), opt.mask
        self._scale, self._output = scale, opt.output

    def map_size(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """(height, width) of the map of an SR image of ``shape``; 0 where it is too small."""
        lost = 2 * self.window.border
        return max(shape[0] - lost, 0), max(shape[1] - lost, 0)

    def compare(
        self, sr: SRImages, lq: NDArray[Any] | None, weigh: Weigh | None = None
    ) -> Similarity:
        """The map of an SR pair, in bands, which bound memory; what is large lies on disk.

        Args:
            sr: the pair, uint8 or uint16.
            lq: its LR image, if there is one.
            weigh: changes rows of the map, given float64 (rows, W - 2b) and which rows these are.
        """
        size = self.map_size(sr.gan.shape)
        rule = self._mask.rule(sr.gan.shape[:2], self._scale)
        map8, low = scratch(size, np.uint8, self._output), np.empty(size, np.bool_)
        total = 0.0
        for rows, D in in_bands(self.detector, sr.mse, sr.gan, lq, self.window):
            if weigh is not None:
                D = weigh(D, rows)
            map8[rows], low[rows] = np.round(D * 255), candidates(D, rule)
            total += float(D.sum())
        return Similarity(map8, low, total / map8.size if map8.size else None)

    def mask(self, low: NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.bool_]:
        """The mask, bool (H, W), of the candidates of an SR image of ``shape``."""
        rule = self._mask.rule((shape[0], shape[1]), self._scale)
        return full_size_clean_up(low, shape, rule)


def log_seams(seams: Iterable[float | None]) -> None:
    """Say what deletion left at its seams.

    Args:
        seams: `desra.artifacts.seam_step` of each image; None where nothing was deleted.
    """
    seams = list(seams)
    steps = [step for step in seams if step is not None]
    if steps:
        logger.info(
            "deleted in %d of %d images; step in colour added at the seams, in grey levels: "
            "mean %.1f, worst %.1f", len(steps), len(seams), sum(steps) / len(steps), max(steps),
        )  # fmt: skip
