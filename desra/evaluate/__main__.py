"""Score masks against the truth, and a network before and after finetuning."""

import sys
from collections.abc import Sequence

from desra import cli
from desra.options.evaluate import EvaluateOptions


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    work = "desra.evaluate.stage:evaluate_and_print"
    return cli.main("evaluate", __doc__, EvaluateOptions, work, argv)


if __name__ == "__main__":
    sys.exit(main())
