"""Inject artifacts of known kind, place and strength into an image: a ground truth for detectors.

Eight kinds of artifact that SR networks are known for, each a function in `KINDS`. `inject` blends
one of them into an irregular spot with soft edges. All random numbers are from the generator that
is passed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from desra.utils.filters import blur

Image = NDArray[np.uint8]
Values = NDArray[np.floating]

#: Root mean square change inside the spot, in grey levels, below which it would not be visible.
VISIBLE = 3.0
_TRIES = 12
_EDGE = 8  # pixels over which a spot fades out


@dataclass(frozen=True, eq=False)
class Injected:
    """An image with an injected artifact.

    Attributes:
        image: uint8 ``(H, W, 3)``.
        truth: bool ``(H, W)``, True where the artifact has a weight of at least 0.5.
        change: root mean square change where ``truth`` is True, in grey levels.
    """

    image: Image
    truth: NDArray[np.bool_]
    change: float


def inject(
    image: Image,
    kind: str,
    strength: float,
    area: float,
    rng: np.random.Generator,
    donor: Image | None = None,
) -> Injected:
    """Inject an artifact into an image, at a random place where it is visible.

    If it changes less than `VISIBLE` there (smoothing in the sky), another place is drawn, up to a
    dozen times; then the place with most change is taken.

    Args:
        image: uint8 ``(H, W, 3)``.
        kind: a key of `KINDS`.
        strength: in (0, 1]; its meaning depends on the kind.
        area: share of the image that the spot covers, in (0, 0.25].
        rng: the random generator.
        donor: another image, uint8 ``(h, w, 3)`` of any size; only ``foreign_texture`` needs it.

    Raises:
        ValueError: an unknown kind, a number out of range, or a missing donor.
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
    if not 0 < strength <= 1 or not 0 < area <= 0.25:
        raise ValueError(
            f"strength must be in (0, 1] and area in (0, 0.25], got {strength}, {area}"
        )
    if kind == "foreign_texture" and donor is None:
        raise ValueError("foreign_texture needs a donor, another image")
    x = image.astype(np.float32)
    other = x if donor is None else _covering(donor, image.shape[:2], rng)
    altered = KINDS[kind](x, strength, rng, other)
    best: Injected | None = None
    for _ in range(_TRIES):
        alpha = spot(image.shape[:2], area, rng)
        mixed = x + alpha[..., None] * (altered - x)
        result = np.clip(np.round(mixed), 0, 255).astype(np.uint8)
        truth = alpha >= 0.5
        change = float(np.sqrt(np.square(result[truth] - x[truth]).mean()))
        if best is None or change > best.change:
            best = Injected(result, truth, change)
        if change >= VISIBLE:
            break
    assert best is not None  # _TRIES > 0
    return best


def spot(shape: tuple[int, int], area: float, rng: np.random.Generator) -> Values:
    """Return an irregular spot inside the image: 1 in it, 0 outside, over a ramp of 8 pixels.

    Its radius is ``r0 (1 + sum_k a_k cos(k t + p_k))``, k = 2..5.

    Args:
        shape: (H, W) of the image.
        area: about the share of the image where the result is at least 0.5.
        rng: the random generator.

    Returns:
        float32 ``(H, W)``.
    """
    height, width = shape
    t = np.linspace(0, 2 * np.pi, 180, endpoint=False)
    k = np.arange(2, 6)[:, None]
    wave = rng.uniform(0, 0.35, 4)[:, None] / k * np.cos(k * t + rng.uniform(0, 6.3, 4)[:, None])
    radius = 1 + wave.sum(axis=0)
    stretch = rng.uniform(1.0, 1.6)
    turn = rng.uniform(0, np.pi)
    x, y = radius * np.cos(t) * stretch, radius * np.sin(t) / stretch
    x, y = x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)
    covered = 0.5 * abs(float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))))
    r0 = np.sqrt(area * height * width / covered)
    # A spot longer than the image is wide is made rounder.
    x, y = (v * min(r0, 0.98 * n / np.ptp(v)) for v, n in ((x, width), (y, height)))
    left, top = (rng.uniform(0, max(n - np.ptp(v), 0)) for v, n in ((x, width), (y, height)))
    outline = np.stack([x - x.min() + left, y - y.min() + top], axis=1)
    filled = np.zeros(shape, np.uint8)
    cv2.fillPoly(filled, [np.round(outline).astype(np.int32)], (1,))
    inside = cv2.distanceTransform(filled, cv2.DIST_L2, 5)
    outside = cv2.distanceTransform(1 - filled, cv2.DIST_L2, 5)
    ramp = np.clip(0.5 + (inside - outside) / _EDGE, 0, 1)
    return np.asarray(ramp * ramp * (3 - 2 * ramp), np.float32)


# ---------------------------------------------------------------------------------------- the kinds


