"""The formats that ``python -m desra.export`` writes."""

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from desra.io.files import atomic_write
from desra.io.ledger import single_file
from desra.networks import checkpoints, onnx
from desra.networks.load import Network, is_recognised, load_network
from desra.options.sections import NetworkOptions
from desra.utils.errors import InputError


def export(
    weights: str, output: Path, network_g: Mapping[str, Any] | None = None, half: bool = False
) -> str:
    """Write a network for other programs.

    Args:
        weights: as for :func:`desra.networks.checkpoints.resolve`.
        output: the file; one that was exported before is replaced.
        network_g: ``type`` and arguments of the architecture; None: found from the weights.
        half: whether the weights are stored as float16.

    Returns:
        A line about the file.

    Raises:
        InputError: weights that are no SR network's, another ending, ``output`` is the file of the
            weights, or exists and was not exported there; ``half`` with ONNX or with weights that
            float16 does not hold; of ONNX as :func:`desra.networks.onnx.to_onnx`.
    """
    write = _FORMATS.get(output.suffix.lower())
    if write is None:
        raise InputError(f"-o: {output}: the name must end in .onnx, .safetensors or .pth")
    path = checkpoints.resolve(weights)
    if output.resolve() == path.resolve():
        raise InputError(f"-o: {output} is the file of the weights; choose another")
    with single_file(output, "export"):
        network = load_network(path, network_g)
        content, said = write(network, path, half)
        with atomic_write(output) as file:
            file.write(content)
    return f"{output}: {network.name} x{network.scale}, {len(content) / 1e6:.1f} MB; {said}"


def export_and_print(options: NetworkOptions, output: Path, half: bool = False) -> None:
    """Export the network that the options name, and print the line about the file.

    Args:
        options: the network.
        output, half: as for `export`.

    Raises:
        InputError: as `export`.
    """
    network_g = options.network_g.spec() if options.network_g else None
    print(export(options.weights, output, network_g, half))


def _onnx(network: Network, path: Path, half: bool) -> tuple[bytes, str]:
    if half:
        raise InputError("--half: .onnx is written in float32; leave --half out, or name a .pth")
    content, difference = onnx.to_onnx(network, {"weights": path.name})
    return content, (
        f"ONNX opset {onnx.OPSET}, any size; ONNX Runtime differs from torch by at most "
        f"{difference:.1g} on {len(onnx.COMPARED)} sizes"
    )


def _safetensors(_network: Network, path: Path, half: bool) -> tuple[bytes, str]:
    tensors = _tensors(path, half)
    return safetensors.torch.save(tensors, {"format": "pt"}), _readers(tensors)


def _pth(_network: Network, path: Path, half: bool) -> tuple[bytes, str]:
    tensors, file = _tensors(path, half), io.BytesIO()
    torch.save({"params_ema": tensors, "params": tensors}, file)  # the file holds them once
    return file.getvalue(), _readers(tensors)


def _tensors(path: Path, half: bool) -> dict[str, Tensor]:
    """The weights by basicsr's names, each with memory of its own."""
    tensors = checkpoints.with_new_names(checkpoints.tensors_of(path))
    if half:
        tensors = {name: _in_half(name, tensor) for name, tensor in tensors.items()}
    return {name: tensor.clone().contiguous() for name, tensor in tensors.items()}


def _in_half(name: str, tensor: Tensor) -> Tensor:
    stored = tensor.half() if tensor.is_floating_point() else tensor
    if stored.isinf().any():
        raise InputError(f"--half: {name} holds values beyond float16's 65504; leave --half out")
    return stored


def _readers(tensors: Mapping[str, Tensor]) -> str:
    dtypes = sorted({str(tensor.dtype).removeprefix("torch.") for tensor in tensors.values()})
    readable = "" if is_recognised(tensors) else ", but spandrel and chaiNNer do not know this one"
    return f"{len(tensors)} tensors of {', '.join(dtypes)}{readable}"


_FORMATS: Mapping[str, Callable[[Network, Path, bool], tuple[bytes, str]]] = {
    ".onnx": _onnx,
    ".safetensors": _safetensors,
    ".pth": _pth,
}
