"""A network for other programs. ``python -m desra.export WEIGHTS -o OUT.onnx``

``WEIGHTS`` is whatever `SRNetwork` loads: a checkpoint (a finetuned one for example), a
name that ``python -m desra.weights list`` gives, or embedded:gan / embedded:mse. The ending of
``OUT`` says what is written:

- ``.onnx``: for any height, width and batch, float32; compared with torch in ONNX Runtime, and not
  left behind if it differs by more than 1e-3 standard deviations of the output, less than a tenth
  of a grey level (needs ``pip install "desra[export]"``),
- ``.safetensors``: the (EMA) weights by their plain names, as spandrel and chaiNNer read them,
- ``.pth``: the same as ``params_ema`` and ``params``, as Real-ESRGAN's and basicsr's tools do.
"""

import argparse
import io
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from desra import cli
from desra.io.files import atomic_write
from desra.networks import checkpoints, onnx
from desra.networks.load import Network, is_recognised, load_network
from desra.options.loading import load
from desra.options.sections import NetworkOptions
from desra.utils.errors import InputError


def export(weights: str, output: Path, network_g: Mapping[str, Any] | None = None) -> str:
    """Write a network for other programs.

    Args:
        weights: as for :func:`desra.networks.checkpoints.resolve`.
        output: the file; an earlier one is replaced.
        network_g: ``type`` and arguments of the architecture; None: found from the weights.

    Returns:
        A line about the file.

    Raises:
        InputError: weights that are no SR network's, another ending, ``output`` is the file of the
            weights; of ONNX as :func:`desra.networks.onnx.to_onnx`.
    """
    write = _FORMATS.get(output.suffix.lower())
    if write is None:
        raise InputError(f"-o: {output}: the name must end in .onnx, .safetensors or .pth")
    path = checkpoints.resolve(weights)
    if output.resolve() == path.resolve():
        raise InputError(f"-o: {output} is the file of the weights; choose another")
    network = load_network(path, network_g)
    content, said = write(network, path)
    with atomic_write(output) as file:
        file.write(content)
    return f"{output}: {network.name} x{network.scale}, {len(content) / 1e6:.1f} MB; {said}"


def _onnx(network: Network, path: Path) -> tuple[bytes, str]:
    content, difference = onnx.to_onnx(network, {"weights": path.name})
    return content, (
        f"ONNX opset {onnx.OPSET}, any size; ONNX Runtime differs from torch by at most "
        f"{difference:.1g} on {len(onnx.COMPARED)} sizes"
    )


def _safetensors(_network: Network, path: Path) -> tuple[bytes, str]:
    tensors = _tensors(path)
    return safetensors.torch.save(tensors, {"format": "pt"}), _readers(tensors)


def _pth(_network: Network, path: Path) -> tuple[bytes, str]:
    tensors, file = _tensors(path), io.BytesIO()
    torch.save({"params_ema": tensors, "params": tensors}, file)  # the file holds them once
    return file.getvalue(), _readers(tensors)


def _tensors(path: Path) -> dict[str, Tensor]:
    """The weights by basicsr's names, each with memory of its own."""
    tensors = checkpoints.with_new_names(checkpoints.tensors_of(path))
    return {name: tensor.clone().contiguous() for name, tensor in tensors.items()}


def _readers(tensors: Mapping[str, Tensor]) -> str:
    dtypes = sorted({str(tensor.dtype).removeprefix("torch.") for tensor in tensors.values()})
    readable = "" if is_recognised(tensors) else ", but spandrel and chaiNNer do not know this one"
    return f"{len(tensors)} tensors of {', '.join(dtypes)}{readable}"


_FORMATS: Mapping[str, Callable[[Network, Path], tuple[bytes, str]]] = {
    ".onnx": _onnx,
    ".safetensors": _safetensors,
    ".pth": _pth,
}


def _parser() -> argparse.ArgumentParser:
    purpose, _, details = (__doc__ or "").partition("\n\n")
    parser = cli.Parser(
        prog=cli.called("export"),
        description=f"{purpose}\n\n{details}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("weights", metavar="WEIGHTS", help="the network")
    parser.add_argument("-o", dest="output", type=Path, required=True, metavar="OUT")
    parser.add_argument(
        "--force_yml",
        nargs="+",
        default=[],
        metavar="KEY:SUBKEY=VALUE",
        action="extend",
        help="the architecture, where it cannot be told from the weights: "
        "'network_g={type: EDSR, num_in_ch: 3, num_out_ch: 3}'",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; status 2 for wrong arguments or files."""
    args = _parser().parse_args(argv)

    def work() -> None:
        net = load(NetworkOptions, None, args.force_yml, {"weights": args.weights})
        print(export(net.weights, args.output, net.network_g.spec() if net.network_g else None))

    return cli.status_of(work)


if __name__ == "__main__":
    sys.exit(main())
