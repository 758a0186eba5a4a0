"""Detectors by name: each gives a similarity map, 1 = same and low = artifact, for one mask rule.

A detector is a pure function ``(sr_mse, sr_gan, lq, gt, window)``: images are uint8
``(H, W, 3)`` RGB (``lq`` smaller by the scale). It gets `sr_gan`, what its ``needs`` names and, of
what its ``uses`` names, what is there; the others are None. It returns float64
``(H - 2b, W - 2b)`` in [0, 1], ``b = window.border``: the same size for all, so that their masks
compare. An image smaller than the window gives a map without elements. ValueError: images that do
not fit together.

One of your own is registered with `register` in a module that ``import:`` names:

    @register("sr_mse", uses=["lq"], fingerprint="2")
    def mine(sr_mse, sr_gan, lq=None, gt=None, window=WindowSpec()): ...
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any, Protocol, TypeAlias, TypeVar, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from desra.artifacts import (
    WindowSpec,
    absolute_difference_map,
    artifact_map,
    bands,
    crop_to,
    local_std,
)
from desra.detectors.evidence_network import judge, measure, weights_hash
from desra.io.images import enlarge, to_uint8
from desra.registry import Registry, find
from desra.utils.errors import InputError

Image = NDArray[Any]
Map = NDArray[np.float64]
Unused: TypeAlias = "Image | None"

DETECTOR_REGISTRY = Registry("detector")

_PAPERS = WindowSpec()
_K1 = 0.01  # of SSIM; its K2 is that of the window
_LDL_SIDE = 7
_SCALE = 4  # where nothing tells of another
_INPUTS = {
    "sr_mse": "the MSE-SR image (sr_mse)",
    "lq": "the LR image (lq)",
    "gt": "the true HR image (gt)",
}


class Detector(Protocol):
    """What is registered: see the head of this module.

    Attributes:
        needs: the inputs beside ``sr_gan`` that it can't do without: sr_mse, lq, gt.
        uses: what else it looks at where it is there: lq, gt, and ``scale``, the factor of the
            networks, which it then takes as an optional keyword.
        local: whether each value depends on nothing but sr_mse and sr_gan in its window, so that
            large images can be done in bands.
        reads_window: whether more of the window than its border plays a part.
        fingerprint: gives what changes when its results do though name and options stay, such as a
            hash of its weights, so that detect makes masks anew that are out of date.
    """

    needs: frozenset[str]
    uses: frozenset[str]
    local: bool
    reads_window: bool
    fingerprint: Callable[[], str]

    def __call__(
        self,
        sr_mse: Unused,
        sr_gan: Image,
        lq: Unused = None,
        gt: Unused = None,
        window: WindowSpec = ...,
    ) -> Map:
        """The similarity map."""
        ...


_F = TypeVar("_F", bound=Callable[..., Map])


def register(
    *needs: str,
    uses: Collection[str] = (),
    local: bool = False,
    reads_window: bool = True,
    fingerprint: str | Callable[[], str] = "",
) -> Callable[[_F], _F]:
    """Register a detector under the function's name; the arguments are those of `Detector`.

    ``fingerprint`` may also be a text, such as the number of a version.

    Raises:
        ValueError: an input that there is not.
    """
    if unknown := {*needs} - _INPUTS.keys() | {*uses} - {*_INPUTS, "scale"}:
        raise ValueError(
            f"a detector may need {', '.join(_INPUTS)} and use these and scale, not "
            f"{', '.join(sorted(unknown))}"
        )

    def add(function: _F) -> _F:
        detector = cast(Any, function)
        detector.needs, detector.uses = frozenset(needs), frozenset(uses)
        detector.local, detector.reads_window = local, reads_window
        fixed = isinstance(fingerprint, str)
        detector.fingerprint = (lambda: fingerprint) if fixed else fingerprint
        DETECTOR_REGISTRY.register(function)
        return function

    return add


def find_detector(name: str, available: Collection[str], key: str = "detector") -> Detector:
    """The detector of that name, if the inputs that it needs are there.

    Args:
        name: its name.
        available: which of sr_mse, lq and gt every image has.
        key: the section in YAML whose ``type`` is the name, for messages.

    Raises:
        InputError: an unknown name, or an input that is missing.
    """
    detector: Detector = find(DETECTOR_REGISTRY, name, key)
    if missing := detector.needs - set(available):
        words = " and ".join(_INPUTS[kind] for kind in sorted(missing))
        raise InputError(
            f"{key}.type: '{name}' needs {words} of every image; give it, "
            "or choose another detector"
        )
    return detector


def wants(detector: Detector, kind: str) -> bool:
    """Whether a detector looks at an input: sr_mse, lq, gt or scale."""
    return kind in detector.needs | detector.uses


def in_bands(
    detector: Detector,
    sr_mse: Unused,
    sr_gan: Image,
    lq: Unused = None,
    gt: Unused = None,
    window: WindowSpec = _PAPERS,
    scale: int | None = None,
) -> Iterator[tuple[slice, Map]]:
    """The map of an SR pair from top to bottom; of a local detector in bands, which bound memory.

    Args:
        detector: what makes it; of the inputs it gets those that it wants.
        sr_mse, sr_gan, lq, gt: uint8 or uint16 (H, W, 3) RGB, looked at as 8 bits, so that a run in
            memory and one from files agree.
        window: the patch.
        scale: of the networks.

    Yields:
        The rows of the map, and float64 (rows, W - 2b): the same values as all at once.
    """
    named = {"scale": scale} if wants(detector, "scale") else {}

    def given(kind: str, image: Unused, rows: slice = slice(None)) -> Any:
        return to_uint8(image[rows]) if image is not None and wants(detector, kind) else None

    height, _ = window.map_size(sr_gan.shape)
    if not detector.local or height == 0:
        yield (
            slice(0, height),
            detector(
                given("sr_mse", sr_mse),
                to_uint8(sr_gan),
                given("lq", lq),
                given("gt", gt),
                window,
                **named,
            ),
        )
        return
    for rows in bands(height):
        seen = slice(rows.start, rows.stop + 2 * window.border)
        mse, gan = given("sr_mse", sr_mse, seen), to_uint8(sr_gan[seen])
        yield rows, detector(mse, gan, None, None, window, **named)


@register("sr_mse", local=True)
def relative_local_variance(
    sr_mse: Image,
    sr_gan: Image,
    lq: Unused = None,
    gt: Unused = None,
    window: WindowSpec = _PAPERS,
) -> Map:
    """The paper's: relative difference of local texture, D of Eq. 7 (`artifact_map`)."""
    return artifact_map(sr_mse, sr_gan, window)


