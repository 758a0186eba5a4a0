"""Load a network: its architecture is recognised from the weights, or given as ``network_g``.

spandrel recognises the architectures in use and knows which input sizes they take; basicsr's
registry has those that a user names. The same weights give the same image either way.
"""

import copy
import inspect
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
import yaml
from spandrel import ImageModelDescriptor, ModelLoader, UnsupportedModelError
from torch import Tensor, nn

from desra.networks import checkpoints
from desra.registry import ARCH_REGISTRY, build, find
from desra.utils.errors import InputError

_PRIME = 13  # pixels: a size that is no multiple of another factor by chance
_MULTIPLES = {"meta": range(1, 65), "cpu": range(1, 17)}
# What spandrel may raise where weights resemble those of an architecture but are not.
_MISTAKEN = (
    RuntimeError,
    ValueError,
    TypeError,
    LookupError,
    AssertionError,
    AttributeError,
    ArithmeticError,
)


def _plain(net: nn.Module, lq: Tensor) -> Tensor:
    return net(lq)


@dataclass(frozen=True)
class Network:
    """A network with its weights, float32 on the CPU, in eval mode.

    Attributes:
        net: maps float (N, 3, h, w) in [0, 1] to ``(N, 3, h*scale, w*scale)``, for the sizes that
            it takes.
        scale: upscaling factor.
        multiple_of: h and w must be multiples of this.
        minimum: h and w must be at least this.
        name: of the architecture.
        call: calls ``net`` on an input, for networks that return more than an image.
    """

    net: nn.Module
    scale: int
    multiple_of: int
    minimum: int
    name: str
    call: Callable[[nn.Module, Tensor], Tensor] = _plain

    def for_any_size(self) -> "AnySize":
        """Return the network as a module for images of any size from 1 x 1 on."""
        return AnySize(self)


