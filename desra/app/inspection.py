"""One image, looked at: the networks run once, the mask and the pictures follow the settings.

What ``desra.app`` shows, without the page: an `Inspector` makes an `Inspected` of an image file,
and of that a `Preview` for each `Choice` of settings.
"""

import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

from desra.artifacts import DeletionSpec, MaskRule, WindowSpec, border_between, find_regions
from desra.finder import ArtifactFinder, Artifacts
from desra.io.drawing import map_in_colour, overlay
from desra.io.files import StrPath
from desra.io.images import Pixels, enlarge, image_size, read_image
from desra.options.app import AppOptions
from desra.options.loading import resolved
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
        artifacts: both SR images, uint8 (H, W, 3), and the map.
        alpha: uint8 (H, W), or None.
        lq: what to show of the input, uint8 (h, w, 3).
        notes: what was converted, such as "gray to RGB".
        seconds: that the networks and the map took.
    """

    artifacts: Artifacts
    alpha: Pixels | None
    lq: Image
    notes: tuple[str, ...]
    seconds: float

    @property
    def map(self) -> Image:
        """D in colour, uint8 (H, W, 3), the border where it is not defined white."""
        D, size = self.artifacts.map, self.artifacts.gan.shape[:2]
        if D.size == 0:
            return np.full((*size, 3), 255, np.uint8)
        border = border_between(D.shape, size)
        framed = ((border, border), (border, border), (0, 0))
        return np.pad(map_in_colour(D), framed, constant_values=255)


@dataclass(frozen=True, eq=False)
class Preview:
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
        InputError: as `ArtifactFinder.from_options`.
    """

    def __init__(self, opt: AppOptions):
        self.opt = opt
        self.finder = ArtifactFinder.from_options(opt)
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
            images = self.finder.upscale(lq, Path(path).stem)
        artifacts = self.finder.look(images)
        alpha = picture.alpha8
        return Inspected(
            artifacts=artifacts,
            alpha=None if alpha is None else enlarge(alpha, images.gan.shape[:2]),
            lq=lq,
            notes=picture.notes,
            seconds=time.perf_counter() - start,
        )

    def judge(self, seen: Inspected, choice: Choice) -> Preview:
        """Make the mask and the blended image; no network runs.

        Raises:
            InputError: a setting out of range.
        """
        start = time.perf_counter()
        artifacts = seen.artifacts.by(*self._settings(choice))
        mask, blended = artifacts.mask, artifacts.deleted()
        seconds = time.perf_counter() - start
        area = int(artifacts.rule.min_area)
        return Preview(mask, blended, find_regions(mask).count, area, seconds)

    def as_yaml(self, choice: Choice) -> str:
        """Return the sections of detect's options that a choice amounts to.

        Raises:
            InputError: a setting out of range.
        """
        rule, deletion = self._settings(choice)
        chosen = resolved(self.opt.model_copy(update={"mask": rule, "deletion": deletion}))
        keys = ["detector", "window", "mask", "deletion"]
        if self.opt.window == WindowSpec():
            keys.remove("window")
        content = {key: chosen[key] for key in keys}
        return yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=1000)

    def _settings(self, choice: Choice) -> tuple[MaskRule, DeletionSpec]:
        try:
            rule = replace(self.opt.mask, threshold=choice.threshold, min_area=choice.min_area)
            return rule, DeletionSpec(choice.strength, choice.feather)
        except ValueError as error:
            raise InputError(f"settings: {error}") from error


def shown(image: NDArray[Any]) -> Image:
    """Return a picture for the page: at most `MAX_VIEW` pixels on a side.

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
    """Draw the mask on the GAN-SR image, in the size of `shown`.

    Args:
        gan: uint8 (h, w, 3), as `shown` gives it.
        mask: bool (H, W), in full size.
    """
    return overlay(gan, shown(mask) > 0)
