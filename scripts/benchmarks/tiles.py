"""Tiles against the whole image, in float32: the largest difference in grey levels by overlap.

This is the curve that the default of `tile` is chosen from.
"""

import argparse
from pathlib import Path

import numpy as np

from desra.io.images import read_image
from desra.io.listing import list_images
from desra.networks.sr_network import SRNetwork
from desra.options.sections import Tiles

HELP = "tiles against the whole image"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--weights", default="embedded:gan")
    parser.add_argument("--images", required=True, help="an LR image or a folder")
    parser.add_argument("--size", type=int, default=128, help="of a tile")
    parser.add_argument("--overlap", nargs="+", type=int, default=[8, 16, 24, 32, 48])
    parser.add_argument("--device", default="auto")


def run(args: argparse.Namespace) -> int:
    """Print a row for each image that is cut, and the worst of all."""
    model = SRNetwork.from_checkpoint(args.weights, device=args.device, precision="fp32")
    print(f"{'overlap':24}" + "".join(f"{n:>16}" for n in args.overlap))
    worst = np.zeros(len(args.overlap))
    for file in list_images(Path(args.images)):
        lq = read_image(file.path).rgb8
        if max(lq.shape[:2]) <= args.size:
            continue
        model.tiles = Tiles(0, 0)
        whole = model(lq, bits=16).astype(np.int64)
        row: list[str] = []
        for number, overlap in enumerate(args.overlap):
            model.tiles = Tiles(args.size, overlap)
            difference = np.abs(model(lq, bits=16) - whole) / 257
            worst[number] = max(worst[number], difference.max())
            over = (difference.max(axis=2) > 1).mean()
            row.append(f"{difference.max():8.2f} {over:6.2%}")
        print(f"{file.stem[:24]:24}" + "".join(f"{cell:>16}" for cell in row), flush=True)
    print(f"{'worst':24}" + "".join(f"{value:16.2f}" for value in worst))
    print("largest difference in grey levels, and the share of pixels that differ by more than one")
    return 0
