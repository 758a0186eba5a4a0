"""Read and write checkpoints: safe loading, the right tensors in the file, atomic writing.

Only tensors and plain values are ever unpickled (``weights_only=True``, safetensors). For any other
file the error says what it is, and what to give instead.
"""

import os
import pickle
import re
import struct
import zipfile
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from desra.io.files import atomic_write
from desra.networks import file_types, zoo
from desra.networks.soundness import fault_of
from desra.networks.wrapping import contains_network, is_ema, unwrapped
from desra.utils.errors import InputError, logger
from desra.utils.reading import open_file

_ASSETS = Path(__file__).parent.parent / "assets"
EMBEDDED = {
    "embedded:gan": _ASSETS / "sr_gan_x4.safetensors",
    "embedded:mse": _ASSETS / "sr_mse_x4.safetensors",
}
#: Names in the first ESRGAN and in BSRGAN -> names in basicsr's RRDBNet.
_OLD_NAMES = (
    (r"model\.0\.(\w+)", r"conv_first.\1"),
    (r"model\.1\.sub\.(\d+)\.RDB(\d)\.conv(\d)\.0\.(\w+)", r"body.\1.rdb\2.conv\3.\4"),
    (r"model\.1\.sub\.\d+\.(weight|bias)", r"conv_body.\1"),
    (r"model\.3\.(\w+)", r"conv_up1.\1"),
    (r"model\.6\.(\w+)", r"conv_up2.\1"),
    (r"model\.8\.(\w+)", r"conv_hr.\1"),
    (r"model\.10\.(\w+)", r"conv_last.\1"),
    (r"RRDB_trunk\.(\d+)\.RDB(\d)\.conv(\d)\.(\w+)", r"body.\1.rdb\2.conv\3.\4"),
    (r"trunk_conv\.(\w+)", r"conv_body.\1"),
    (r"upconv(\d)\.(\w+)", r"conv_up\1.\2"),
    (r"HRconv\.(\w+)", r"conv_hr.\1"),
)
_SHOWN = 3
# What torch raises on bytes that are no checkpoint.
_DAMAGE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BufferError,
    EOFError,
    ImportError,
    LookupError,
    NameError,
    RuntimeError,
    SystemError,
    TypeError,
    ValueError,
    pickle.PickleError,
    struct.error,
    zipfile.BadZipFile,
)


class MismatchError(InputError):
    """An InputError: the weights are those of another network."""


def resolve(weights: str) -> Path:
    """Return the file that ``weights`` names: a path, embedded:gan / embedded:mse, or a name of the
    zoo.

    An existing path comes first. A network of the zoo is downloaded if it is not here yet.

    Raises:
        InputError: there is no such file, or it cannot be downloaded.
    """
    path = EMBEDDED.get(weights, Path(weights))
    if weights.startswith("embedded:") and weights not in EMBEDDED:
        raise InputError(f"weights: '{weights}' is not one of {', '.join(EMBEDDED)}")
    if path.is_file():
        return path
    if weights in zoo.ZOO:
        return zoo.fetch(weights, read)
    if path.is_dir():
        inside = sorted(p.name for p in path.iterdir() if p.suffix in (".pth", ".safetensors"))
        such = f", such as {path / inside[-1]}" if inside else ""
        raise InputError(f"weights: {path} is a folder; give one .pth or .safetensors file{such}")
    raise InputError(f"weights: the file {path} does not exist{zoo.hint(weights)}")


