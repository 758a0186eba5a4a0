"""From an SR pair to its map and the mask of its artifacts: the one way, for all stages."""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import yaml
from numpy.typing import NDArray

from desra.artifacts import candidates, full_size_clean_up
from desra.detectors import find_detector, in_bands, wants
from desra.io import manifest
from desra.io.files import scratch
from desra.options.detect import MaskOptions
from desra.options.loading import resolved
from desra.options.sections import DetectorOptions, WindowOptions

logger = logging.getLogger("desra")

Pixels = NDArray[Any]
Map = NDArray[np.float64]
Mask = NDArray[np.bool_]
Weigh = Callable[[Map, slice], Map]


class MapOptions(Protocol):
    """The sections of the options that decide about the map."""

    @property
    def detector(self) -> DetectorOptions: ...
    @property
    def window(self) -> WindowOptions: ...


class FinderOptions(MapOptions, Protocol):
    """The sections of the options that decide what is an artifact."""

    @property
    def mask(self) -> MaskOptions: ...


@dataclass(frozen=True, eq=False)
class Similarity:
    """The map of an SR pair.

    Attributes:
        map8: uint8 (H - 2b, W - 2b), 255 D', b the window's border.
        low: bool, of the same size: the candidates, judged on the map before it was rounded.
        mean: mean of D'; None where there is no map.
    """

    map8: NDArray[np.uint8]
    low: Mask
    mean: float | None


class Mapper:
    """Detector and window of the options at work.

    Args:
        opt: the options.
        scale: of the networks.
        available: which of sr_mse, lq and gt every image has.
        section: where in the options ``detector`` and ``window`` stand, such as ``val.``.

    Raises:
        InputError: an unknown detector, or one that needs what is not there.
    """

    def __init__(self, opt: MapOptions, scale: int, available: Collection[str], section: str = ""):
        self.detector = find_detector(opt.detector.type, available, f"{section}detector")
        self.window, self.scale = opt.window.spec(), scale
        if opt.window != WindowOptions() and not self.detector.reads_window:
            logger.warning(
                "%swindow: %s does not look at it; of %s only size plays a part, in the border "
                "that the map lacks",
                section,
                opt.detector.type,
                _in_line(resolved(opt.window)),
            )

    def wants(self, kind: str) -> bool:
        """Whether an input (sr_mse, lq, gt) is looked at where it is there."""
        return wants(self.detector, kind)

    def bands(
        self, sr_mse: Pixels | None, sr_gan: Pixels, lq: Pixels | None, gt: Pixels | None = None
    ) -> Iterator[tuple[slice, Map]]:
        """The map from top to bottom: rows, and float64 (rows, W - 2b) (`in_bands`).

        Args:
            sr_mse, sr_gan, lq, gt: uint8 or uint16 (H, W, 3) RGB, ``lq`` smaller by the scale; what
                the detector does not need may be None.
        """
        return in_bands(self.detector, sr_mse, sr_gan, lq, gt, self.window, self.scale)

    def map(
        self, sr_mse: Pixels | None, sr_gan: Pixels, lq: Pixels | None, gt: Pixels | None = None
    ) -> Map:
        """The whole map, float64 (H - 2b, W - 2b); arguments as of `bands`."""
        D = np.empty(self.window.map_size(sr_gan.shape))
        for rows, part in self.bands(sr_mse, sr_gan, lq, gt):
            D[rows] = part
        return D


class ArtifactFinder(Mapper):
    """Detector, window and mask rule of the options at work; arguments and errors of `Mapper`."""

    def __init__(
        self, opt: FinderOptions, scale: int, available: Collection[str], section: str = ""
    ):
        super().__init__(opt, scale, available, section)
        self._mask = opt.mask

    def find(self, sr_mse: Pixels | None, sr_gan: Pixels, lq: Pixels | None) -> Mask:
        """The mask of an SR pair, bool (H, W); arguments as of `bands`."""
        low = np.empty(self.window.map_size(sr_gan.shape), np.bool_)
        rule = self._mask.rule(sr_gan.shape[:2], self.scale)
        for rows, D in self.bands(sr_mse, sr_gan, lq):
            low[rows] = candidates(D, rule)
        return self.mask(low, sr_gan.shape)

    def compare(
        self,
        sr_mse: Pixels | None,
        sr_gan: Pixels,
        lq: Pixels | None,
        folder: str,
        weigh: Weigh | None = None,
    ) -> Similarity:
        """The map and the candidates of an SR pair; what is large lies on disk.

        Args:
            sr_mse, sr_gan, lq: as of `bands`.
            folder: where there is room.
            weigh: changes rows of the map, given float64 (rows, W - 2b) and which rows these are.
        """
        size = self.window.map_size(sr_gan.shape)
        rule = self._mask.rule(sr_gan.shape[:2], self.scale)
        map8, low = scratch(size, np.uint8, folder), np.empty(size, np.bool_)
        total = 0.0
        for rows, D in self.bands(sr_mse, sr_gan, lq):
            if weigh is not None:
                D = weigh(D, rows)
            map8[rows], low[rows] = np.round(D * 255), candidates(D, rule)
            total += float(D.sum())
        return Similarity(map8, low, total / map8.size if map8.size else None)

    def mask(self, low: Mask, shape: tuple[int, ...]) -> Mask:
        """The mask, bool (H, W), of the candidates of an SR image of ``shape``."""
        rule = self._mask.rule((shape[0], shape[1]), self.scale)
        return full_size_clean_up(low, shape, rule)


def say_if_other(opt: MapOptions, folder: str, section: str = "") -> None:
    """Warn where detector or window are not those that a folder's masks were made with.

    Args:
        opt: the options that look at the folder.
        folder: what detect wrote; where it keeps no options, nothing is said.
        section: as of `Mapper`.

    Raises:
        InputError: the folder's options cannot be read.
    """
    made = manifest.read_options(folder)
    for key in ("detector", "window"):
        mine = resolved(getattr(opt, key))
        if made.get(key, mine) != mine:
            logger.warning(
                "%s%s: is %s here, but the masks in %s were made with %s",
                section,
                key,
                _in_line(mine),
                folder,
                _in_line(made[key]),
            )


def _in_line(section: Any) -> str:
    return yaml.safe_dump(section, default_flow_style=True, sort_keys=False, width=1000).strip()


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
            "mean %.1f, worst %.1f",
            len(steps),
            len(seams),
            sum(steps) / len(steps),
            max(steps),
        )