def _checkerboard(x: Values, strength: float, rng: np.random.Generator, donor: Values) -> Values:
    """Add the grid that transposed convolutions leave: cells of 1 to 4 pixels, up to 20 levels."""
    cell = int(rng.choice([1, 2, 4]))
    rows, columns = (np.arange(n) // cell for n in x.shape[:2])
    sign = 1 - 2 * ((rows[:, None] + columns[None]) % 2)
    return x + (20 * strength * sign[..., None]).astype(np.float32)


def _ringing(x: Values, strength: float, rng: np.random.Generator, donor: Values) -> Values:
    """Add ripples along edges: the difference of a sharp and a soft low-pass filter, amplified."""
    cut = rng.uniform(0.08, 0.2)  # cycles a pixel
    fy = np.fft.fftfreq(x.shape[0])[:, None]
    fx = np.fft.rfftfreq(x.shape[1])[None]
    square = (fx * fx + fy * fy) / cut**2
    band = ((square < 1) - np.exp(-square))[..., None]
    ripple = np.fft.irfft2(np.fft.rfft2(x, axes=(0, 1)) * band, s=x.shape[:2], axes=(0, 1))
    return x + (4 * strength * ripple).astype(np.float32)


def _stripes(x: Values, strength: float, rng: np.random.Generator, donor: Values) -> Values:
    """Add parallel stripes of 4 to 12 pixels and up to 24 levels, in any direction."""
    angle, length = rng.uniform(0, np.pi), rng.uniform(4, 12)
    rows, columns = np.mgrid[: x.shape[0], : x.shape[1]]
    phase = (rows * np.sin(angle) + columns * np.cos(angle)) * 2 * np.pi / length
    return x + (24 * strength * np.sin(phase)[..., None]).astype(np.float32)


def _noise(x: Values, strength: float, rng: np.random.Generator, donor: Values) -> Values:
    """Add grain of up to 20 levels, gray or coloured, of one to a few pixels."""
    channels = int(rng.choice([1, 3]))
    grain = rng.standard_normal((*x.shape[:2], channels)).astype(np.float32)
    grain = blur(grain, rng.uniform(0.3, 1.5))
    return x + 20 * strength * grain / grain.std()


def _colour_bleed(x: Values, strength: float, rng: np.random.Generator, donor: Values) -> Values:
    """Blur, displace and tint the chroma."""
    luma = x @ np.array([0.299, 0.587, 0.114], np.float32)
    chroma = blur(x - luma[..., None], 4 + 8 * strength)
    away = rng.uniform(0, 2 * np.pi)
    shift = np.array([[1, 0, 24 * strength * np.cos(away)], [0, 1, 24 * strength * np.sin(away)]])
    moved = cv2.warpAffine(
        chroma, shift, (x.shape[1], x.shape[0]), borderMode=cv2.BORDER_REFLECT_101
    )
    tint = rng.standard_normal(3)
    tint -= tint @ np.array([0.299, 0.587, 0.114])
    tint *= 20 * strength / np.abs(tint).max()
    return luma[..., None] + np.asarray(moved, np.float32) + tint.astype(np.float32)


def _warp(x: Values, strength: float, rng: np.random.Generator, donor: Values) -> Values:
    """Warp texture: take each pixel from up to 8 pixels away, by a smooth random field."""
    field = blur(rng.standard_normal((*x.shape[:2], 2)).astype(np.float32), rng.uniform(4, 12))
    field *= 4 * strength / field.std()
    rows, columns = np.mgrid[: x.shape[0], : x.shape[1]].astype(np.float32)
    return np.asarray(
        cv2.remap(
            x,
            columns + field[..., 0],
            rows + field[..., 1],
            cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REFLECT_101,
        ),
        np.float32,
    )


def _foreign_texture(x: Values, strength: float, rng: np.random.Generator, donor: Values) -> Values:
    """Replace the texture by that of another image, and keep the colours."""
    sigma = rng.uniform(3, 8)
    texture = donor - blur(donor, sigma)
    texture *= 22 / max(float(texture.std()), 1.0)
    return x + strength * (blur(x, sigma) + texture - x)


def _smoothing(x: Values, strength: float, rng: np.random.Generator, donor: Values) -> Values:
    """Blur texture and edges, by a standard deviation of up to 6 pixels."""
    return blur(x, 6 * strength)


Kind = Callable[[Values, float, np.random.Generator, Values], Values]

#: Image float32 ``(H, W, 3)`` on 0..255, strength, generator, donor of the same size -> as image.
KINDS: dict[str, Kind] = {
    "checkerboard": _checkerboard,
    "ringing": _ringing,
    "stripes": _stripes,
    "noise": _noise,
    "colour_bleed": _colour_bleed,
    "warp": _warp,
    "foreign_texture": _foreign_texture,
    "smoothing": _smoothing,
}


def _covering(image: Image, shape: tuple[int, int], rng: np.random.Generator) -> Values:
    """Return a random crop of a shape out of an image, reflected where the image is too small."""
    missing = [max(n - m, 0) for n, m in zip(shape, image.shape[:2], strict=True)]
    padded = np.pad(image, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="symmetric")
    top, left = (
        int(rng.integers(0, n - m + 1)) for n, m in zip(padded.shape[:2], shape, strict=True)
    )
    return padded[top : top + shape[0], left : left + shape[1]].astype(np.float32)
