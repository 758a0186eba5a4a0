"""Samples a second of the degradation in the workers.

"desra" is DegradedDataset with sharpened targets: crop of 400 pixels, augmentation, sharpening, all
kernels, both stages, crop of gt_size, tensors. "basicsr" is RealESRGANDataset (augmentation,
kernels) and RealESRGANModel.feed_data (sharpening, both stages, crop) on the CPU. Pictures lie in
memory on both sides; both take turns, in one process, with the same number of threads.

Most of basicsr's time is a 51 x 51 filter that sharpens, and it sharpens twice. So the same is also
timed without any sharpening on either side ("plain").
"""

import argparse
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import skimage.data

from benchmarks.published_degradation import Published
from benchmarks.timing import in_turns, threads
from desra.data.degraded_dataset import DegradedDataset
from desra.io.images import write_image
from desra.options.degradation import Degradation

HELP = "degradation of training pairs"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--threads", type=int, default=1, help="of each side (default: 1)")
    parser.add_argument("--batch", type=int, default=12, help="samples a turn (default: 12)")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--gt-size", type=int, default=256)


class _Ours:
    """The next samples at each call."""

    def __init__(self, folder: Path, gt_size: int, batch: int, gt_usm: bool):
        self.dataset = DegradedDataset(str(folder), 4, gt_size, gt_usm=gt_usm)
        self.batch, self.number = batch, 0

    def __call__(self) -> list[dict[str, Any]]:
        self.number += self.batch
        return [self.dataset[i] for i in range(self.number - self.batch, self.number)]


def run(args: argparse.Namespace) -> int:
    """Print samples a second of each way, and their ratios."""
    pictures = [np.asarray(getattr(skimage.data, name)()) for name in ("astronaut", "coffee")]
    settings = Degradation()
    published = Published(pictures, 4, args.gt_size, settings)
    plain = Published(pictures, 4, args.gt_size, settings, sharpen=lambda image: image)
    with threads(args.threads, args.threads), tempfile.TemporaryDirectory() as folder:
        for number, picture in enumerate(pictures):
            write_image(Path(folder) / f"{number}.png", picture)
        seconds = in_turns(
            {
                "desra": _Ours(Path(folder), args.gt_size, args.batch, gt_usm=True),
                "basicsr": lambda: published.pairs(args.batch),
                "desra, plain": _Ours(Path(folder), args.gt_size, args.batch, gt_usm=False),
                "basicsr, plain": lambda: plain.pairs(args.batch),
            },
            args.repeats,
        )
    print(f"400 px in, gt_size {args.gt_size}, scale 4, threads: {args.threads}")
    print(f"samples a second, median of {args.repeats} x {args.batch} (slowest to fastest)")
    for name, times in seconds.items():
        print(
            f"{name:15} {args.batch / median(times):7.2f}   "
            f"({args.batch / max(times):.2f} to {args.batch / min(times):.2f})"
        )
    for ours, theirs in (("desra", "basicsr"), ("desra, plain", "basicsr, plain")):
        ratios = sorted(b / a for a, b in zip(seconds[ours], seconds[theirs], strict=True))
        print(
            f"{theirs} / {ours}  {median(seconds[theirs]) / median(seconds[ours]):.1f}   "
            f"({ratios[0]:.1f} to {ratios[-1]:.1f})"
        )
    return 0
