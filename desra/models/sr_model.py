"""One SR network, loaded, tiled, on any device: what notebooks and detection use."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from spandrel import ImageModelDescriptor, ModelLoader, UnsupportedModelError
from torch import Tensor, nn

from desra import checkpoints
from desra.device import autocast, keep_residual_in_fp32, select_device, select_precision
from desra.errors import InputError
from desra.registry import ARCH_REGISTRY, build
from desra.tiling import Tiles, run_tiled


class SRModel:
    """An SR network behind a plain function of images.

    Args:
        net: maps float (N, 3, h, w) in [0, 1] to (N, 3, h*scale, w*scale).
        scale: its factor.
        device: see :func:`desra.device.select_device`.
        precision: auto, fp32, bf16 or fp16.
        tiles: how large images are cut.

    Example:
        >>> model = SRModel.from_checkpoint("embedded:gan")
        >>> model(np.zeros((8, 6, 3), np.uint8)).shape
        (32, 24, 3)
    """

    def __init__(
        self,
        net: nn.Module,
        scale: int,
        device: str = "auto",
        precision: str = "auto",
        tiles: Tiles | None = None,
    ):
        self.device = select_device(device)
        self.dtype = select_precision(precision, self.device)
        self.scale, self.tiles = scale, tiles or Tiles()
        net = keep_residual_in_fp32(net.eval().requires_grad_(False))
        self.net = net.to(self.device, memory_format=torch.channels_last)  # pyright: ignore

    @classmethod
    def from_checkpoint(
        cls,
        weights: str | Path,
        network_g: Mapping[str, Any] | None = None,
        scale: int | None = None,
        **settings: Any,
    ) -> "SRModel":
        """Load a network.

        Args:
            weights: a .pth or .safetensors file, or embedded:gan / embedded:mse. ``params_ema`` is
                taken before ``params``.
            network_g: ``type`` and arguments of the architecture; None: found from the weights.
            scale: what the factor must be; None: whatever it is.
            settings: ``device``, ``precision``, ``tiles``.

        Raises:
            InputError: no such file, not loadable, not an SR network, or of another scale.
        """
        path = checkpoints.resolve(str(weights))
        if network_g is not None:
            net = build(ARCH_REGISTRY, network_g, "network_g")
            checkpoints.load_into(net, str(path), "network_g")
            factor = probe_scale(net)
        else:
            net, factor = _detect(path)
        if scale is not None and factor != scale:
            raise InputError(f"weights: {path} is an x{factor} network, but scale is {scale}")
        return cls(net, factor, **settings)

    @torch.inference_mode()
    def __call__(self, image: NDArray[Any], bits: Literal[8, 16] = 8) -> NDArray[Any]:
        """Upscale one image.

        Args:
            image: uint8 or uint16 (H, W, 3), RGB, the full range of its type.
            bits: of the result.

        Returns:
            uint8 or uint16 (H*scale, W*scale, 3), RGB, rounded to nearest and clipped.

        Raises:
            ValueError: another shape or dtype.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype not in (np.uint8, np.uint16):
            raise ValueError(
                f"an image must be uint8 or uint16 (H, W, 3), not {image.dtype} "
                f"{tuple(image.shape)}"
            )
        top = np.float32(np.iinfo(image.dtype).max)
        planes = np.ascontiguousarray(image.transpose(2, 0, 1)[None], dtype=np.float32) / top
        lq = torch.from_numpy(planes).to(self.device, memory_format=torch.channels_last)
        sr = run_tiled(self._run, lq, self.scale, self.tiles)[0].clamp(0, 1)
        pixels = (sr * (2**bits - 1)).round().permute(1, 2, 0).contiguous().cpu().numpy()
        return pixels.astype(np.uint8 if bits == 8 else np.uint16)

    def _run(self, lq: Tensor) -> Tensor:
        with autocast(self.device, self.dtype):
            return self.net(lq)


def _detect(path: Path) -> tuple[nn.Module, int]:
    """Architecture, weights and scale of a checkpoint, by spandrel."""
    tensors = checkpoints.read(path)
    try:
        model = ModelLoader(device="cpu").load_from_state_dict(checkpoints.state_dict(tensors))
    except (UnsupportedModelError, ValueError) as error:
        raise InputError(
            f"weights: {path} holds no SR network that is known; if it is one, name its "
            "architecture with network_g"
        ) from error
    if not isinstance(model, ImageModelDescriptor) or model.purpose not in ("SR", "FaceSR"):
        raise InputError(f"weights: {path} is a {model.architecture.name}, not an SR network")
    if (model.input_channels, model.output_channels) != (3, 3):
        raise InputError(f"weights: {path} does not map RGB to RGB")
    return model.model, model.scale


@torch.no_grad()
def probe_scale(net: nn.Module) -> int:
    """The factor of a network on the CPU, by running it; leaves it in eval mode."""
    size = 64
    return net.eval()(torch.zeros(1, 3, size, size)).shape[-1] // size
