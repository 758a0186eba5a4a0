"""Convert the colours of an image from its ICC profile to sRGB, by Pillow's ImageCms (LittleCMS).

The intent is relative colorimetric with black-point compensation, as editors have it by default.
"""

import io
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from desra.utils.errors import logger

_NEAR = 3  # of 255: profiles that differ from sRGB by less say sRGB in other digits
_INTENT = ImageCms.Intent.RELATIVE_COLORIMETRIC
_FLAGS = ImageCms.Flags.BLACKPOINTCOMPENSATION
_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}


class UnusableProfileError(ValueError):
    """The error of a profile that is damaged, or of another colour model than the image."""


@dataclass(frozen=True)
class Conversion:
    """The way from a profile to sRGB.

    Attributes:
        name: of the profile, such as ``"Display P3"``.
        mode: Pillow's mode of the images that it takes: RGB, L or CMYK.
        transform: LittleCMS's.
    """

    name: str
    mode: str
    transform: ImageCms.ImageCmsTransform

    def __call__(self, image: Image.Image) -> NDArray[np.uint8]:
        """Return an image of ``mode`` as sRGB, uint8 (H, W, 3)."""
        converted = ImageCms.applyTransform(image, self.transform)
        assert converted is not None  # only a transform in place returns None
        return np.array(converted, np.uint8)


@lru_cache(maxsize=8)
def conversion_of(profile: bytes) -> Conversion | None:
    """Return the way from a profile to sRGB; None: it is sRGB, to ±3 of 255.

    It is logged, for stages that have no place for notes.

    Raises:
        UnusableProfileError: it is damaged, or of a colour model other than RGB, gray and CMYK.
    """
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        content: Any = source.profile  # Pillow's stubs take it for the file
        mode = _MODES[content.xcolor_space.strip()]
        target = ImageCms.createProfile("sRGB")
        transform = ImageCms.buildTransform(source, target, mode, "RGB", _INTENT, _FLAGS)
        name = " ".join((content.profile_description or "unnamed profile").split())
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError, KeyError) as error:
        raise UnusableProfileError(str(error)) from error
    printable = "".join(c for c in name if c.isprintable())[:60]
    conversion = Conversion(printable, mode, transform)
    if mode != "CMYK" and _changes_little(conversion):
        return None
    logger.info("colours of %s are converted to sRGB", printable)  # once a process
    return conversion


def _changes_little(conversion: Conversion) -> bool:
    """Return whether no colour of a lattice changes by more than 3 of 255."""
    levels = np.linspace(0, 255, 18).astype(np.uint8)
    if conversion.mode == "L":
        before = levels[None, :]
    else:
        before = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(18, -1, 3)
    after = conversion(Image.fromarray(np.ascontiguousarray(before)))
    same = before[..., None] if conversion.mode == "L" else before
    return bool(np.abs(after.astype(int) - same).max() <= _NEAR)