class AnySize(nn.Module):
    """A network that takes any size: it pads the input as needed, and crops the output.

    Args:
        network: the network to run.

    Input: float (N, 3, h, w) in [0, 1], any h, w >= 1. Output: ``(N, 3, h*scale, w*scale)``.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.net, self.network = network.net, network

    def forward(self, lq: Tensor) -> Tensor:
        network = self.network
        h, w = (n * network.scale for n in lq.shape[-2:])
        padded = padded_to(lq, network.multiple_of, network.minimum)
        return network.call(self.net, padded)[..., :h, :w]


def padded_to(lq: Tensor, multiple: int = 1, minimum: int = 0) -> Tensor:
    """Pad ``lq`` at the bottom and on the right to a size that a network takes.

    By reflection as far as possible (size - 1 pixels), then by repeating the last pixel, as in
    spandrel and, for the reflection, in Real-ESRGAN and SwinIR.

    Args:
        lq: (N, C, h, w), h, w >= 1.
        multiple: the padded h and w are multiples of it.
        minimum: the padded h and w are at least this.

    Returns:
        (N, C, h', w'); ``lq`` itself if it needs no padding.

    Example:
        >>> padded_to(torch.arange(3.0).reshape(1, 1, 1, 3), 4)[0, 0, 0].tolist()
        [0.0, 1.0, 2.0, 1.0]
    """
    h, w = lq.shape[-2:]
    bottom, right = (-(-max(n, minimum) // multiple) * multiple - n for n in (h, w))
    if not bottom and not right:
        return lq
    low, far = min(bottom, h - 1), min(right, w - 1)
    lq = F.pad(lq, (0, far, 0, low), "reflect")
    return F.pad(lq, (0, right - far, 0, bottom - low), "replicate")


def load_network(
    weights: str | Path, network_g: Mapping[str, Any] | None = None, scale: int | None = None
) -> Network:
    """Load the network of a checkpoint.

    Args:
        weights: as for :func:`desra.networks.checkpoints.resolve`.
        network_g: ``type`` and arguments of the architecture; None: recognise it from the weights.
        scale: the required upscaling factor; None: any.

    Returns:
        The network, float32 on the CPU, in eval mode.

    Raises:
        InputError: no such file, not loadable, not an SR network, weights that do not fit
            ``network_g``, or another scale.
    """
    path = checkpoints.resolve(str(weights))
    tensors = checkpoints.tensors_of(path)
    if network_g is None:
        network = _recognised_network(path, tensors)
    else:
        network = _built(path, tensors, network_g)
    if scale not in (None, network.scale):
        raise InputError(
            f"weights: {path} is an x{network.scale} network, but scale is {scale}; set scale: "
            f"{network.scale}, or give weights for x{scale}"
        )
    network.net.eval()
    return network


def network_g_of(weights: str | Path) -> dict[str, Any]:
    """Return ``network_g`` of a checkpoint: ``type`` and arguments to train it with.

    Args:
        weights: as for :func:`desra.networks.checkpoints.resolve`.

    Raises:
        InputError: no such file, not loadable, or basicsr does not have the architecture.
    """
    path = checkpoints.resolve(str(weights))
    tensors = checkpoints.tensors_of(path)
    checkpoints.refuse_discriminator(tensors, path)
    spec = _spec(checkpoints.with_new_names(tensors)) or _spec_by_spandrel(tensors)
    if spec is None and (model := _recognised(tensors)):
        raise InputError(
            f"weights: {path} is {model.architecture.name} x{model.scale}, which basicsr has no "
            "class for in this form, so it cannot be trained; name the class that you registered "
            "for it with network_g, or use it without training"
        )
    if spec is None:
        guess = _guess(tensors) or {"type": "EDSR", "num_in_ch": 3, "num_out_ch": 3}
        raise InputError(
            f"weights: what architecture {path} is to be trained in cannot be told from it; name "
            f"it with all its settings, such as network_g: {_line(guess)}"
        )
    return spec


def probe_scale(net: nn.Module) -> int:
    """Return the upscaling factor of a network on the CPU, by running it; sets eval mode.

    Raises:
        InputError: it is no SR network.
    """
    return _probe(net)[0]


def is_recognised(tensors: Mapping[str, Tensor]) -> bool:
    """Return whether spandrel, and so chaiNNer, recognises the network of these weights."""
    return _recognised(tensors) is not None


def as_network(net: nn.Module) -> Network:
    """Return a module with its weights, on the CPU, as a network with the sizes that it takes.

    Raises:
        InputError: it is no SR network.
    """
    scale, multiple = _probe(net)
    return Network(net, scale, multiple, 1, type(net).__name__)


# ----------------------------------------------------------------------- recognised by its weights


def _recognised_network(path: Path, tensors: Mapping[str, Tensor]) -> Network:
    checkpoints.refuse_discriminator(tensors, path)
    spec = _spec(checkpoints.with_new_names(tensors))
    if spec and not (spec["type"] == "RRDBNet" and spec["num_grow_ch"] == 32):
        return _built(path, tensors, spec, "weights")  # spandrel knows RRDBNet with 32 only
    try:
        model = ModelLoader(device="cpu").load_from_state_dict(dict(tensors))
    except UnsupportedModelError as error:
        if guess := _guess(tensors):
            raise InputError(
                f"weights: {path} is of {guess['type']}, whose settings cannot all be told from "
                f"the weights; say them as it was trained: network_g: {_line(guess)}"
            ) from error
        raise InputError(
            f"weights: {path} holds no SR network that is known (its tensors are "
            f"{', '.join([*tensors][:3])}, ...); if it is one, name its architecture and sizes, as "
            "network_g: {type: EDSR, num_in_ch: 3, num_out_ch: 3}"
        ) from error
    except _MISTAKEN as error:
        if spec:
            return _built(path, tensors, spec, "weights")  # its error has basicsr's names
        reason = " ".join(str(error).split())[:300]
        raise InputError(
            f"weights: {path} is like a network that is known, but does not fit it ({reason}); "
            "name its architecture and sizes with network_g"
        ) from error
    if not isinstance(model, ImageModelDescriptor):
        raise InputError(
            f"weights: {path} is a {model.architecture.name}, not an SR network; give the weights "
            "of one"
        )
    if (model.input_channels, model.output_channels) != (3, 3):
        raise InputError(
            f"weights: {path} maps {model.input_channels} channels to {model.output_channels}; "
            "give a network that maps RGB to RGB"
        )
    sizes = model.size_requirements
    return Network(
        model.model,
        model.scale,
        sizes.multiple_of,
        sizes.minimum,
        model.architecture.name,
        model._call_fn,
    )


def _spec(tensors: Mapping[str, Tensor]) -> dict[str, Any] | None:
    """Return ``network_g`` for weights of basicsr's RRDBNet or MSRResNet; None for others."""
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    names = ("conv_first.weight", "conv_hr.weight", "conv_last.weight")
    if any(len(shapes.get(name, ())) != 4 for name in names):
        return None
    num_feat, channels = shapes["conv_first.weight"][:2]
    blocks = [int(m[1]) for name in shapes if (m := re.match(r"body\.(\d+)\.", name))]
    common = {
        "num_in_ch": 3,
        "num_out_ch": shapes["conv_last.weight"][0],
        "num_feat": num_feat,
        "num_block": max(blocks, default=-1) + 1,
    }
    dense = shapes.get("body.0.rdb1.conv1.weight")
    scale = {3: 4, 12: 2, 48: 1}.get(channels)  # pixel-unshuffle by 2 or 4 comes first
    if dense and scale and "conv_up2.weight" in shapes:
        return {"type": "RRDBNet", **common, "num_grow_ch": dense[0], "scale": scale}
    up = shapes.get("upconv1.weight")
    if up and channels == 3 and "body.0.conv1.weight" in shapes:
        upscale = 4 if "upconv2.bias" in shapes else math.isqrt(up[0] // num_feat)
        return {"type": "MSRResNet", **common, "upscale": upscale}
    return None


def _guess(tensors: Mapping[str, Tensor]) -> dict[str, Any] | None:
    """Return a likely ``network_g`` for those networks of basicsr whose weights do not show all
    settings; None for others."""
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    blocks = [int(m[1]) for name in shapes if (m := re.match(r"body\.(\d+)\.", name))]
    last = max(blocks, default=0)
    if {"conv_after_body.weight", "upsample.0.weight", "body.0.conv1.weight"} <= shapes.keys():
        num_feat = shapes["conv_first.weight"][0]
        ups = [name for name in shapes if re.fullmatch(r"upsample\.\d+\.weight", name)]
        upscale = 3 if shapes["upsample.0.weight"][0] == 9 * num_feat else 2 ** len(ups)
        return {
            "type": "EDSR",
            "num_in_ch": 3,
            "num_out_ch": 3,
            "num_feat": num_feat,
            "num_block": last + 1,
            "upscale": upscale,
            "res_scale": 1,
            "img_range": 255.0,
        }
    head, tail = shapes.get("body.0.weight", ()), shapes.get(f"body.{last}.weight", ())
    if len(head) == len(tail) == 4 and head[1] == 3 and tail[0] % 3 == 0:
        return {
            "type": "SRVGGNetCompact",
            "num_feat": head[0],
            "num_conv": (last - 2) // 2,
            "upscale": math.isqrt(tail[0] // 3),
            "act_type": "relu",
        }
    return None


# -------------------------------------------------------------------------- built from network_g


def _built(
    path: Path, tensors: Mapping[str, Tensor], network_g: Mapping[str, Any], key: str = "network_g"
) -> Network:
    net = build(ARCH_REGISTRY, network_g, key)
    try:
        checkpoints.fill(net, tensors, path, key)
    except checkpoints.MismatchError as error:
        advice = "; give the whole checkpoint"
        if key == "network_g":
            advice = _advice(tensors, network_g)
        raise InputError(f"{error}{advice}") from error
    scale, multiple = _probe(net)
    minimum = 1
    if known := _recognised(tensors):
        # The same padding as without network_g, so that both give the same image.
        multiple = math.lcm(multiple, known.size_requirements.multiple_of)
        minimum = known.size_requirements.minimum
    return Network(net, scale, multiple, minimum, type(net).__name__)


def _recognised(tensors: Mapping[str, Tensor]) -> ImageModelDescriptor[nn.Module] | None:
    """Return the model that spandrel recognises in the weights, or None."""
    try:
        model = ModelLoader(device="cpu").load_from_state_dict(dict(tensors))
    except (UnsupportedModelError, *_MISTAKEN):
        return None
    return model if isinstance(model, ImageModelDescriptor) else None


def _advice(tensors: Mapping[str, Tensor], network_g: Mapping[str, Any]) -> str:
    """Return the end of an error message: what ``network_g`` should be for these weights."""
    spec = _spec(checkpoints.with_new_names(tensors)) or _spec_by_spandrel(tensors)
    if spec is None and is_recognised(tensors):
        return "; leave network_g out: the network is recognised from these weights"
    if spec is None:
        return "; write the network_g that these weights were trained with, all settings included"
    signature = inspect.signature(find(ARCH_REGISTRY, network_g["type"], "network_g"))
    settings = {
        name: parameter.default
        for name, parameter in signature.parameters.items()
        if parameter.default is not parameter.empty
    } | dict(network_g)
    keys = ["type"] if settings["type"] != spec["type"] else list(spec)
    wrong = [
        f"{key} is {settings[key]} instead of {spec[key]}"
        for key in keys
        if key in settings and not _equal(settings[key], spec[key])
    ]
    fault = ", ".join(wrong) or "the weights differ"
    return f"; {fault}: write network_g: {_line(spec)}, or leave it out"


def _line(spec: Mapping[str, Any]) -> str:
    """Return a section as YAML in one line."""
    return yaml.safe_dump(spec, default_flow_style=True, sort_keys=False, width=1000).strip()


def _equal(a: Any, b: Any) -> bool:
    sequences = isinstance(a, list | tuple) and isinstance(b, list | tuple)
    return list(a) == list(b) if sequences else a == b


_SWINIR = (
    "upscale",
    "img_size",
    "window_size",
    "img_range",
    "depths",
    "embed_dim",
    "num_heads",
    "mlp_ratio",
    "upsampler",
    "resi_connection",
)
_ARGUMENTS = {
    "Compact": ("SRVGGNetCompact", ("num_in_ch", "num_out_ch", "num_feat", "num_conv", "upscale")),
    "SwinIR": ("SwinIR", _SWINIR),
}


def _spec_by_spandrel(tensors: Mapping[str, Tensor]) -> dict[str, Any] | None:
    """Return ``network_g`` where basicsr has the architecture that spandrel recognises, or None."""
    model = _recognised(tensors)
    if model is None or model.architecture.id not in _ARGUMENTS:
        return None
    name, arguments = _ARGUMENTS[model.architecture.id]
    settings: Mapping[str, Any] = getattr(model.model, "hyperparameters", {})
    return {"type": name} | {key: settings[key] for key in arguments if key in settings}


# ------------------------------------------------------------------------------------------ probing


@torch.no_grad()
def _probe(net: nn.Module) -> tuple[int, int]:
    """Return the upscaling factor, and what the input must be a multiple of; sets eval mode.

    The network is run on meta tensors, which cost nothing, or on the CPU if that fails.

    Raises:
        InputError: it is no SR network.
    """
    net.eval()
    name, reason = type(net).__name__, ""
    for device, multiples in _MULTIPLES.items():
        trial = copy.deepcopy(net).to(device)
        for multiple in multiples:
            size = _PRIME * multiple
            try:
                sr = trial(torch.zeros(1, 3, size, size, device=device))
            except Exception as error:  # whatever the code of a network says to a wrong size
                reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
                continue
            shape = tuple(sr.shape) if isinstance(sr, Tensor) else type(sr).__name__
            scale = sr.shape[-1] // size if isinstance(sr, Tensor) else 0
            if scale < 1 or shape != (1, 3, size * scale, size * scale):
                raise InputError(
                    f"network_g.type: {name} is not an SR network: of an image (1, 3, {size}, "
                    f"{size}) it makes {shape}; name one that makes (1, 3, h*scale, w*scale)"
                )
            return scale, multiple
    raise InputError(
        f"network_g.type: {name} cannot be run on an image ({reason}); name an SR network"
    )
