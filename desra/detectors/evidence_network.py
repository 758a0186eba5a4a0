"""What the default detector sees: energies of texture, and a small network that weighs them.

The paper's D asks one question, how much the local contrast of two SR images differs. Here it is
asked band by band, and beside the contrast of each image stands that of their difference, which
tells texture in the wrong place from texture of the wrong strength. The LR image says how much
texture there is to be seen at all, where the paper takes a semantic model for that, and what the SR
image must average to.

All that is measured lies on the grid of LR pixels ("cells"), which makes it independent of the
scale and, at x4, sixteen times smaller than the SR image.

The network (two hidden layers of 32) was fitted by ``scripts/fit_detector.py`` to artifacts that
were injected at known places; ``desra/assets/MODEL_CARD.md`` says into what.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from desra.utils.filters import blur

Image = NDArray[np.uint8]
Values = NDArray[np.floating]

WEIGHTS = Path(__file__).parent.parent / "assets" / "evidence.safetensors"
#: Standard deviations, in cells, of the windows over which energies are averaged.
WINDOWS = (1.0, 3.0)
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_FLOOR = 0.5  # grey levels: what is below is rounding
_STRIP = 128  # rows of cells looked at at once, which bounds the memory
_HALO = 4  # rows of cells around them: all that the filters there see


def measure(sr_mse: Image, sr_gan: Image, lq: Image | None, scale: int) -> Values:
    """Measure all that the network gets to see of an SR pair.

    For both images and their difference, the mean energy (squared deviation, grey levels) of

    - ``fine``, ``middle``: luma between Gaussians of 0, 1/4 and 1/2 cell;
    - ``coarse``, ``coarser``: luma of the cells between Gaussians of 0, 1 and 2 cells;
    - ``colour``: red and blue without luma, finer than a Gaussian of 1/2 cell;

    of the difference what is smoother still (``brightness``, ``tint``); of the LR image what is
    finer than a Gaussian of 1 cell; how far both images are, averaged over cells, from the LR
    image. Each within Gaussian windows of 1 and 3 cells, as log(root + 0.5). Last, the luma of
    ``sr_gan`` in [0, 1].

    Args:
        sr_mse, sr_gan: uint8 ``(H, W, 3)`` RGB.
        lq: uint8 ``(h, w, 3)``; None: ``sr_mse`` averaged over cells stands in for it.
        scale: of the networks; a cell is ``scale`` pixels wide.

    Returns:
        float32 ``(H // scale, W // scale, 41)``.
    """
    energies, cells = _by_strips(sr_mse, sr_gan, scale)
    seen = cells["m"] if lq is None else lq.astype(np.float32)
    given_luma = seen @ _LUMA
    height, width = given_luma.shape
    luma = {who: cells[who][:height, :width] @ _LUMA for who in "mg"}
    luma["d"] = luma["g"] - luma["m"]
    for who, y in luma.items():
        soft, softer = blur(y, 1), blur(y, 2)
        energies[f"coarse {who}"] = (y - soft) ** 2
        energies[f"coarser {who}"] = (soft - softer) ** 2
    tint = (cells["g"] - cells["m"])[..., ::2] - luma["d"][..., None]
    energies["brightness d"] = blur(luma["d"], 2) ** 2
    energies["tint d"] = np.square(tint).sum(axis=2)
    energies["lq"] = (given_luma - blur(given_luma, 1)) ** 2
    energies["off g"] = (luma["g"] - given_luma) ** 2
    energies["off m"] = (luma["m"] - given_luma) ** 2
    planes = [
        np.log(np.sqrt(blur(energies[name], window)) + _FLOOR)
        for window in WINDOWS
        for name in sorted(energies)
    ]
    return np.stack([*planes, blur(luma["g"], 1) / 255], axis=-1)


def _by_strips(
    sr_mse: Image, sr_gan: Image, scale: int
) -> tuple[dict[str, Values], dict[str, Values]]:
    """Return energies of what is finer than a cell, by cell; and the mean colours of cells."""
    energies: dict[str, list[Values]] = {}
    cells: dict[str, list[Values]] = {}
    for pixels, inner in _strips(len(sr_gan) // scale, scale):
        planes = {"m": _planes(sr_mse[pixels], scale), "g": _planes(sr_gan[pixels], scale)}
        for who, image in (("m", sr_mse), ("g", sr_gan)):
            colours = by_cells(image[pixels].astype(np.float32), scale)
            cells.setdefault(who, []).append(colours[inner])
        planes["d"] = {band: planes["g"][band] - planes["m"][band] for band in planes["g"]}
        for who, of_band in planes.items():
            for band, values in of_band.items():
                energy = values * values if values.ndim == 2 else np.square(values).sum(axis=2)
                energies.setdefault(f"{band} {who}", []).append(by_cells(energy, scale)[inner])
    return _joined(energies), _joined(cells)


def _joined(strips: dict[str, list[Values]]) -> dict[str, Values]:
    return {name: np.concatenate(parts) for name, parts in strips.items()}


def _strips(height: int, scale: int) -> Iterator[tuple[slice, slice]]:
    """Yield rows of pixels to look at, and which rows of their cells are wanted."""
    for top in range(0, height, _STRIP):
        bottom = min(top + _STRIP, height)
        first, last = max(top - _HALO, 0), min(bottom + _HALO, height)
        yield slice(first * scale, last * scale), slice(top - first, bottom - first)


def _planes(image: Image, scale: int) -> dict[str, Values]:
    x = image.astype(np.float32)
    y = x @ _LUMA
    quarter = scale / 4
    soft, softer = blur(y, quarter), blur(y, 2 * quarter)
    chroma = x[..., ::2] - y[..., None]
    return {
        "fine": y - soft,
        "middle": soft - softer,
        "colour": chroma - blur(chroma, 2 * quarter),
    }


def by_cells(x: Values, scale: int) -> Values:
    """Average over cells, ``(H, W[, C])`` to ``(H // scale, W // scale[, C])``, float32."""
    height, width = x.shape[0] // scale, x.shape[1] // scale
    cut = x[: height * scale, : width * scale]
    return np.asarray(cv2.resize(cut, (width, height), interpolation=cv2.INTER_AREA), np.float32)


@cache
def _layers() -> list[tuple[Values, Values]]:
    tensors = load_file(WEIGHTS)
    return [(tensors[f"{n}.weight"], tensors[f"{n}.bias"]) for n in range(len(tensors) // 2)]


def weights_hash() -> str:
    """Return the SHA-256 of the network's weights, which changes when it is fitted anew."""
    return sha256(WEIGHTS.read_bytes()).hexdigest()


def judge(measured: Values) -> Values:
    """Return how much speaks for an artifact: log-odds, from what `measure` returns.

    Shifted so that the working point, where F1 is highest, lies where the probability is 0.3: the
    similarity is 0.7 there, the paper's threshold.

    Args:
        measured: float32 ``(..., 41)``.

    Returns:
        float32 ``(...)``.
    """
    *hidden, last = _layers()
    x = measured
    for weight, bias in hidden:
        x = np.tanh(x @ weight.T + bias)
    return (x @ last[0].T + last[1])[..., 0]
