"""The method as one object: from an LR image or a finished SR pair to its map and mask."""

import logging
from collections.abc import Callable, Collection, Iterable
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml
from numpy.typing import NDArray

from desra.artifacts import (
    DeletionSpec,
    MaskRule,
    WindowSpec,
    compose_pseudo_gt,
    delete_artifacts,
    full_size_mask,
    seam_step,
)
from desra.detectors import Detector, Images, Map, find_detector
from desra.io import manifest
from desra.io.files import scratch
from desra.networks.pair import SRPair
from desra.options.base import Strict
from desra.options.loading import resolved
from desra.options.sections import DEFAULT_RULE, Tiles
from desra.utils.device import select_device
from desra.utils.errors import InputError

logger = logging.getLogger("desra")

_WITHOUT_LQ = (
    ", and marks more that is no artifact; give the LR images too (in detect input.lq, beside "
    "sr_gan and sr_mse)"
)

Pixels = NDArray[Any]
Mask = NDArray[np.bool_]
Weigh = Callable[[Map, slice], Map]


@dataclass(frozen=True, eq=False)
class Artifacts:
    """The artifacts of one GAN-SR image, and what takes their place.

    Attributes:
        images: what was looked at.
        map: float64 (H - 2b, W - 2b) in [0, 1], low = artifact, b the window's border; without
            elements for an image smaller than the window.
        mean: mean of the map; None where it has no elements.
        rule: threshold, morphology, and area in pixels of this image.
        deletion: how artifacts give way to the MSE-SR image.
        drawn: a mask by a human, bool (H, W), in place of what the rule gives; None: none.
    """

    images: Images
    map: Map
    mean: float | None
    rule: MaskRule
    deletion: DeletionSpec = DeletionSpec()
    drawn: Mask | None = None

    @property
    def gan(self) -> Pixels:
        """The GAN-SR image, uint8 or uint16 (H, W, 3)."""
        return self.images.gan

    @property
    def mse(self) -> Pixels:
        """The MSE-SR image, as ``gan``.

        Raises:
            ValueError: there is none.
        """
        if self.images.mse is None:
            raise ValueError(
                "there is no MSE-SR image to take the place of artifacts: give Images one (mse=)"
            )
        return self.images.mse

    @cached_property
    def mask(self) -> Mask:
        """The artifacts, bool (H, W), True = artifact."""
        if self.drawn is not None:
            return self.drawn
        return full_size_mask(self.map, self.gan.shape, self.rule)

    def pseudo_gt(self, rows: slice = slice(None)) -> Pixels:
        """Return rows of the pseudo ground truth, MSE-SR inside the mask, GAN-SR outside (Eq. 10).

        Raises:
            ValueError: there is no MSE-SR image, or one of another depth.
        """
        return compose_pseudo_gt(self.mse[rows], self.gan[rows], self.mask[rows])

    def deleted(self, rows: slice | None = None) -> Pixels:
        """Return rows of the GAN-SR image whose artifacts gave way (`delete_artifacts`).

        Args:
            rows: with start and stop; None: all.

        Raises:
            ValueError: as `pseudo_gt`.
        """
        return delete_artifacts(self.mse, self.gan, self.mask, self.deletion, rows)

    def seam(self) -> float | None:
        """Measure the step in colour that `deleted` adds along the mask's outline (`seam_step`).

        Returns:
            Grey levels of 255; None for a mask without outline.
        """
        return seam_step(self.mse, self.gan, self.mask, self.deletion)

    def map8(self, rows: slice = slice(None)) -> NDArray[np.uint8]:
        """Return rows of the map as uint8, 255 D rounded."""
        return np.round(self.map[rows] * 255).astype(np.uint8)

    def by(self, rule: MaskRule, deletion: DeletionSpec) -> "Artifacts":
        """Return what another rule and another deletion make of the same map.

        Args:
            rule: with an area in any unit.
            deletion: strength and feather.
        """
        in_px = rule.resolve(self.gan.shape, self.images.factor)
        return replace(self, rule=in_px, deletion=deletion, drawn=None)