def read(path: Path) -> dict[str, Any]:
    """Read the dictionary in a checkpoint, safely, onto the CPU; the suffix does not matter.

    Raises:
        InputError: the file is not a checkpoint, is incomplete, or holds more than tensors and
            plain values.
    """
    if shard := re.search(r"-(\d{5})-of-(\d{5})\.\w+$", path.name):
        raise InputError(
            f"weights: {path} is part {int(shard[1])} of {int(shard[2])} of a checkpoint; where it "
            "was made, save it in one file: torch.save(net.state_dict(), 'net.pth')"
        )
    if path.name.endswith(".index.json"):
        raise InputError(
            f"weights: {path} lists the parts of a checkpoint; where it was made, save it in one "
            "file: torch.save(net.state_dict(), 'net.pth')"
        )
    try:
        kind = file_types.weights_format(path)
    except ValueError as error:
        raise InputError(f"weights: {path} {error}") from error
    except OSError as error:
        raise InputError(f"weights: {path} cannot be read ({error.strerror})") from error
    try:
        if kind == "safetensors":
            return dict(load_file(path))
        with open_file(path) as file:  # with a path, torch would judge by its suffix
            content = torch.load(file, map_location="cpu", weights_only=True)
    except SafetensorError as error:
        if _is_out_of_memory(error):
            raise InputError(f"weights: {path} {_why_unread(path, error)}") from error
        raise InputError(
            f"weights: {path} is not a whole safetensors file ({error}); the download broke off: "
            "fetch it again"
        ) from error
    except (*_DAMAGE, OSError, MemoryError) as error:
        if _is_caused_by(error, KeyboardInterrupt):  # torch's reader in C++ wraps it
            raise KeyboardInterrupt from error
        raise InputError(f"weights: {path} {_why_unread(path, error)}") from error
    if not isinstance(content, dict):
        raise InputError(
            f"weights: {path} holds a {type(content).__name__}, not a dictionary; save the weights "
            "as torch.save(net.state_dict(), 'net.pth')"
        )
    return content


def _why_unread(path: Path, error: BaseException) -> str:
    """The end of the sentence about a file that could not be read."""
    if _is_out_of_memory(error):
        size = path.stat().st_size / 2**20
        return (
            f"needs more memory than there is ({size:.0f} MiB on disk); end other programs, or use "
            "a machine with more"
        )
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be read ({error.strerror})"
    return _why_refused(path, error)


def _is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error, or one that it was raised from, says that memory ran out."""
    return _is_caused_by(error, MemoryError) or bool(
        re.search(r"allocate memory|not enough memory|out of memory|bad_alloc", str(error))
    )


def _is_caused_by(error: BaseException | None, kind: type[BaseException]) -> bool:
    """Return whether an error is of a kind, or was raised from one or while one was handled."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        if isinstance(error, kind):
            return True
        seen.append(error)
        error = error.__cause__ or error.__context__
    return False


def _why_refused(path: Path, error: BaseException) -> str:
    """The end of the sentence about a file that torch does not load."""
    message = str(error)
    alone = "where it was made, save the weights alone: torch.save(net.state_dict(), 'net.pth')"
    refused = re.search(r"GLOBAL ([\w.]+)", message)
    if refused and file_types.holds_module(path):
        return f"holds a whole pickled network, so code, which is never run; {alone}"
    if refused or "Weights only load failed" in message:
        # torch's own words advise to load the file unsafely
        what = refused[1] if refused else "Python objects"
        if not (isinstance(error, EOFError) or "truncated" in message):
            return (
                f"cannot be loaded safely: it holds {what}, more than tensors and plain values, "
                f"and such code is never run; {alone}"
            )
    reason = message.split("\n")[0] or type(error).__name__
    return f"is incomplete or damaged ({reason}); fetch or copy it again"


