"""Whether the images of one input agree: colours, order of the channels, and place.

GAN-SR, MSE-SR and LR image show the same. Averaged over the cells of the LR grid (``scale`` x
``scale`` pixels), the networks' images come close to the LR image, whatever texture they make up.
Where they don't, a file was written in gray, with red and blue exchanged, or shifted, and the
detector would take that for artifacts.
"""

import logging
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from desra.detectors import Images
from desra.io.images import to_uint8
from desra.utils.filters import blur

logger = logging.getLogger("desra")

_LARGEST = 512  # cells on a side of the part, at the centre, that is looked at
_GRAY = 1.0  # grey levels between the channels, on average, that rounding and JPEG make
_COLOUR = 8.0  # what is plainly in colour
_EXCHANGED = 0.5  # of the distance is left when red and blue are exchanged
_MEAN = 24.0  # grey levels between the means of a channel
_EXPLAINED = 0.5  # share of the squared difference that a shift takes away
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)

Cells = NDArray[np.float32]


class Agreement:
    """Warns where the images of an input do not agree, once for each kind of fault in a run."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def check(self, images: Images) -> None:
        """Look at the images of an input, and warn of what was not told before.

        Args:
            images: GAN-SR image and MSE-SR image, and the LR image if there is one.
        """
        for kind, sentence in faults(images):
            if kind not in self._told:
                self._told.add(kind)
                logger.warning(
                    "%s: %s (this is told of the first such image only)", images.stem, sentence
                )


def faults(images: Images) -> Iterator[tuple[str, str]]:
    """Yield how the images of an input disagree: the kind of fault, and a sentence.

    Args:
        images: as of `Agreement.check`. Both outputs are compared with the LR image; without one,
            with each other.
    """
    cells = _cells_of(images)
    if "lq" in cells:
        pairs = [(name, "lq") for name in ("sr_gan", "sr_mse") if name in cells]
    else:
        pairs = [("sr_gan", "sr_mse")] if "sr_mse" in cells else []
    for name, other in pairs:
        yield from _between(name, cells[name], other, cells[other], images.factor)


def _between(
    name: str, cells: Cells, other: str, reference: Cells, scale: int
) -> Iterator[tuple[str, str]]:
    """Yield how two images on the LR grid disagree."""
    chromas = {name: _chroma(cells), other: _chroma(reference)}
    (gray, low), (colour, high) = sorted(chromas.items(), key=lambda item: item[1])
    if low < _GRAY and high > _COLOUR:
        yield "gray", f"{gray} is gray and {colour} in colour; give both as the networks made them"
        return
    distance = _distance(cells, reference)
    if distance > _COLOUR / 2 and (_distance(cells[..., ::-1], reference) < _EXCHANGED * distance):
        yield (
            "exchanged",
            f"red and blue of {name} and {other} are exchanged (RGB against BGR): one of the two "
            "was written in the wrong order; write it again",
        )
        return
    means = np.abs(cells.mean(axis=(0, 1)) - reference.mean(axis=(0, 1)))
    if means.max() > _MEAN:
        yield (
            "colours",
            f"the mean colours of {name} and {other} differ by up to {means.max():.0f} grey levels "
            "of 255; look whether both show the same image in the same range",
        )
        return
    x, y = (scale * n for n in shift(cells, reference))
    if np.hypot(x, y) >= max(1.0, scale / 4):
        yield (
            "shift",
            f"{name} is shifted against {other} by about {x:+.1f} px to the right and {y:+.1f} px "
            "down; cut or pad both alike, or much is found that is no artifact",
        )


def shift(cells: Cells, reference: Cells) -> tuple[float, float]:
    """Estimate how far an image is shifted against another, by least squares on gradients.

    Args:
        cells, reference: float32 (h, w, 3).

    Returns:
        To the right and down, in pixels of the two; (0, 0) where no shift explains the difference.

    Source: B. D. Lucas and T. Kanade, An iterative image registration technique, IJCAI 1981.
    """
    moved, target = (blur(image @ _LUMA, 1.0) for image in (cells, reference))
    height, width = target.shape
    inner = (slice(4, -4), slice(4, -4))
    if min(height, width) < 24:
        return 0.0, 0.0
    before = float(((moved - target)[inner] ** 2).sum())
    total = np.zeros(2)
    aligned = moved
    for _ in range(4):
        dy, dx = map(np.asarray, np.gradient((aligned + target) / 2))
        slopes = np.stack([dx[inner].ravel(), dy[inner].ravel()], axis=1).astype(np.float64)
        difference = (target - aligned)[inner].ravel().astype(np.float64)
        step, _, rank, _ = np.linalg.lstsq(slopes, difference, rcond=1e-3)
        total += step
        if rank < 2 or np.abs(total).max() > 4:
            return 0.0, 0.0
        back = np.array([[1, 0, total[0]], [0, 1, total[1]]])
        aligned = cv2.warpAffine(
            moved,
            back,
            (width, height),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
    after = float(((aligned - target)[inner] ** 2).sum())
    if after > (1 - _EXPLAINED) * before:
        return 0.0, 0.0
    return float(total[0]), float(total[1])


def _cells_of(images: Images) -> dict[str, Cells]:
    """Return the middle of the images on the LR grid, float32 (h, w, 3), by their names."""
    scale = images.factor
    height, width = images.gan.shape[0] // scale, images.gan.shape[1] // scale
    if not height or not width:
        return {}
    rows, columns = _middle(height), _middle(width)
    named = {"sr_gan": images.gan, "sr_mse": images.mse}
    cells = {
        name: _averaged(
            image[
                rows.start * scale : rows.stop * scale, columns.start * scale : columns.stop * scale
            ],
            scale,
        )
        for name, image in named.items()
        if image is not None
    }
    if images.lq is not None:
        cells["lq"] = to_uint8(images.lq[rows, columns]).astype(np.float32)
    return cells


def _middle(length: int) -> slice:
    start = max(0, (length - _LARGEST) // 2)
    return slice(start, min(length, start + _LARGEST))


def _averaged(pixels: NDArray[np.uint8 | np.uint16], scale: int) -> Cells:
    size = pixels.shape[1] // scale, pixels.shape[0] // scale
    values = to_uint8(np.ascontiguousarray(pixels)).astype(np.float32)
    return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA), np.float32)


def _chroma(cells: Cells) -> float:
    """Return the mean distance between the largest and the smallest channel, in grey levels."""
    return float(np.ptp(cells, axis=2).mean())


def _distance(cells: Cells, reference: Cells) -> float:
    """Return the root of the mean squared difference of two images, in grey levels."""
    return float(np.sqrt(((cells - reference) ** 2).mean()))
