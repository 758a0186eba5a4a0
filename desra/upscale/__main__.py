"""Upscale images with one SR network."""

import sys
from collections.abc import Sequence

from desra import cli
from desra.options.upscale import UpscaleOptions

FLAGS = {
    "-i": ("input", "an image or a folder"),
    "-o": ("output", "folder for the results"),
    **cli.networks("its MSE-trained partner: deletes artifacts"),
    "--outscale": ("outscale", "size of the result in sizes of the input"),
    "--suffix": ("suffix", "added to the name of a file"),
    "--format": ("format", "png, tif, webp or jpg"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    work = "desra.upscale.stage:upscale"
    return cli.main("upscale", __doc__, UpscaleOptions, work, argv, flags=FLAGS)


if __name__ == "__main__":
    sys.exit(main())
