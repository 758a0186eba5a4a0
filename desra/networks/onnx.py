"""Export a network as ONNX, for any batch and image size, and compare ONNX Runtime with torch.

By torch's exporter on ``torch.export``, as its older one cannot trace SwinIR's windows. Needs
``pip install "desra[export]"``.
"""

import inspect
import logging
import sys
import warnings
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from desra.networks.load import Network
from desra.utils.errors import InputError

OPSET = 18
#: Allowed difference of ONNX Runtime to torch, in standard deviations of the network's output for
#: noise. 1e-3 is less than a tenth of a grey level. Relative, since the output of an untrained
#: network is small.
TOLERANCE = 1e-3
#: (N, h, w) of the inputs to compare: other than the traced one, odd, and smaller than a window.
COMPARED = ((1, 1, 1), (1, 33, 50), (2, 17, 40), (1, 64, 9))
_TRACED = (2, 35, 51)
_REVERSE = "window_reverse"


class _AnySize(nn.Module):
    """The same as `desra.networks.load.AnySize`, bit for bit, in operations on sizes that are not
    known in advance; clipped to [0, 1]."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.net, self.network = network.net, network

    def forward(self, lq: Tensor) -> Tensor:
        network = self.network
        h, w = lq.shape[-2:]
        for axis, length in ((2, h), (3, w)):
            lq = _padded(lq, axis, length, network.multiple_of, network.minimum)
        sr = network.call(self.net, lq)
        return sr[..., : h * network.scale, : w * network.scale].clamp(0, 1)


def _padded(lq: Tensor, axis: int, length: int, multiple: int, minimum: int) -> Tensor:
    """Pad along an axis as `padded_to`, by indexing rows: by reflection, then by the last row."""
    if multiple == 1 and minimum <= 1:
        return lq
    if minimum > 1:
        minimum = -(-minimum // multiple) * multiple
    padded_length = torch.sym_max((length + multiple - 1) // multiple * multiple, minimum)
    rows = torch.arange(padded_length, device=lq.device)
    return lq.index_select(axis, torch.minimum(rows, 2 * (length - 1) - rows).clamp(min=0))


def to_onnx(network: Network, metadata: Mapping[str, str]) -> tuple[bytes, float]:
    """Export a network as ONNX, and compare ONNX Runtime with torch.

    Input ``lq``: float32 (batch, 3, height, width), RGB in [0, 1], any height and width from 1 on.
    Output ``sr``: float32 ``(batch, 3, height*scale, width*scale)``, clipped to [0, 1].

    Args:
        network: the network.
        metadata: names and values to write into the file, beside architecture, scale, and
            descriptions of input and output.

    Returns:
        The content of the file, and the largest difference of ONNX Runtime to torch over inputs of
        the sizes `COMPARED`.

    Raises:
        InputError: the extra ``export`` is not installed, torch cannot export this network, or the
            difference exceeds `TOLERANCE`.
    """
    libraries = _libraries()
    module = _AnySize(network).eval()
    model = _traced(module, network.name)
    _describe(model, _facts(network) | dict(metadata), libraries.onnx)
    content: bytes = model.SerializeToString()
    difference, spread = _difference(content, module, libraries.onnxruntime)
    if not difference <= TOLERANCE * spread:  # NaN too
        raise InputError(
            f"ONNX: what ONNX Runtime makes of this network ({network.name}) differs from torch by "
            f"{difference:.2g}, more than {TOLERANCE * spread:.2g}, so no file is left; give -o a "
            "name in .safetensors or .pth"
        )
    return content, difference


def _libraries() -> SimpleNamespace:
    """Import the libraries of the extra ``export``.

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


def _traced(module: nn.Module, name: str) -> Any:
    """Trace a module, and return its ONNX ModelProto."""
    n, h, w = _TRACED
    free = torch.export.Dim.DYNAMIC
    with _quiet(), _any_batch(module):
        try:
            program = torch.onnx.export(
                module,
                (torch.zeros(n, 3, h, w),),
                dynamo=True,
                verbose=False,
                opset_version=OPSET,
                input_names=["lq"],
                output_names=["sr"],
                dynamic_shapes=({0: free, 2: free, 3: free},),
            )
        except Exception as error:  # torch may raise anything for the code of a network
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            raise InputError(
                f"ONNX: torch {torch.__version__} cannot export this network, {name} ({reason}); "
                "give -o a name in .safetensors or .pth"
            ) from error
    assert program is not None  # it is with dynamo=True
    return program.model_proto


@contextmanager
def _quiet() -> Generator[None]:
    """Silence torch's exporter while inside: it logs and warns about its own code."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


@contextmanager
def _any_batch(module: nn.Module) -> Generator[None]:
    """Make ``window_reverse`` of SwinIR and similar networks work for any batch, while inside.

    It computes the batch size as ``int(a / b)``, which tracing turns into a constant.
    """
    files = {sys.modules[type(part).__module__] for part in module.modules()}
    originals = {file: function for file in files if (function := getattr(file, _REVERSE, None))}
    try:
        for file, function in originals.items():
            if len(inspect.signature(function).parameters) == 4:
                setattr(file, _REVERSE, _window_reverse)
        yield
    finally:
        for file, function in originals.items():
            setattr(file, _REVERSE, function)


def _window_reverse(windows: Tensor, size: int, h: int, w: int) -> Tensor:
    """Join windows (windows of all images, size, size, C) to images (N, h, w, C)."""
    channels = windows.shape[-1]
    grid = windows.view(-1, h // size, w // size, size, size, channels)
    return grid.permute(0, 1, 3, 2, 4, 5).reshape(-1, h, w, channels)


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
    """Name the axes, add the metadata, and remove torch's notes about its own code, which contain
    paths of this machine."""
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
def _difference(content: bytes, module: nn.Module, onnxruntime: ModuleType) -> tuple[float, float]:
    """Return the largest difference for noise of the sizes `COMPARED`, and the standard deviation
    of torch's output; infinity where shapes differ or ONNX Runtime fails."""
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = torch.get_num_threads()
    settings.log_severity_level = 4  # to_onnx raises with a message of its own
    rng = np.random.default_rng(0)
    differences: list[float] = []
    values: list[Any] = []
    try:
        session = onnxruntime.InferenceSession(
            content, settings, providers=["CPUExecutionProvider"]
        )
        for n, h, w in COMPARED:
            lq = rng.random((n, 3, h, w), dtype=np.float32)
            sr, expected = session.run(None, {"lq": lq})[0], module(torch.from_numpy(lq)).numpy()
            if sr.shape != expected.shape:
                return float("inf"), 0.0
            differences.append(float(np.abs(sr - expected).max()))
            values.append(expected.ravel())
    except Exception:  # its errors have no base class of their own
        return float("inf"), 0.0
    return float(np.max(differences)), float(np.concatenate(values).std())  # NaN if one is