def state_dict(content: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the network's tensors by their own names, without containers and prefixes.

    Args:
        content: a checkpoint, see `desra.networks.wrapping`.

    Raises:
        ValueError: there are no tensors.
    """
    tensors, _ = unwrapped(content)
    if not tensors:
        raise ValueError(f"no weights in it; its keys are {_some(map(str, content))}")
    return tensors


def tensors_of(path: Path) -> dict[str, Tensor]:
    """Read the network's tensors from a checkpoint, by name.

    Where the file has an average of them (EMA), or other networks too, what is taken is logged.

    Raises:
        InputError: as :func:`read`; or the file is a training state, has no weights in it, or
            weights that are no finite floats.
    """
    content = read(path)
    if _is_training_state(content):
        raise InputError(f"weights: {path} {_training_state(path, content)}")
    try:
        tensors = state_dict(content)
    except ValueError as error:
        raise InputError(
            f"weights: {path} holds {error}; give a file with the weights of a network, such as "
            "net_g_*.pth"
        ) from error
    if fault := fault_of(tensors):
        raise InputError(
            f"weights: {path} {fault}; give the file before it was converted or damaged, or an "
            "earlier one of that training"
        )
    _say_way(str(path), unwrapped(content)[1])
    return tensors


@lru_cache(maxsize=64)
def _say_way(path: str, way: str) -> None:
    """Log once which tensors of a file are taken."""
    if way not in ("", "params", "state_dict", "model"):
        average = ", the average (EMA) of the weights" if is_ema(way) else ""
        logger.info("weights: of %s the tensors under %s are taken%s", path, way, average)


def _is_training_state(content: Mapping[str, Any]) -> bool:
    """Return whether a file is what training resumes from, of basicsr or desra."""
    if not {"optimizers", "optimizer"} & content.keys():
        return False
    if {"params", "params_ema", "state_dict", "model"} & content.keys():
        return False
    counts = {"iter", "iteration"} & content.keys()
    return not contains_network(content) or ("optimizers" in content and bool(counts))


def _training_state(path: Path, content: Mapping[str, Any]) -> str:
    """Return the end of the error message about a training state of basicsr or desra."""
    iteration = content.get("iter", content.get("iteration"))
    models = path.absolute().parent.parent / "models"
    places = (models / f"net_g_{iteration}.pth", models / "net_g_latest.pth")
    files = [str(p) for p in places if p.is_file()]
    better = files[0] if files else "models/net_g_*.pth of that training"
    return (
        f"is a training state (iteration {iteration}), from which only training resumes; give the "
        f"network saved with it, {better}"
    )


def discriminator(tensors: Mapping[str, Tensor]) -> str | None:
    """Return the name of the discriminator that these weights belong to; None: no known one."""
    if {"conv0.weight", "conv9.weight"} <= tensors.keys():
        return "UNetDiscriminatorSN"
    if {"conv0_0.weight", "linear2.weight"} <= tensors.keys():
        return "VGGStyleDiscriminator"
    if {"features.0.weight", "classifier.0.weight"} <= tensors.keys():
        return "of the first ESRGAN"
    judges = any(tensor.ndim == 4 and tensor.shape[0] == 1 for tensor in tensors.values())
    if judges and "body.3.running_mean" in tensors:
        return "PatchDiscriminator"
    return None


def refuse_discriminator(tensors: Mapping[str, Tensor], path: Path, key: str = "weights") -> None:
    """Refuse the weights of a discriminator where those of a generator are expected.

    Args:
        tensors: the weights by name.
        path: their file, for the message.
        key: the key path in YAML, for the message.

    Raises:
        InputError: the weights are a discriminator's; if the generator is beside them, it is named.
    """
    if (name := discriminator(tensors)) is None:
        return
    beside = path.with_name(path.name.replace("net_d", "net_g"))
    better = str(beside) if beside != path and beside.is_file() else "net_g_*.pth of that training"
    raise InputError(
        f"{key}: {path} is a discriminator ({name}), not an SR network: it judges images and makes "
        f"none; give the generator, {better}"
    )


def with_new_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the tensors of the first ESRGAN or of BSRGAN (x4) to the names of basicsr's RRDBNet.

    Returns:
        The tensors by their new names; those of all other networks by the names they have.
    """
    first = {"model.1.sub.0.RDB1.conv1.0.weight", "model.10.weight"} <= tensors.keys()
    if not first and "RRDB_trunk.0.RDB1.conv1.weight" not in tensors:
        return dict(tensors)
    return {_new_name(name): tensor for name, tensor in tensors.items()}


def _new_name(name: str) -> str:
    for pattern, new in _OLD_NAMES:
        if match := re.fullmatch(pattern, name):
            return match.expand(new)
    return name


def load_into(net: nn.Module, weights: str, key: str) -> None:
    """Load a checkpoint into ``net``; all names and shapes must agree.

    Args:
        weights: as for :func:`resolve`.
        key: the key path in YAML, for the message.

    Raises:
        InputError: the file is unusable, or does not fit the network.
    """
    path = resolve(weights)
    fill(net, tensors_of(path), path, key)


def fill(net: nn.Module, tensors: Mapping[str, Tensor], path: Path, key: str) -> None:
    """Load tensors into ``net``; all names and shapes must agree, and ``net`` keeps its dtype.

    Args:
        net: the network, changed in place.
        tensors: by the names of the network, or by those of the first ESRGAN.
        path: their file, for the message.
        key: the key path in YAML, for the message.

    Raises:
        MismatchError: they do not fit; tensors that are missing, unexpected or of another size are
            listed.
        InputError: they are a discriminator's, and ``net`` is not one.
    """
    tensors = with_new_names(tensors)
    try:
        net.load_state_dict(tensors)
    except RuntimeError as error:
        own = net.state_dict()
        if discriminator(own) is None:
            refuse_discriminator(tensors, path, key)
        faults = _differences(tensors, own) or " ".join(str(error).split())[:300]
        raise MismatchError(f"{key}: {path} does not fit {type(net).__name__}: {faults}") from error


def _differences(in_file: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> str:
    missing = [name for name in own if name not in in_file]
    more = [name for name in in_file if name not in own]
    sizes = [
        f"size mismatch for {name}: {tuple(in_file[name].shape)} in the file, "
        f"{tuple(tensor.shape)} in the network"
        for name, tensor in own.items()
        if name in in_file and in_file[name].shape != tensor.shape
    ]
    parts = [
        f"{len(sizes)} of other sizes ({_some(sizes, '; ')})" if sizes else "",
        f"{len(missing)} of {len(own)} missing ({_some(missing)})" if missing else "",
        f"{len(more)} unexpected ({_some(more)})" if more else "",
    ]
    return ", ".join(part for part in parts if part)


def _some(items: Iterable[str], separator: str = ", ") -> str:
    items = list(items)
    more = ["..."] if len(items) > _SHOWN else []
    return separator.join(items[:_SHOWN] + more)


def blended(
    before: Mapping[str, Tensor], after: Mapping[str, Tensor], strength: float
) -> dict[str, Tensor]:
    """Return ``before + strength (after - before)``, weight by weight.

    Integers (counters) are those of ``after``.

    Args:
        before, after: tensors of the same names and shapes.
        strength: 0 gives ``before``, 1 gives ``after``, above 1 extrapolates.

    Raises:
        InputError: their names or shapes differ.
    """
    if {k: v.shape for k, v in before.items()} != {k: v.shape for k, v in after.items()}:
        raise InputError(
            "weights: those before and after are of different networks; give the one that the "
            "finetuning started from, and the one that it made"
        )
    return {
        name: torch.lerp(before[name].to(value), value, strength)
        if value.is_floating_point()
        else value
        for name, value in after.items()
    }


def save_atomically(content: Mapping[str, Any], path: Path) -> None:
    """Write a checkpoint by ``torch.save``, completely or not at all, also when the power fails.

    Args:
        content: tensors and plain values.
        path: the file; an earlier one is replaced.

    Raises:
        InputError: the file cannot be written.
    """
    with atomic_write(path) as file:
        torch.save(dict(content), file)
        file.flush()
        os.fsync(file.fileno())  # before it replaces the old one