@register("sr_mse", local=True)
def absolute_local_variance(
    sr_mse: Image,
    sr_gan: Image,
    lq: Unused = None,
    gt: Unused = None,
    window: WindowSpec = _PAPERS,
) -> Map:
    """What the paper rejects: d = (s_gan - s_mse)^2 (Eq. 3), as the similarity C / (C + d).

    With C of Eq. 7 it is never above `relative_local_variance`, and equal to it in gray images
    where one of the two is flat: what it adds is to fire on strong contrast.
    """
    c = window.constant
    return c / (c + absolute_difference_map(sr_mse, sr_gan, window))


@register("sr_mse", local=True)
def local_ssim(
    sr_mse: Image,
    sr_gan: Image,
    lq: Unused = None,
    gt: Unused = None,
    window: WindowSpec = _PAPERS,
) -> Map:
    """The whole SSIM of the two outputs (Wang et al., TIP 2004), not its contrast term alone.

    In the Gaussian window, with C1 = (0.01 range)^2 and C2 = C of Eq. 7,

        (2 m_a m_b + C1) (2 cov_ab + C2) / ((m_a^2 + m_b^2 + C1) (s_a^2 + s_b^2 + C2)),

    mean over the channels, then clipped to [0, 1] (SSIM itself goes down to -1).
    """
    _refuse_unequal(sr_mse, sr_gan)
    std_a, std_b = local_std(sr_mse, window), local_std(sr_gan, window)
    if std_a.size == 0:
        return np.empty(std_a.shape[:2])

    def mean(values: Map) -> Map:
        blurred = np.asarray(cv2.sepFilter2D(values, cv2.CV_64F, window.kernel, window.kernel))
        return crop_to(blurred, std_a.shape).reshape(std_a.shape)

    a, b = sr_mse.astype(np.float64), sr_gan.astype(np.float64)
    mean_a, mean_b = mean(a), mean(b)
    product = mean_a * mean_b
    c1, c2 = (_K1 * window.data_range) ** 2, window.constant
    ssim = (2 * product + c1) * (2 * (mean(a * b) - product) + c2)
    ssim /= (mean_a**2 + mean_b**2 + c1) * (std_a**2 + std_b**2 + c2)
    return np.clip(ssim.reshape(*std_a.shape[:2], -1).mean(axis=2), 0.0, 1.0)


