#!/usr/bin/env python
"""Make the LR images that students learn from, and those that are labelled.

    cd datasets
    python ../scripts/make_lq.py distill --photographs bsds500 -o distill/lq
    desra upscale -i distill/lq -o distill/sr_gan --model RealESRGAN_x4plus
    desra upscale -i distill/lq -o distill/sr_mse --model RealESRNet_x4plus

    python ../scripts/make_lq.py labelled --photographs bsds500 -o labelled/lq
    desra detect -i labelled/lq -o labelled --model embedded:gan --partner embedded:mse

``distill``: a teacher's output is a function of the LR image alone, so any image does as one. Each
photograph gives six: two cuts of itself, one of its half, its quarter, and one each degraded by
Real-ESRGAN's two-stage model to a half and to a quarter, as the teacher was trained. Names begin
with a number in random order, so that the first ones are a fair part of all.

``labelled``: the photographs of `LABELLED`, which are to be labelled, by halves; those whose name
ends in ``_d`` degraded by the two-stage model.
"""

import argparse
import zlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from tqdm import tqdm

from desra.data.degradations import degrade
from desra.io.images import read_image, write_image
from desra.io.listing import list_images
from desra.options.degradation import Degradation

Image = NDArray[np.uint8]
SIDE = 96  # LR pixels
#: Photographs of BSDS500, and which are degraded.
LABELLED = (
    *("108082_d", "140055_d", "172032", "173036_d", "182053", "183055"),
    *("209070_d", "236017_d", "26031", "296007_d", "370036", "86016"),
)


def cut(image: Image, rng: Generator) -> Image:
    """Return a random cut of at most ``SIDE`` x ``SIDE``; of small pictures all, up to a third
    longer."""
    if image.shape[0] * image.shape[1] <= 4 * SIDE * SIDE // 3:
        return image
    height, width = (min(SIDE, n) for n in image.shape[:2])
    top, left = (
        int(rng.integers(a - b + 1)) for a, b in zip(image.shape, (height, width), strict=False)
    )
    return image[top : top + height, left : left + width]


def smaller(image: Image, factor: int) -> Image:
    """Return the image resized by area, sides rounded down."""
    height, width = (n // factor for n in image.shape[:2])
    whole = image[: height * factor, : width * factor]
    return np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def degraded(image: Image, factor: int, rng: Generator) -> Image:
    """Return the image made smaller by the two-stage model."""
    height, width = (n // factor * factor for n in image.shape[:2])
    gt = image[:height, :width].astype(np.float32) / 255
    return np.round(255 * degrade(gt, factor, Degradation(), rng)).astype(np.uint8)


def pieces(image: Image, rng: Generator) -> Iterator[tuple[str, Image]]:
    """Yield the name of each kind and the LR image, uint8 (h, w, 3) RGB."""
    yield "a", cut(image, rng)
    yield "b", cut(image, rng)
    yield "half", cut(smaller(image, 2), rng)
    yield "quarter", cut(smaller(image, 4), rng)
    yield "half_d", cut(degraded(image, 2, rng), rng)
    yield "quarter_d", cut(degraded(image, 4, rng), rng)


def distill(photographs: Path, output: Path, leave_out: Path | None, seed: int) -> None:
    """Write the LR images to learn from."""
    kept = set(leave_out.read_text().split()) if leave_out else set()
    files = [file for file in list_images(photographs) if file.stem not in kept]
    order = np.random.default_rng(seed).permutation(len(files) * 6)
    place = iter(order.tolist())
    for number, file in enumerate(tqdm(files, unit="photograph")):
        rng = np.random.default_rng([seed, number])
        for kind, lq in pieces(read_image(file.path).rgb8, rng):
            name = f"{next(place):04}_{file.stem}_{kind}.png"
            write_image(output / name, np.ascontiguousarray(lq))


def labelled(photographs: Path, output: Path) -> None:
    """Write the LR images that the labels belong to."""
    files = {file.stem: file.path for file in list_images(photographs)}
    for name in LABELLED:
        photograph, _, treatment = name.partition("_")
        image = read_image(files[photograph]).rgb8
        if treatment == "d":
            lq = degraded(image, 2, np.random.default_rng(zlib.crc32(name.encode())))
        else:
            lq = smaller(image, 2)
        write_image(output / f"{name}.png", lq)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("distill", "labelled"))
    parser.add_argument("--photographs", type=Path, required=True, help="folder of photographs")
    parser.add_argument("--leave-out", type=Path, help="text file of names kept for testing")
    parser.add_argument("-o", dest="output", type=Path, required=True, help="folder for LR images")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.what == "labelled":
        labelled(args.photographs, args.output)
    else:
        distill(args.photographs, args.output, args.leave_out, args.seed)


if __name__ == "__main__":
    main()
