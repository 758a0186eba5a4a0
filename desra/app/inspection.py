"""One image, looked at: the networks run once, the mask and the pictures follow the settings.

What ``desra.app`` shows, without the page: an `Inspector` makes an `Inspected` of an image file,
and of that a `Verdict` for each `Choice` of settings.
"""

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

from desra.artifacts import border_between, delete_artifacts, find_regions, full_size_mask
from desra.finder import ArtifactFinder
from desra.io.drawing import map_in_colour, overlay
from desra.io.files import StrPath
from desra.io.images import Pixels, enlarge, image_size, read_image
from desra.networks.pair import SRImages, SRPair
from desra.options.app import AppOptions
from desra.options.detect import MaskOptions
from desra.options.loading import parse, resolved
from desra.options.sections import DeletionOptions, WindowOptions
from desra.report.pictures import view_size
from desra.utils.errors import InputError

Image = NDArray[np.uint8]

MAX_VIEW = 1600  # pixels on the longer side of what is shown; what is saved is whole


@dataclass(frozen=True)
class Choice:
    """What the sliders say.

    Attributes:
        threshold: a pixel with D below it is a candidate.
        min_area: a region is kept when its area is greater; in the unit of the options.
        strength: share of the MSE-SR image inside the mask.
        feather: pixels of the mask's edge over which that share rises.
    """

    threshold: float
    min_area: float
    strength: float
    feather: float


@dataclass(frozen=True, eq=False)
class Inspected:
    """An image after the networks.

    Attributes:
        sr: both SR images, uint8 (H, W, 3).
        D: the similarity map, float64 (H - 2b, W - 2b).
        alpha: uint8 (H, W), or None.
        lq: what to show of the input, uint8 (h, w, 3).
        notes: what was converted, such as "gray to RGB".
        seconds: that the networks and the map took.
    """

    sr: SRImages
    D: NDArray[np.float64]
    alpha: Pixels | None
    lq: Image
    notes: tuple[str, ...]
    seconds: float

    @property
    def map(self) -> Image:
        """D in colour, uint8 (H, W, 3), the border where it is not defined white."""
        size = self.sr.gan.shape[:2]
        if self.D.size == 0:
            return np.full((*size, 3), 255, np.uint8)
        border = border_between(self.D.shape, size)
        framed = ((border, border), (border, border), (0, 0))
        return np.pad(map_in_colour(self.D), framed, constant_values=255)


@dataclass(frozen=True, eq=False)
class Verdict:
    """What the settings make of an image.

    Attributes:
        mask: bool (H, W).
        blended: uint8 (H, W, 3): GAN-SR, where it is masked MSE-SR under a soft edge.
        count: of regions.
        min_area: in pixels of this image.
        seconds: that the two took.
    """

    mask: NDArray[np.bool_]
    blended: Image
    count: int
    min_area: int
    seconds: float

    @property
    def sentence(self) -> str:
        """What was found, in words."""
        regions = f"{self.count} region{'' if self.count == 1 else 's'}"
        return (
            f"{regions} of more than {self.min_area} pixels: {100 * self.mask.mean():.2f} % of the "
            f"image is masked (mask and blending took {1000 * self.seconds:.0f} ms)"
        )


class Inspector:
    """Networks, detector and limits, loaded once.

    Args:
        opt: the options.

    Raises:
        InputError: as `SRPair.from_options` and `desra.detectors.find_detector`.
    """

    def __init__(self, opt: AppOptions):
        available = {"lq"} if opt.sr_mse is None else {"lq", "sr_mse"}
        self.opt, self.pair = opt, SRPair.from_options(opt.sr_gan, opt.sr_mse, opt.tile, opt)
        self.finder = ArtifactFinder(opt, self.pair.scale, available)
        self._networks = threading.Lock()  # the tiles of a pair are its state

    @property
    def first_choice(self) -> Choice:
        """The settings of the options."""
        mask, deletion = self.opt.mask, self.opt.deletion
        return Choice(mask.threshold, mask.min_area, deletion.strength, deletion.feather)

    def inspect(self, path: StrPath) -> Inspected:
        """Run both networks on an image file, and compare.

        Raises:
            InputError: the file cannot be read, the image is too large, or memory runs out.
        """
        height, width = image_size(path)
        if height * width > self.opt.max_pixels:
            raise InputError(
                f"{path} has {width} x {height} pixels, more than the {self.opt.max_pixels} that "
                "this page takes; use a crop, or desra.detect, which has no such limit"
            )
        start = time.perf_counter()
        picture = read_image(path)
        lq = picture.rgb8
        with self._networks:
            sr = self.pair(lq, Path(path).stem)
        D = self.finder.map(sr.mse, sr.gan, lq)
        alpha = picture.alpha8
        return Inspected(
            sr=sr,
            D=D,
            alpha=None if alpha is None else enlarge(alpha, sr.gan.shape[:2]),
            lq=lq,
            notes=picture.notes,
            seconds=time.perf_counter() - start,
        )

    def judge(self, seen: Inspected, choice: Choice) -> Verdict:
        """The mask and the blended image; no network runs.

        Raises:
            InputError: a setting out of range.
        """
        start = time.perf_counter()
        mask_options, deletion = self._sections(choice)
        rule = mask_options.rule(seen.sr.gan.shape[:2], self.pair.scale)
        mask = full_size_mask(seen.D, seen.sr.gan.shape, rule)
        blended = delete_artifacts(seen.sr.mse, seen.sr.gan, mask, deletion.spec())
        seconds = time.perf_counter() - start
        return Verdict(mask, blended, find_regions(mask).count, rule.min_area, seconds)

    def as_yaml(self, choice: Choice) -> str:
        """The sections of detect's options that a choice amounts to.

        Raises:
            InputError: a setting out of range.
        """
        mask, deletion = self._sections(choice)
        window = self.opt.window
        content = {
            "detector": resolved(self.opt.detector),
            **({} if window == WindowOptions() else {"window": resolved(window)}),
            "mask": resolved(mask),
            "deletion": resolved(deletion),
        }
        return yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=1000)

    def _sections(self, choice: Choice) -> tuple[MaskOptions, DeletionOptions]:
        areas = {"threshold": choice.threshold, "min_area": choice.min_area}
        soft = {"strength": choice.strength, "feather": choice.feather}
        return (
            parse(MaskOptions, {**resolved(self.opt.mask), **areas}, "settings"),
            parse(DeletionOptions, soft, "settings"),
        )


def shown(image: NDArray[Any]) -> Image:
    """A picture for the page: at most `MAX_VIEW` pixels on a side.

    Args:
        image: uint8 (H, W, 3), or bool (H, W), which becomes 0 and 255.
    """
    pixels = image.astype(np.uint8) * 255 if image.dtype == np.bool_ else image
    size = view_size(pixels.shape[:2], MAX_VIEW)
    if size == pixels.shape[:2]:
        return pixels
    how = cv2.INTER_NEAREST if image.dtype == np.bool_ else cv2.INTER_AREA
    return np.asarray(cv2.resize(pixels, size[::-1], interpolation=how), np.uint8)


def shown_overlay(gan: Image, mask: NDArray[np.bool_]) -> Image:
    """The mask drawn on the GAN-SR image, in the size of `shown`.

    Args:
        gan: uint8 (h, w, 3), as `shown` gives it.
        mask: bool (H, W), in full size.
    """
    return overlay(gan, shown(mask) > 0)
