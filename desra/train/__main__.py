"""Train or finetune a network."""

import argparse
import sys
from collections.abc import Sequence

from desra import cli
from desra.options.train import TrainOptions


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--overwrite", action="store_true", help="delete an earlier run of this name first"
    )
    parser.add_argument(
        "--auto_resume",
        action="store_true",
        help="accepted as by basicsr: an unfinished run is resumed with and without it",
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    work = "desra.train.stage:train"
    return cli.main("train", __doc__, TrainOptions, work, argv, add_arguments=_add_arguments)


if __name__ == "__main__":
    sys.exit(main())
