"""Find the artifacts of a GAN-SR network."""

import sys
from collections.abc import Sequence

from desra import cli
from desra.options.detect import DetectOptions

FLAGS = {
    "-i": ("input:lq", "an LR image or a folder of them"),
    "-o": ("output", "folder for the results"),
    **cli.networks(),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    work = "desra.detect.stage:detect"
    return cli.main("detect", __doc__, DetectOptions, work, argv, flags=FLAGS)


if __name__ == "__main__":
    sys.exit(main())
