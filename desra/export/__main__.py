"""Write a network for other programs."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from desra import cli, export
from desra.options.loading import load
from desra.options.sections import NetworkOptions


def _parser() -> argparse.ArgumentParser:
    purpose, _, details = (export.__doc__ or "").partition("\n\n")
    parser = cli.Parser(
        prog=cli.called("export"),
        description=f"{purpose}\n\n{details}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("weights", metavar="WEIGHTS", help="the network")
    parser.add_argument("-o", dest="output", type=Path, required=True, metavar="OUT")
    parser.add_argument("--half", action="store_true", help="store the weights as float16")
    cli.add_force_yml(
        parser,
        "the architecture, where it cannot be told from the weights: "
        "'network_g={type: EDSR, num_in_ch: 3, num_out_ch: 3}'",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    args = _parser().parse_args(argv)

    def work() -> None:
        options = load(NetworkOptions, None, args.force_yml, {"weights": args.weights})
        from desra.export import stage

        stage.export_and_print(options, args.output, args.half)

    return cli.status_of(work)


if __name__ == "__main__":
    sys.exit(main())
