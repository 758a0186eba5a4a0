"""Pictures whose truth is known, and artifacts of known place laid into them: what detectors are
judged on, and what the default one is fitted to."""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from desra.data.embedded import provide_folder
from desra.data.injection import VISIBLE, inject
from desra.io import manifest
from desra.io.images import read_rgb8
from desra.io.listing import list_images
from desra.io.results import read_result
from desra.metrics.quality import consistency

Image = NDArray[np.uint8]

BASES = ("gt", "sr_mse", "sr_gan")
STRENGTHS = (1 / 3, 2 / 3, 1.0)
AREAS = (0.013, 0.04, 0.1)  # of the picture: 5,000 to 40,000 pixels of 768 x 512
PLAUSIBLE = 25.0  # dB between the LR image and the averaged truth


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture whose truth is known: uint8 RGB, ``lq`` smaller by ``scale``."""

    name: str
    lq: Image
    gt: Image
    sr_mse: Image
    sr_gan: Image


def detected(folder: str, truth: str) -> list[Picture]:
    """The pictures of a folder that detect wrote, with the folder of their truth."""
    gt = {file.stem: file.path for file in list_images(provide_folder(truth, "gt"))}
    pictures: list[Picture] = []
    for stem, row in manifest.read_results(folder, "--detected").items():
        mse, gan = (read_result(Path(folder), kind, row) for kind in ("sr_mse", "sr_gan"))
        lq = read_rgb8(Path(row.lq or ""), row.size_of_lq)
        pictures.append(Picture(stem, lq, read_rgb8(gt[stem], row.sr_size), mse, gan))
    return pictures


def suspects(
    pictures: Sequence[Picture], kinds: Sequence[str], base: str, seed: int
) -> Iterator[tuple[int, str, Image, NDArray[np.bool_]]]:
    """Each picture with one artifact of each kind: number of the picture, kind, suspect, truth.

    Strength and area take turns, so that each kind gets all nine pairs of them. What cannot be seen
    anywhere (smoothing a flat picture) is left out, and so is the truth of an LR image that does
    not tell of it: no SR image would look like that.
    """
    for number, picture in enumerate(pictures):
        if base == "gt" and (consistency(picture.lq, picture.gt) or 0.0) < PLAUSIBLE:
            continue
        donor = pictures[(number + 1 + len(pictures) // 3) % len(pictures)].gt
        image: Image = getattr(picture, base)
        for turn, kind in enumerate(kinds, number):
            rng = np.random.default_rng([seed, zlib.crc32(f"{picture.name} {kind}".encode())])
            strength, area = STRENGTHS[turn % 3], AREAS[turn // 3 % 3]
            made = inject(image, kind, strength, area, rng, donor)
            if made.change >= VISIBLE:
                yield number, kind, made.image, made.truth
