"""Find the interval of each class from SR pairs."""

import sys
from collections.abc import Sequence

from desra import cli
from desra.options.calibrate import CalibrateOptions


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    work = "desra.calibrate.stage:calibrate"
    return cli.main("calibrate", __doc__, CalibrateOptions, work, argv)


if __name__ == "__main__":
    sys.exit(main())
