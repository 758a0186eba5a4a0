"""What the commands of ``python -m desra.weights`` do."""

import sys
from collections.abc import Sequence
from pathlib import Path

from desra.io.ledger import single_file
from desra.networks import checkpoints, ncnn, zoo
from desra.networks.soundness import fault_of
from desra.networks.zoo import ZOO, Entry
from desra.registry import ARCH_REGISTRY, build
from desra.utils.errors import InputError, refuse_if_any, sort_out

RECIPE = "options/realesrgan/make_mse_partner.yml"  # makes a partner where none is published


def table(long: bool = False) -> str:
    """Return the zoo as text, a line for each network: what it is, whether it is here, its partner,
    its licence.

    Args:
        long: whether a second line gives the file, where it comes from, and its SHA-256.
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
    """Fetch networks of the zoo, and print where their files are.

    Args:
        names: of the networks.

    Raises:
        InputError: an unknown name, before anything is fetched; or, after all others were fetched,
            the networks that could not be.
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
    """Check size, SHA-256, architecture and scale of every file of the zoo that is on this machine.

    Prints a line for each. Where no SHA-256 is stated or recorded, that of the file is recorded.

    Raises:
        InputError: a file is wrong; the message lists all wrong ones.
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
    """Make a checkpoint of a network's ncnn files, and print its architecture.

    Args:
        param, binary, keep_fp16: as in `desra.networks.ncnn.import_files`.
        output: the checkpoint; None: named as the .param file, in the working folder.

    Raises:
        InputError: as `desra.networks.ncnn.import_files`.
    """
    output = output or Path(f"{param.stem.lower()}.safetensors")
    with single_file(output, "weights"):
        imported = ncnn.import_files(param, binary, output, keep_fp16)
    settings = ", ".join(f"{key}: {value}" for key, value in imported.network_g.items())
    print(f"{output}: {{{settings}}}")
    if any(array.dtype.itemsize == 2 for array in imported.tensors.values()):
        kept = "kept so" if keep_fp16 else "written as float32, which changes no value"
        print(f"{binary} holds float16 weights, {kept}", file=sys.stderr)


def import_package(
    package: str, name: str, output: Path | None = None, keep_fp16: bool = False
) -> None:
    """Make a checkpoint of a network whose ncnn files are in an installed package.

    Args:
        package: name of the package.
        name: name of the network in it.
        output: the checkpoint; None: a network of the zoo goes to its place there, any other as
            in `import_ncnn`.
        keep_fp16: as in `import_ncnn`.

    Raises:
        InputError: no such package or network, or as in `import_ncnn`.
    """
    models = ncnn.package_models(package)
    chosen = ncnn.choose(models, name)
    entries = [entry for entry in ZOO.values() if entry.package == (package, chosen)]
    if output is not None or not entries:
        import_ncnn(*models[chosen], output, keep_fp16)
        return
    place = zoo.place(entries[0])
    import_ncnn(*models[chosen], place, keep_fp16)
    zoo.record(entries[0], place, anew=True)


def list_package(package: str) -> None:
    """Print the names of a package's networks.

    Raises:
        InputError: no such package.
    """
    print("\n".join(ncnn.package_models(package)))


def blend(before: str, after: str, strength: float, output: Path) -> None:
    """Write a network between two: choose after a finetuning how much of its change is kept.

    ``params`` of ``output`` are ``before + strength (after - before)``, weight by weight.

    Args:
        before, after: as for `desra.networks.checkpoints.resolve`.
        strength: 0 gives ``before``, 1 gives ``after``.
        output: the checkpoint.

    Raises:
        InputError: unusable files, files of different networks, the result is not finite, or
            ``output`` is one of them or exists and was not written there by `desra.weights`.
    """
    paths = checkpoints.resolve(before), checkpoints.resolve(after)
    if output.resolve() in (path.resolve() for path in paths):
        raise InputError(f"-o: {output} is one of the two networks; choose another file")
    with single_file(output, "weights"):
        old, new = (checkpoints.with_new_names(checkpoints.tensors_of(path)) for path in paths)
        params = checkpoints.blended(old, new, strength)
        if fault := fault_of(params):
            raise InputError(
                f"--strength: with {strength:g} the result {fault}; take a smaller one"
            )
        checkpoints.save_atomically({"params": params}, output)
    print(f"{output}: {before} with {strength:g} of the change to {after}")