class ArtifactFinder:
    """The method of DeSRA: two networks, a detector, and the rule for the mask.

    Call it with an LR image, which the networks upscale, or let it `look` at finished images.

    Args:
        pair: the two networks; None: there are only finished images to look at.
        detector: name of what makes the map, or a `Detector` itself.
        rule: from the map to the mask; its area is resolved for each image.
        window: the patch in which texture is measured.
        deletion: how artifacts give way to the MSE-SR image.
        given: the inputs beside ``gan`` that all finished images have, by the fields of `Images`,
            which is checked here; None: what there is, is checked image by image.
        device: where a detector that can computes ("auto", "cpu", "cuda"), without a pair; with one
            it computes where the pair's networks are.
        folder: on a disk with room, for the arrays of large images; None: they lie in memory.
        section: where in the options detector and window stand, such as ``val.``, for messages.

    Raises:
        InputError: an unknown detector, or one that needs what is not there, or a
            ``window.data_range`` that is less than what images hold.

    Example:
        >>> import numpy as np
        >>> from desra.networks.pair import SRPair
        >>> finder = ArtifactFinder(SRPair.embedded(device="cpu"))
        >>> found = finder(np.zeros((16, 12, 3), np.uint8))
        >>> found.gan.shape, found.map.shape, found.mask.any()
        ((64, 48, 3), (54, 38), np.False_)
    """

    def __init__(
        self,
        pair: SRPair | None = None,
        detector: str | Detector = "evidence",
        rule: MaskRule = DEFAULT_RULE,
        window: WindowSpec = WindowSpec(),
        deletion: DeletionSpec = DeletionSpec(),
        *,
        given: Collection[str] | None = None,
        device: str = "cpu",
        folder: str | Path | None = None,
        section: str = "",
    ) -> None:
        if isinstance(detector, str):
            detector = find_detector(detector, key=f"{section}detector")
        self.pair, self.detector, self.rule = pair, detector, rule
        self.window, self.deletion, self.folder = window, deletion, folder
        self.given = pair.gives if pair is not None else given
        self.device = str(pair.gan.device if pair is not None else select_device(device))
        if self.given is not None:
            detector.check(self.given, f"{section}detector")
            for kind in sorted(detector.uses & {"lq", "flipped", "features"} - set(self.given)):
                logger.warning(
                    "%sdetector: %s does without %s, which there is not%s",
                    section,
                    detector.name,
                    kind,
                    _WITHOUT_LQ if kind == "lq" else "",
                )
        if detector.reads_window and window.data_range < np.iinfo(np.uint8).max:
            raise InputError(
                f"{section}window.data_range: is {window.data_range:g}, but detectors see images "
                "of 8 bits, which hold values up to 255; leave it out, or give 255"
            )
        if window != WindowSpec() and not detector.reads_window:
            logger.warning(
                "%swindow: %s does not look at it; of %s only size plays a part, in the border "
                "that the map lacks",
                section,
                detector.name,
                _in_line({k: v for k, v in asdict(window).items() if k != "k2"}),
            )

    @classmethod
    def from_checkpoints(
        cls,
        gan: str | Path,
        mse: str | Path | None = None,
        *,
        device: str = "auto",
        precision: str = "auto",
        tiles: Tiles = Tiles(),
        **settings: Any,
    ) -> "ArtifactFinder":
        """Load two networks and make a finder of them.

        Args:
            gan, mse: weights, as of `desra.networks.pair.SRPair.from_checkpoints`.
            device, precision, tiles: of the networks, as of `desra.networks.sr_network.SRNetwork`.
            settings: of the class.

        Raises:
            InputError: weights that cannot be used, or as the class.
        """
        pair = SRPair.from_checkpoints(gan, mse, device=device, precision=precision, tiles=tiles)
        return cls(pair, **settings)

    @classmethod
    def from_options(
        cls,
        opt: Any,
        *,
        pair: SRPair | None = None,
        given: Collection[str] | None = None,
        folder: str | Path | None = None,
        section: str = "",
    ) -> "ArtifactFinder":
        """Make a finder of the options of a stage.

        Args:
            opt: options with detector, window and mask; deletion, device, and the networks
                (sr_gan, sr_mse, tile) are taken where they have them.
            pair: the networks, loaded; None: those of the options, unless ``given`` says that there
                are finished images.
            given, folder, section: of the class.

        Raises:
            InputError: weights that cannot be used, or as the class.
        """
        if pair is None and given is None and hasattr(opt, "sr_gan"):
            pair = SRPair.from_options(opt, getattr(opt, "scale", None))
        return cls(
            pair,
            opt.detector.type,
            opt.mask,
            opt.window,
            getattr(opt, "deletion", None) or DeletionSpec(),
            given=given,
            device=getattr(opt, "device", "cpu"),
            folder=folder,
            section=section,
        )

    def __call__(self, lq: Pixels, stem: str = "", bits: Literal[8, 16] = 8) -> Artifacts:
        """Upscale an LR image and find the artifacts.

        Args:
            lq: uint8 or uint16 (h, w, 3) RGB.
            stem: its name.
            bits: of the SR images.

        Raises:
            ValueError: there are no networks, or as `SRPair`.
            InputError: as `SRPair`.
        """
        return self.look(self.upscale(lq, stem, bits))

    def upscale(self, lq: Pixels, stem: str = "", bits: Literal[8, 16] = 8) -> Images:
        """Run the networks only, on what the detector wants; arguments and errors of a call."""
        if self.pair is None:
            raise ValueError(
                "this finder has no networks: give it a pair, or finished images by look()"
            )
        return self.pair(lq, stem, bits, self._make, self.detector.wants("flipped"))

    def look(self, images: Images, weigh: Weigh | None = None) -> Artifacts:
        """Find the artifacts of finished images.

        The map is made in bands where the detector allows it, and of a large image it lies on disk
        where there is a folder.

        Args:
            images: the GAN-SR image and what else there is.
            weigh: changes rows of the map, given float64 (rows, W - 2b) and which rows these are;
                for class weights (Eq. 9).

        Raises:
            InputError: the detector needs what is not there.
            ValueError: images that do not fit together.
        """
        D = self._make(self.window.map_size(images.gan.shape), np.dtype(np.float64))
        total = 0.0
        for rows, part in self.detector.bands(images, self.window, self.device):
            D[rows] = part if weigh is None else weigh(part, rows)
            total += float(D[rows].sum())
        rule = self.rule.resolve(images.gan.shape, images.factor)
        return Artifacts(images, D, total / D.size if D.size else None, rule, self.deletion)

    def _make(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Pixels:
        return np.empty(shape, dtype) if self.folder is None else scratch(shape, dtype, self.folder)


def warn_if_other(opt: Strict, folder: str, section: str = "") -> None:
    """Warn where detector or window are not those that a folder's masks were made with.

    Args:
        opt: the options that look at the folder; what they leave to the folder (None) is as there.
        folder: what detect wrote; where it keeps no options, nothing is said.
        section: as of `ArtifactFinder`.

    Raises:
        InputError: the folder's options cannot be read, or were edited so that they are none.
    """
    sections = manifest.read_options(folder)
    known = set[str]() if sections is None else sections.model_fields_set
    kept = {} if sections is None else resolved(sections)
    for key in ("detector", "window"):
        mine = resolved(opt)[key]
        if mine is not None and key in known and kept[key] != mine:
            logger.warning(
                "%s%s: is %s here, but the masks in %s were made with %s",
                section,
                key,
                _in_line(mine),
                folder,
                _in_line(kept[key]),
            )


def _in_line(section: Any) -> str:
    return yaml.safe_dump(section, default_flow_style=True, sort_keys=False, width=1000).strip()


def log_seams(seams: Iterable[float | None]) -> None:
    """Log what deletion left at its seams.

    Args:
        seams: `Artifacts.seam` of each image; None where nothing was deleted.
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