@register("lq")
def bicubic_reference(
    sr_mse: Unused,
    sr_gan: Image,
    lq: Image,
    gt: Unused = None,
    window: WindowSpec = _PAPERS,
) -> Map:
    """`relative_local_variance` without an MSE network: the upscaled LR image is the reference.

    Bicubic by `desra.io.images.enlarge`, as the ``sr_mse`` of a pair without an MSE network. It is
    smoother than any MSE-SR image, so more genuine texture fires.
    """
    return artifact_map(enlarge(lq, sr_gan.shape[:2]), sr_gan, window)


@register("sr_mse", uses=("lq", "scale"), reads_window=False, fingerprint=weights_hash)
def evidence(
    sr_mse: Image,
    sr_gan: Image,
    lq: Unused = None,
    gt: Unused = None,
    window: WindowSpec = _PAPERS,
    scale: int | None = None,
) -> Map:
    """The default: texture by band and window, weighed by a small network (`evidence_network`).

    1 minus the probability of an artifact, shifted so that the working point is 0.7 as for the
    paper's; made on the grid of LR pixels and enlarged bilinearly. With ``lq`` it sees more.
    ``scale`` left out is that of ``lq``, or 4. Of the window only its border plays a part.
    """
    _refuse_unequal(sr_mse, sr_gan)
    factor = scale or (_SCALE if lq is None else max(sr_gan.shape[0] // lq.shape[0], 1))
    if lq is not None and tuple(factor * n for n in lq.shape[:2]) != sr_gan.shape[:2]:
        raise ValueError(f"sr_gan {sr_gan.shape} is not {factor} times lq {lq.shape}")
    shape = window.map_size(sr_gan.shape)
    if 0 in shape:
        return np.empty(shape)
    odds = judge(measure(sr_mse, sr_gan, lq, factor))
    size = odds.shape[1] * factor, odds.shape[0] * factor
    enlarged = np.asarray(cv2.resize(odds, size, interpolation=cv2.INTER_LINEAR), np.float64)
    left_over = [(0, n - m) for n, m in zip(sr_gan.shape[:2], enlarged.shape, strict=True)]
    return expit(-crop_to(np.pad(enlarged, left_over, mode="edge"), shape))


@register("sr_mse", "gt")
def ldl(
    sr_mse: Image,
    sr_gan: Image,
    lq: Unused,
    gt: Image,
    window: WindowSpec = _PAPERS,
) -> Map:
    """The artifact map of LDL's loss (Liang et al., CVPR 2022): an oracle, since it sees the truth.

    On values in [0, 1], with R = sum_c |gt - sr_gan|, and sr_mse in the role of LDL's averaged
    network in R_ref = sum_c |gt - sr_mse|,

        M = Var(R)^(1/5) Var_7x7(R), and 0 where R < R_ref,

    both variances unbiased, the first over the image, the second with reflected borders. As a
    similarity: c / (c + M) with c = k2^2, the C of Eq. 7 for this range. Of the window
    only its range, its k2 and its border play a part.
    """
    if not sr_mse.shape == sr_gan.shape == gt.shape or gt.ndim != 3:
        raise ValueError(
            "sr_mse, sr_gan and gt must have the same shape (H, W, 3), got "
            f"{sr_mse.shape}, {sr_gan.shape} and {gt.shape}"
        )
    shape = window.map_size(gt.shape)
    if 0 in shape:
        return np.empty(shape)

    def residual(image: Image) -> Map:
        return np.abs(gt.astype(np.float64) - image).sum(axis=2) / window.data_range

    R, R_ref = residual(sr_gan), residual(sr_mse)
    M = R.var(ddof=1) ** 0.2 * _box_variance(R, _LDL_SIDE)
    M[R_ref > R] = 0.0
    c = window.k2**2
    return c / (c + crop_to(M, shape))


def _refuse_unequal(sr_mse: Image, sr_gan: Image) -> None:
    if sr_mse.shape != sr_gan.shape:
        raise ValueError(
            f"sr_mse and sr_gan must have the same shape, got {sr_mse.shape} and {sr_gan.shape}"
        )


def _box_variance(values: Map, side: int) -> Map:
    """Unbiased variance in a square, ``(H, W)``, borders reflected without the edge itself."""

    def mean(x: Map) -> Map:
        box = cv2.boxFilter(x, cv2.CV_64F, (side, side), borderType=cv2.BORDER_REFLECT_101)
        return np.asarray(box, np.float64)

    variance = np.maximum(mean(values * values) - mean(values) ** 2, 0.0)
    return variance * (side**2 / (side**2 - 1))
