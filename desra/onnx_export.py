"""A network as ONNX, for batches and images of any size; what ONNX Runtime makes of it is compared.

torch's exporter by ``torch.export`` traces what its older one cannot (SwinIR's windows). Needs
``pip install "desra[export]"``.
"""

import io
import logging
import warnings
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from desra.errors import InputError
from desra.networks import Network

OPSET = 18
#: How far ONNX Runtime may be from torch, in [0, 1]: a tenth of a grey level.
TOLERANCE = 0.1 / 255
#: (N, h, w) of what is compared; other than what is traced, odd ones, and smaller than a window.
COMPARED = ((1, 1, 1), (1, 33, 50), (2, 17, 40), (1, 64, 9))
_TRACED = (2, 35, 51)


class _AnySize(nn.Module):
    """As :class:`desra.networks.AnySize`, bit for bit, in operations that know no size beforehand;
    clipped to [0, 1]."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.net, self.network = network.net, network

    def forward(self, lq: Tensor) -> Tensor:
        network = self.network
        h, w = lq.shape[-2:]
        for axis, length in ((2, h), (3, w)):
            lq = _grown(lq, axis, length, network.multiple_of, network.minimum)
        sr = network.call(self.net, lq)
        return sr[..., : h * network.scale, : w * network.scale].clamp(0, 1)


def _grown(lq: Tensor, axis: int, length: int, multiple: int, minimum: int) -> Tensor:
    """`desra.networks.padded_to` along one axis, by picking rows: reflected, then the last one."""
    if multiple == 1 and minimum <= 1:
        return lq
    if minimum > 1:
        minimum = -(-minimum // multiple) * multiple
    grown = torch.sym_max((length + multiple - 1) // multiple * multiple, minimum)
    rows = torch.arange(grown, device=lq.device)
    return lq.index_select(axis, torch.minimum(rows, 2 * (length - 1) - rows).clamp(min=0))


def to_onnx(network: Network, metadata: Mapping[str, str]) -> tuple[bytes, float]:
    """An ONNX model of a network, compared with it.

    Input ``lq``: float32 (batch, 3, height, width), RGB in [0, 1], any height and width from 1 on;
    output ``sr``: float32 ``(batch, 3, height*scale, width*scale)``, clipped to [0, 1].

    Args:
        network: what is exported.
        metadata: names and values to keep in the file, beside the scale, the architecture and what
            input and output are.

    Returns:
        The file's content, and the largest difference to torch in ONNX Runtime over `COMPARED`.

    Raises:
        InputError: the extra ``export`` is not installed, torch cannot export this network, or the
            difference exceeds `TOLERANCE`.
    """
    libraries = _libraries()
    module = _AnySize(network).eval()
    model = _traced(module, network.name, libraries.onnx)
    _describe(model, _facts(network) | dict(metadata), libraries.onnx)
    content: bytes = model.SerializeToString()
    difference = _difference(content, module, libraries.onnxruntime)
    if not difference <= TOLERANCE:  # NaN too
        raise InputError(
            f"ONNX: what ONNX Runtime makes of this network ({network.name}) differs from torch by "
            f"{difference:.2g}, more than {TOLERANCE:.2g}, so no file is left; give -o a name in "
            ".safetensors or .pth"
        )
    return content, difference


def _libraries() -> SimpleNamespace:
    """The modules of the extra.

    Raises:
        InputError: one is missing, or torch is too old.
    """
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401  (torch's exporter uses it)
    except ImportError as error:
        raise InputError(
            f"ONNX needs onnx, onnxruntime and onnxscript ({error}); run: pip install "
            "'desra[export]', or give -o a name in .safetensors or .pth"
        ) from error
    if not hasattr(torch.export.Dim, "DYNAMIC"):
        raise InputError(
            f"ONNX needs torch 2.6 or newer, and this is {torch.__version__}; update it, or give "
            "-o a name in .safetensors or .pth"
        )
    return SimpleNamespace(onnx=onnx, onnxruntime=onnxruntime)


def _traced(module: nn.Module, name: str, onnx: ModuleType) -> Any:
    """The ModelProto of a module."""
    n, h, w = _TRACED
    free = torch.export.Dim.DYNAMIC
    file = io.BytesIO()
    with _quiet():
        try:
            program = torch.onnx.export(
                module, (torch.zeros(n, 3, h, w),), dynamo=True, verbose=False, opset_version=OPSET,
                input_names=["lq"], output_names=["sr"],
                dynamic_shapes=({0: free, 2: free, 3: free},),
            )  # fmt: skip
        except Exception as error:  # whatever torch says to the code of a network
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            raise InputError(
                f"ONNX: torch {torch.__version__} cannot export this network, {name} ({reason}); "
                "give -o a name in .safetensors or .pth"
            ) from error
    assert program is not None  # it is with dynamo=True
    program.save(file)
    return onnx.load_from_string(file.getvalue())


@contextmanager
def _quiet() -> Generator[None]:
    """Without what torch's exporter notes and warns of, which is about its own code."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def _facts(network: Network) -> dict[str, str]:
    scale = network.scale
    return {
        "architecture": network.name,
        "scale": str(scale),
        "input": "lq: float32 (batch, 3, height, width), RGB in [0, 1], any size from 1 x 1 on",
        "output": f"sr: float32 (batch, 3, {scale} height, {scale} width), RGB clipped to [0, 1]; "
        "8 bits are round(255 sr)",
    }


def _describe(model: Any, facts: Mapping[str, str], onnx: ModuleType) -> None:
    """Name the sizes, write down what a user must know, and drop what torch notes of its own code:
    paths of this machine among it."""
    graph = model.graph
    del graph.value_info[:]
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        del part.metadata_props[:]
        part.ClearField("doc_string")
    sizes = (("batch", "height", "width"), ("batch", "sr_height", "sr_width"))
    for value, names in zip((graph.input[0], graph.output[0]), sizes, strict=True):
        shape = value.type.tensor_type.shape.dim
        for axis, name in zip((0, 2, 3), names, strict=True):
            shape[axis].dim_param = name
    onnx.helper.set_model_props(model, dict(facts))
    onnx.checker.check_model(model, full_check=True)


@torch.inference_mode()
def _difference(content: bytes, module: nn.Module, onnxruntime: ModuleType) -> float:
    """The largest over `COMPARED` of noise; infinity where sizes differ or ONNX Runtime fails."""
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = torch.get_num_threads()
    settings.log_severity_level = 4  # the sentence says it
    rng = np.random.default_rng(0)
    largest = 0.0
    try:
        session = onnxruntime.InferenceSession(
            content, settings, providers=["CPUExecutionProvider"]
        )
        for n, h, w in COMPARED:
            lq = rng.random((n, 3, h, w), dtype=np.float32)
            sr, expected = session.run(None, {"lq": lq})[0], module(torch.from_numpy(lq)).numpy()
            if sr.shape != expected.shape:
                return float("inf")
            largest = max(largest, float(np.abs(sr - expected).max()))
    except Exception:  # its errors have no base class of their own
        return float("inf")
    return largest
