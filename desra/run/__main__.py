"""Detect, finetune, detect, evaluate, round after round."""

import argparse
import sys
from collections.abc import Sequence

from desra import cli
from desra.options.run import RunOptions

FLAGS = {
    "-i": ("input:lq", "a folder of LR images"),
    "--holdout": (
        "holdout",
        "a folder of LR images that judge and are not finetuned on; else a quarter of the input's",
    ),
    "-o": ("output", "folder for the run"),
    **cli.networks("its MSE-trained partner; names of the list know theirs"),
    "--rounds": ("max_rounds", "rounds at most"),
}


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--overwrite", action="store_true", help="delete an earlier run in this folder first"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    work = "desra.run.stage:run"
    return cli.main(
        "run", __doc__, RunOptions, work, argv, flags=FLAGS, add_arguments=_add_arguments
    )


if __name__ == "__main__":
    sys.exit(main())
