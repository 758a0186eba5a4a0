"""Deletion without finetuning: MSE-SR in place of GAN-SR inside the mask, with a soft edge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import cv2
import numpy as np
from annotated_types import Ge, Le
from numpy.typing import NDArray

from desra.artifacts.bounds import SECTION, check_bounds
from desra.artifacts.pseudo_gt import check_fit
from desra.artifacts.row_bands import bands

Image = NDArray[Any]
Mask = NDArray[np.bool_]

_SEAM_SIGMA = 8.0  # pixels: wider than texture at scale 4, narrower than what is masked
_SEAM_REACH = 32  # where that Gaussian ends


@dataclass(frozen=True)
class DeletionSpec:
    """Deletion without finetuning: MSE-SR in place of artifacts, with a soft edge.

    Raises:
        ValueError: a value out of range.
    """

    __pydantic_config__: ClassVar[Any] = SECTION

    strength: Annotated[float, Ge(0), Le(1)] = 1.0
    """Share of the MSE-SR image inside the mask."""
    feather: Annotated[float, Ge(0), Le(1024)] = 8.0
    """Pixels of the SR image, inside the mask's edge, over which that share rises from 0; 0: a hard
    edge. The rim that is left is what the mask's dilation added around the artifact."""

    def __post_init__(self) -> None:
        check_bounds(self, "deletion")


def deletion_weight(
    mask: Mask, spec: DeletionSpec = DeletionSpec(), rows: slice | None = None
) -> NDArray[np.float64]:
    """Return the share of MSE-SR in each pixel.

    With d the distance of a pixel's centre to that of the nearest pixel outside the mask, and
    t = (d - 1/2) / feather clipped to [0, 1], it is ``strength (3 t^2 - 2 t^3)`` inside and 0
    outside. The border of the image is no edge of the mask.

    Args:
        mask: bool ``(H, W)``, True = artifact.
        spec: strength and feather.
        rows: which rows of the result are wanted, with start and stop; None: all.

    Returns:
        float64 ``(rows, W)`` in [0, strength].

    Raises:
        ValueError: the mask is not bool or not two-dimensional.
    """
    if mask.ndim != 2 or mask.dtype != np.bool_:
        raise ValueError(f"a mask must be bool (H, W), got {mask.dtype} {mask.shape}")
    rows = slice(0, len(mask)) if rows is None else rows
    wanted = mask[rows]
    if spec.feather == 0 or not wanted.any():
        return np.where(wanted, spec.strength, 0.0)
    # A pixel outside that lies further away makes no difference.
    reach = int(spec.feather) + 2
    top = max(rows.start - reach, 0)
    near = mask[top : rows.stop + reach].astype(np.uint8)
    d = np.asarray(cv2.distanceTransform(near, cv2.DIST_L2, cv2.DIST_MASK_PRECISE), np.float64)
    d = d[rows.start - top :][: len(wanted)]
    t = np.minimum(np.maximum(d - 0.5, 0.0) / spec.feather, 1.0)
    return t * t * (3 - 2 * t) * spec.strength


def delete_artifacts(
    sr_mse: Image,
    sr_gan: Image,
    mask: Mask,
    spec: DeletionSpec = DeletionSpec(),
    rows: slice | None = None,
) -> Image:
    """Return GAN-SR whose artifacts gave way to MSE-SR: ``w sr_mse + (1 - w) sr_gan``.

    w is the `deletion_weight`: where it is 0 (all pixels outside the mask) the result is exactly
    ``sr_gan``, where it is 1 exactly ``sr_mse``.

    Args:
        sr_mse: uint8 or uint16 ``(H, W)`` or ``(H, W, C)``.
        sr_gan: same shape and dtype.
        mask: bool ``(H, W)``, True = artifact.
        spec: strength and feather.
        rows: which rows are wanted, with start and stop; None: all. The same as those rows of the
            whole, so that large images can be done piece by piece.

    Returns:
        A new array ``(rows, W[, C])`` of the dtype of ``sr_gan``, rounded once, to nearest.

    Raises:
        ValueError: shapes or dtypes that do not fit each other.

    Example:
        >>> mse, gan = np.full((5, 5), 100, np.uint8), np.full((5, 5), 200, np.uint8)
        >>> mask = np.zeros((5, 5), bool)
        >>> mask[:, 1:] = True
        >>> delete_artifacts(mse, gan, mask, DeletionSpec(feather=2))[0].tolist()
        [200, 184, 116, 100, 100]
    """
    _check(sr_mse, sr_gan, mask)
    rows = slice(0, len(mask)) if rows is None else rows
    weight = deletion_weight(mask, spec, rows)
    result = np.array(sr_gan[rows])  # in memory, wherever sr_gan lies
    inside = weight > 0
    gan = result[inside].astype(np.float64)
    w = weight[inside] if gan.ndim == 1 else weight[inside][:, None]
    result[inside] = np.rint(gan + w * (sr_mse[rows][inside] - gan)).astype(result.dtype)
    return result


def seam_step(
    sr_mse: Image, sr_gan: Image, mask: Mask, spec: DeletionSpec = DeletionSpec()
) -> float | None:
    """Measure the step in colour that `delete_artifacts` adds along the outline of the mask.

    The step at a point of the outline is the mean colour inside the mask minus that outside, each
    weighted by a Gaussian of 8 pixels around the point. Deletion changes nothing outside, so what
    it adds is the mean change inside, ``G * (deleted - sr_gan) / (G * mask)``. Of this the mean of
    the absolute values over the outline (pixels of the mask that touch one outside, diagonals
    too) and the channels.

    Args:
        sr_mse, sr_gan, mask, spec: as for `delete_artifacts`; done in bands, which bound memory.

    Returns:
        Grey levels of 255; None for a mask without outline (empty, or all of the image).

    Raises:
        ValueError: as `delete_artifacts`.
    """
    _check(sr_mse, sr_gan, mask)
    total, count = 0.0, 0
    side = 2 * _SEAM_REACH + 1
    square = np.ones((3, 3), np.uint8)

    def blurred(values: NDArray[np.float32]) -> NDArray[np.float32]:
        size = (side, side)
        result = cv2.GaussianBlur(values, size, _SEAM_SIGMA, borderType=cv2.BORDER_CONSTANT)
        return np.atleast_3d(np.asarray(result, np.float32))

    for rows in bands(len(mask)):
        seen = slice(max(rows.start - _SEAM_REACH, 0), min(rows.stop + _SEAM_REACH, len(mask)))
        band = slice(rows.start - seen.start, rows.stop - seen.start)
        eroded = np.asarray(cv2.erode(mask[seen].astype(np.uint8), square), np.bool_)
        outline = (mask[seen] & ~eroded)[band]
        if not outline.any():
            continue
        deleted = delete_artifacts(sr_mse, sr_gan, mask, spec, seen)
        change = deleted.astype(np.float32) - sr_gan[seen]
        share = blurred(mask[seen].astype(np.float32))
        moved = blurred(change)[band][outline] / share[band][outline]
        total += float(np.abs(moved).sum(dtype=np.float64))
        count += moved.size
    levels = 255 / np.iinfo(sr_gan.dtype).max
    return total / count * levels if count else None


def _check(sr_mse: Image, sr_gan: Image, mask: Mask) -> None:
    check_fit(sr_mse, sr_gan, mask)
    if sr_gan.dtype.type not in (np.uint8, np.uint16):
        raise ValueError(f"sr_mse and sr_gan must be uint8 or uint16, got {sr_gan.dtype}")
