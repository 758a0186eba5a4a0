#!/usr/bin/env python
"""Time desra against plain implementations of the same computation; score its detectors.

    python scripts/benchmark.py map
    python scripts/benchmark.py map --pair results/detect/sr_mse/a.png results/detect/sr_gan/a.png

Each sub-command is a module of scripts/benchmarks/, which says what is compared. Both sides take
turns, so that a busy machine slows both.
"""

import argparse
import importlib
import sys

COMMANDS = ("map", "sr", "tiles", "data", "step", "detectors")  # modules of scripts/benchmarks/


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    commands = parser.add_subparsers(required=True, metavar="command")
    for name in COMMANDS:
        module = importlib.import_module(f"benchmarks.{name}")
        of_command = commands.add_parser(
            name,
            help=module.HELP,
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(of_command)
        of_command.set_defaults(run=module.run)
    args = parser.parse_args(argv)
    return args.run(args)


if __name__ == "__main__":
    sys.exit(main())
