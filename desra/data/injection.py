"""Artifacts of known kind, place and strength, injected into an image: free truth for a detector.

Eight kinds that SR networks are known for, each a function of `KINDS`. `inject` lays one of them
into an irregular spot with soft edges. All that is random comes from the generator that is passed.
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

#: Root mean square change inside the spot, in grey levels, below which nobody would see it.
VISIBLE = 3.0
_TRIES = 12
_EDGE = 8  # pixels over which a spot fades out


@dataclass(frozen=True, eq=False)
class Injected:
    """An image with one artifact in it.

    Attributes:
        image: uint8 ``(H, W, 3)``.
        truth: bool ``(H, W)``, True where at least half of the artifact was blended in.
        change: root mean square change inside the truth, in grey levels.
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
    """Lay one artifact into an image, at a random place where it can be seen.

    A place where it changes less than `VISIBLE` (smoothing the sky) is drawn anew, a dozen times
    at most; then the one with most change is taken.

    Args:
        image: uint8 ``(H, W, 3)``.
        kind: a key of `KINDS`.
        strength: in (0, 1]; what it means is the kind's own.
        area: share of the image that the spot covers, in (0, 0.25].
        rng: where, which shape, and what is random in the kind.
        donor: another image, uint8, any size; for ``foreign_texture`` alone, which needs it.

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
        made = np.clip(np.round(mixed), 0, 255).astype(np.uint8)
        truth = alpha >= 0.5
        change = float(np.sqrt(np.square(made[truth] - x[truth]).mean()))
        if best is None or change > best.change:
            best = Injected(made, truth, change)
        if change >= VISIBLE:
            break
    assert best is not None  # _TRIES > 0
    return best


def spot(shape: tuple[int, int], area: float, rng: np.random.Generator) -> Values:
    """A round, irregular spot that lies inside the image: 1 inside, fading to 0 over 8 pixels.

    Its radius is ``r0 (1 + sum_k a_k cos(k t + p_k))``, k = 2..5.

    Args:
        shape: (H, W) of the image.
        area: share of it where the result is at least 0.5, about.
        rng: place and shape.

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
    """What a transposed convolution leaves: a grid of one to four pixels, up to 20 levels."""
    cell = int(rng.choice([1, 2, 4]))
    rows, columns = (np.arange(n) // cell for n in x.shape[:2])
    sign = 1 - 2 * ((rows[:, None] + columns[None]) % 2)
    return x + (20 * strength * sign[..., None]).astype(np.float32)


def _ringing(x: Values, strength: float, rng: np.random.Generator, donor: Values) -> Values:
    """Ripples along edges: a sharp cut-off in the frequencies against a soft one, overdone."""
    cut = rng.uniform(0.08, 0.2)  # cycles a pixel
    fy = np.fft.fftfreq(x.shape[0])[:, None]
    fx = np.fft.rfftfreq(x.shape[1])[None]
    square = (fx * fx + fy * fy) / cut**2
    band = ((square < 1) - np.exp(-square))[..., None]
    ripple = np.fft.irfft2(np.fft.rfft2(x, axes=(0, 1)) * band, s=x.shape[:2], axes=(0, 1))
    return x + (4 * strength * ripple).astype(np.float32)


def _stripes(x: Values, strength: float, rng: np.random.Generator, donor: Values) -> Values:
    """Parallel stripes of 4 to 12 pixels and up to 24 levels, in any direction."""
    angle, length = rng.uniform(0, np.pi), rng.uniform(4, 12)
    rows, columns = np.mgrid[: x.shape[0], : x.shape[1]]
    phase = (rows * np.sin(angle) + columns * np.cos(angle)) * 2 * np.pi / length
    return x + (24 * strength * np.sin(phase)[..., None]).astype(np.float32)


def _noise(x: Values, strength: float, rng: np.random.Generator, donor: Values) -> Values:
    """Grain of up to 20 levels, gray or coloured, of one to a few pixels."""
    channels = int(rng.choice([1, 3]))
    grain = rng.standard_normal((*x.shape[:2], channels)).astype(np.float32)
    grain = blur(grain, rng.uniform(0.3, 1.5))
    return x + 20 * strength * grain / grain.std()


def _colour_bleed(x: Values, strength: float, rng: np.random.Generator, donor: Values) -> Values:
    """Colours run: chroma spread over its surroundings, displaced, and tinted."""
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
    """Bent texture: each pixel is taken from up to 8 pixels away, smoothly varying."""
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
    """The texture of another image on the colours of this one, which loses its own by as much."""
    sigma = rng.uniform(3, 8)
    texture = donor - blur(donor, sigma)
    texture *= 22 / max(float(texture.std()), 1.0)
    return x + strength * (blur(x, sigma) + texture - x)


def _smoothing(x: Values, strength: float, rng: np.random.Generator, donor: Values) -> Values:
    """Texture and edges washed out, by up to 6 pixels."""
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
    """A random cut of that shape out of an image, mirrored where it is too small."""
    missing = [max(n - m, 0) for n, m in zip(shape, image.shape[:2], strict=True)]
    padded = np.pad(image, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="symmetric")
    top, left = (
        int(rng.integers(0, n - m + 1)) for n, m in zip(padded.shape[:2], shape, strict=True)
    )
    return padded[top : top + shape[0], left : left + shape[1]].astype(np.float32)
