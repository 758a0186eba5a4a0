"""One SR network, loaded, tiled, on any device: what notebooks and detection use."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from desra.networks.load import load_network
from desra.networks.sensitive import keep_in_fp32
from desra.networks.tiling import halved, strips
from desra.options.base import CommonOptions
from desra.options.sections import NetworkOptions, Tiles
from desra.utils.device import (
    autocast,
    is_out_of_memory,
    keep_residual_in_fp32,
    select_device,
    select_precision,
)
from desra.utils.errors import InputError

logger = logging.getLogger("desra")


class _OutOfMemory(Exception):
    """The network, not what surrounds it, found no memory: smaller tiles may help."""


class SRNetwork:
    """One SR network as a plain function of images.

    Load one by :meth:`from_checkpoint`, and call it with an image: an array of RGB pixels, as
    :func:`desra.io.images.read_image` (``read_image("a.png").rgb``), Pillow and scikit-image give
    it; OpenCV's are BGR. Large images are cut into tiles, so that memory stays bounded.

    Args:
        net: maps float (N, 3, h, w) in [0, 1] to ``(N, 3, h*scale, w*scale)``.
        scale: its factor.
        device: auto (cuda if there is one, else mps, else cpu), or torch's name, such as "cuda:1".
        precision: what the network computes in: fp32, bf16, fp16 (not on a CPU), or auto: bf16
            where the device has it natively, fp16 on an older GPU, else fp32.
        tiles: how large images are cut, in input pixels; ``Tiles(0, 0)`` never cuts.

    Attributes:
        scale: the factor.
        device: where the network is.
        dtype: what it computes in.
        tiles: what is in force: when the network runs out of memory, the size is halved, for all
            images that follow too.
        net: the network, in eval mode and without gradients.

    Raises:
        InputError: a device or precision that is not to be had here.

    Where less than float32 gives a tile that is not finite, or black out of one that is not, this
    tile is computed again in float32, and the first time it is said.

    Example:
        >>> import numpy as np
        >>> from desra.models import SRNetwork
        >>> from desra.networks.tiling import Tiles
        >>> model = SRNetwork.from_checkpoint("embedded:gan", device="cpu", tiles=Tiles(256, 32))
        >>> model.scale
        4
        >>> image = np.zeros((8, 6, 3), np.uint8)  # RGB, any height and width
        >>> sr = model(image)
        >>> sr.shape, sr.dtype
        ((32, 24, 3), dtype('uint8'))
    """

    def __init__(
        self,
        net: nn.Module,
        scale: int,
        device: str = "auto",
        precision: str = "auto",
        tiles: Tiles = Tiles(),
    ):
        self.device = select_device(device)
        self.dtype = select_precision(precision, self.device)
        self.scale, self.tiles = scale, tiles
        self._said_fp32 = False
        net = keep_in_fp32(keep_residual_in_fp32(net.eval().requires_grad_(False)))
        self.net = net.to(self.device, memory_format=torch.channels_last)  # pyright: ignore

    @classmethod
    def from_checkpoint(
        cls,
        weights: str | Path,
        network_g: Mapping[str, Any] | None = None,
        scale: int | None = None,
        **settings: Any,
    ) -> "SRNetwork":
        """Load a network.

        Args:
            weights: a .pth or .safetensors file, a name that ``python -m desra.weights list``
                gives (downloaded unless it is there), or embedded:gan / embedded:mse.
                ``params_ema`` is taken before ``params``.
            network_g: ``type`` and arguments of the architecture, as in YAML; None: found from the
                weights, which nearly always works.
            scale: what the factor must be; None: whatever it is.
            settings: ``device``, ``precision``, ``tiles`` of the class.

        Returns:
            The network, on its device.

        Raises:
            InputError: no such file, not loadable, not an SR network, or of another scale.
        """
        network = load_network(weights, network_g, scale)
        return cls(network.for_any_size(), network.scale, **settings)

    @classmethod
    def from_options(
        cls,
        section: NetworkOptions,
        tile: Tiles,
        common: CommonOptions,
        scale: int | None = None,
    ) -> "SRNetwork":
        """Load the network that a section of the options names.

        Raises:
            InputError: as :meth:`from_checkpoint`.
        """
        return cls.from_checkpoint(
            section.weights,
            section.network_g.spec() if section.network_g else None,
            scale,
            device=common.device,
            precision=common.precision,
            tiles=tile,
        )

    def __call__(
        self,
        image: NDArray[Any],
        bits: Literal[8, 16] = 8,
        out: NDArray[Any] | None = None,
    ) -> NDArray[Any]:
        """Upscale one image.

        Args:
            image: uint8 or uint16 (H, W, 3), RGB, the full range of its type.
            bits: of the result.
            out: where the result goes, of its shape and type, perhaps on disk
                (:func:`desra.io.files.scratch`): it is filled from top to bottom, while no more
                than a row of tiles is held. None: a new array.

        Returns:
            uint8 or uint16 ``(H*scale, W*scale, 3)``, RGB, rounded to nearest and clipped; ``out``
            if that is given.

        Raises:
            ValueError: another shape or dtype.
            InputError: no memory even for the smallest tiles, or a network whose values are not
                finite in float32 either.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype not in (np.uint8, np.uint16):
            raise ValueError(
                f"an image must be uint8 or uint16 (H, W, 3), not {image.dtype} "
                f"{tuple(image.shape)}"
            )
        shape, dtype = self.result_of(image.shape, bits)
        if out is None:
            out = np.empty(shape, dtype)
        elif out.shape != shape or out.dtype != dtype:
            raise ValueError(f"out must be {dtype} {shape}, not {out.dtype} {tuple(out.shape)}")
        while (reason := self._fill(out, image)) is not None:
            # Only here, where the error no longer holds on to the tensors of the failed attempt.
            self._halve_tiles(image.shape[:2], reason)
        return out

    def result_of(
        self, shape: tuple[int, ...], bits: Literal[8, 16] = 8
    ) -> tuple[tuple[int, int, int], np.dtype[Any]]:
        """Return shape and type of the result for an image of ``shape`` (H, W, 3)."""
        dtype = np.dtype(np.uint8 if bits == 8 else np.uint16)
        return (shape[0] * self.scale, shape[1] * self.scale, 3), dtype

    @torch.inference_mode()
    def _fill(self, out: NDArray[Any], image: NDArray[Any]) -> str | None:
        """Upscale ``image`` into ``out``; the reason if memory ran out."""
        top = np.float32(np.iinfo(image.dtype).max)
        planes = np.ascontiguousarray(image.transpose(2, 0, 1)[None], dtype=np.float32) / top
        lq = torch.from_numpy(planes).to(self.device, memory_format=torch.channels_last)
        row, levels = 0, int(np.iinfo(out.dtype).max)
        try:
            for strip in strips(self._run, lq, self.scale, self.tiles):
                pixels = (strip[0].clamp(0, 1) * levels).round().permute(1, 2, 0)
                out[row : row + pixels.shape[0]] = pixels.contiguous().cpu().numpy()
                row += pixels.shape[0]
        except _OutOfMemory as error:
            return str(error)
        return None

    def _halve_tiles(self, size: tuple[int, ...], reason: str) -> None:
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        smaller = halved(self.tiles, size[0], size[1])
        if smaller is None:
            raise InputError(
                f"{self.device} has too little memory for this network even in the smallest "
                f"tiles ({reason}); free some, or choose another device"
            )
        logger.warning(
            "out of memory on %s: tiles of %d pixels from here on", self.device, smaller.size
        )
        self.tiles = smaller

    def _run(self, lq: Tensor) -> Tensor:
        """Run the network on one tile; what low precision spoils is computed again."""
        sr = self._forward(lq, self.dtype)
        if _is_sound(sr, lq):
            return sr
        if self.dtype != torch.float32:
            low, sr = sr, self._forward(lq, torch.float32)
            # A tile that is black in both was right the first time: nothing to tell.
            if not self._said_fp32 and (_is_sound(sr, lq) or not low.isfinite().all()):
                name = str(self.dtype).removeprefix("torch.")
                logger.warning("%s spoils some tiles of this network: done in float32", name)
                self._said_fp32 = True
        if not sr.isfinite().all():
            raise InputError(
                "the network gives values that are not finite, in float32 too: its weights are "
                "damaged; take another checkpoint"
            )
        return sr

    def _forward(self, lq: Tensor, dtype: torch.dtype) -> Tensor:
        try:
            with autocast(self.device, dtype):
                return self.net(lq)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            raise _OutOfMemory(str(error).strip().split("\n")[0]) from None


def _is_sound(sr: Tensor, lq: Tensor) -> bool:
    """Return whether it is finite, and not black (0 in 8 bits) where the input is not."""
    black = 0.5 / 255
    return bool(sr.isfinite().all()) and bool(sr.amax() >= black or lq.amax() < black)
