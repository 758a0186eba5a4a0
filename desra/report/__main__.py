"""Make a page of results, to look at in a browser."""

import sys
from collections.abc import Sequence

from desra import cli
from desra.options.report import ReportOptions


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    work = "desra.report.stage:report"
    return cli.main("report", __doc__, ReportOptions, work, argv)


if __name__ == "__main__":
    sys.exit(main())
