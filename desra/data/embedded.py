"""The embedded pictures: photographs of scikit-image, cropped and degraded; no download needed.

scikit-image ships eight colour photographs. Crops of them are degraded by Real-ESRGAN's model, with
the published ranges and with milder ones in turn, seeded by their names: the same pixels every
time. All crops of a photograph are in the same split, so a network is never judged on a photograph
that it was finetuned on.

In options they are called ``embedded:finetune`` and ``embedded:heldout``; `provide_folder` writes
them as files.
"""

import re
import zlib
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from desra.data import degradations, poisson
from desra.data.degradations import degrade
from desra.data.poisson import numpy_poisson_counts
from desra.io.files import sha256_of, write_json
from desra.io.images import write_image
from desra.options.degradation import Degradation
from desra.options.loading import fingerprint
from desra.utils.errors import InputError
from desra.utils.reading import parse_json, read_bytes

SCALE = 4
FOLDER = Path("datasets") / "embedded"

PUBLISHED = Degradation()
#: Between plain downscaling and the published ranges: like a phone picture sent by a messenger.
MILD = Degradation(
    blur_sigma=(0.2, 1.2),
    resize_range=(0.5, 1.2),
    noise_range=(1, 8),
    poisson_scale_range=(0.05, 0.5),
    jpeg_range=(70, 95),
    second_blur_prob=0.3,
    blur_sigma2=(0.2, 0.8),
    resize_range2=(0.8, 1.2),
    noise_range2=(1, 5),
    poisson_scale_range2=(0.05, 0.3),
    jpeg_range2=(70, 95),
    final_sinc_prob=0.3,
)


class Crops(NamedTuple):
    """A photograph of ``skimage.data``, and the grid of equal crops that it is cut into."""

    photograph: str
    rows: int
    columns: int


SPLITS = {
    "finetune": (
        Crops("chelsea", 1, 2),
        Crops("stereo_motorcycle", 2, 2),
        Crops("hubble_deep_field", 2, 2),
        Crops("retina", 2, 2),
        Crops("rocket", 1, 2),
    ),
    "heldout": (
        Crops("astronaut", 2, 2),
        Crops("coffee", 2, 2),
        Crops("immunohistochemistry", 2, 2),
    ),
}


def _photograph(name: str) -> NDArray[np.uint8]:
    """Return a photograph of scikit-image, uint8 RGB (H, W, 3)."""
    import skimage.data

    try:
        image = getattr(skimage.data, name)()
    except Exception as error:
        raise InputError(
            f"embedded pictures: scikit-image has no '{name}' ({error}); install scikit-image "
            "0.19 or newer, or give a folder of your own"
        ) from error
    image = image[0] if isinstance(image, tuple) else image  # the left one of a stereo pair
    return image[..., :3]


def make(split: str) -> dict[str, tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Make the pictures of a split: stem -> (lq, gt), uint8 RGB (h, w, 3) and (4h, 4w, 3)."""
    pictures: dict[str, tuple[NDArray[np.uint8], NDArray[np.uint8]]] = {}
    for crops in SPLITS[split]:
        image = _photograph(crops.photograph)
        height = image.shape[0] // crops.rows // SCALE * SCALE
        width = image.shape[1] // crops.columns // SCALE * SCALE
        for number in range(crops.rows * crops.columns):
            row, column = divmod(number, crops.columns)
            top, left = row * height, column * width
            gt = np.ascontiguousarray(image[top : top + height, left : left + width])
            stem = f"{crops.photograph}_{number + 1}"
            rng = np.random.default_rng(zlib.crc32(stem.encode()))
            settings = PUBLISHED if number % 2 else MILD
            truth = np.divide(gt, 255, dtype=np.float32)
            # numpy's sampler, as when these pictures were made first: they stay the same.
            lq = degrade(truth, SCALE, settings, rng, numpy_poisson_counts)
            pictures[stem] = (np.round(lq * 255).astype(np.uint8), gt)
    return pictures


_PICTURE = re.compile(r"(lq|gt)/\w+\.png")


def provide_folder(value: str, kind: str) -> Path:
    """Return the folder that an option names; the embedded pictures are written first.

    Args:
        value: a path, or embedded:finetune / embedded:heldout. These pictures are written to
            ``datasets/embedded/<split>/{lq,gt}`` in the working folder, unless the same ones are
            there.
        kind: lq or gt: which of the two folders is returned.

    Raises:
        InputError: there is no such split, or the folder cannot be written.
    """
    prefix, colon, split = value.partition(":")
    if not colon or prefix != "embedded":
        return Path(value)
    if split not in SPLITS:
        raise InputError(f"'{value}' is not one of {', '.join(f'embedded:{s}' for s in SPLITS)}")
    _write(FOLDER / split, split)
    return FOLDER / split / kind


def _write(folder: Path, split: str) -> None:
    """Write the pictures of a split, unless the same ones are there."""
    stamp, code_hash = folder / "made.json", _code_hash()
    made_by, hashes = _read(stamp)
    if hashes and made_by == code_hash and all(_hash(folder / f) == h for f, h in hashes.items()):
        return
    files: dict[str, str] = {}
    for stem, pair in make(split).items():
        for kind, image in zip(("lq", "gt"), pair, strict=True):
            name = f"{kind}/{stem}.png"
            write_image(folder / name, image)
            files[name] = sha256_of(folder / name)
    for name in hashes.keys() - files:
        (folder / name).unlink(missing_ok=True)
    write_json(stamp, {"by": code_hash, "files": files})


def _code_hash() -> str:
    """Return a hash of everything that decides the pixels: this code, and the packages it calls."""
    code = [sha256_of(file) for file in (__file__, degradations.__file__, poisson.__file__)]
    packages = [version(name) for name in ("scikit-image", "scipy", "numpy", "basicsr")]
    return fingerprint([*code, *packages, cv2.__version__])


def _read(stamp: Path) -> tuple[Any, dict[str, str]]:
    """Read what an earlier call wrote: the hash of its code, and those of its pictures by name.

    What is no picture of this folder is left out, as an edited file may name anything.
    """
    try:
        content = parse_json(read_bytes(stamp))
        files = content["files"]
        return content["by"], {
            name: digest for name, digest in files.items() if _PICTURE.fullmatch(name)
        }
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None, {}


def _hash(file: Path) -> str | None:
    return sha256_of(file) if file.is_file() else None
