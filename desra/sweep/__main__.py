"""Count what other thresholds and areas would find."""

import sys
from collections.abc import Sequence

from desra import cli
from desra.options.sweep import SweepOptions


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    work = "desra.sweep.stage:sweep"
    return cli.main("sweep", __doc__, SweepOptions, work, argv)


if __name__ == "__main__":
    sys.exit(main())
