"""Look at artifacts in a browser, and move the settings."""

import sys
from collections.abc import Sequence

from desra import cli
from desra.options.app import AppOptions

FLAGS = {
    **cli.networks(),
    "--device": ("device", "auto, cpu, cuda, mps"),
    "--tile": ("tile:size", "side of a tile in LR pixels; 0: the whole image at once"),
    "--host": ("host", "address to listen on; 0.0.0.0: every one"),
    "--port": ("port", "port to listen on"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    work = "desra.app.stage:app"
    return cli.main("app", __doc__, AppOptions, work, argv, flags=FLAGS)


if __name__ == "__main__":
    sys.exit(main())
