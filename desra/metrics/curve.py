"""Precision, recall and average precision of a similarity map over all thresholds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from desra.artifacts.borders import crop_to
from desra.metrics.sums import Sums


class PRCurve(NamedTuple):
    """Precision and recall of the mask ``D <= threshold``, thresholds ascending.

    Attributes:
        threshold: float64 ``(n,)``, the values that D takes.
        precision: float64 ``(n,)``, share of the marked pixels that are artifacts.
        recall: float64 ``(n,)``, share of the artifact pixels that are marked.
    """

    threshold: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CurveCounts(Sums):
    """Counts of artifact and clean pixels at each value of D. They add up over images, exactly.

    Attributes:
        values: float64 ``(n,)``, distinct and ascending.
        artifact: int64 ``(n,)``, pixels inside the truth with that value.
        clean: int64 ``(n,)``, pixels outside it.
    """

    values: NDArray[np.float64]
    artifact: NDArray[np.int64]
    clean: NDArray[np.int64]

    def __add__(self, other: "CurveCounts") -> "CurveCounts":
        values, place = np.unique(np.append(self.values, other.values), return_inverse=True)
        artifact, clean = np.zeros((2, len(values)), np.int64)
        np.add.at(artifact, place, np.append(self.artifact, other.artifact))
        np.add.at(clean, place, np.append(self.clean, other.clean))
        return CurveCounts(values, artifact, clean)

    @classmethod
    def none(cls) -> "CurveCounts":
        """Return the counts of no pixel."""
        return cls(np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64))

    def numbers_of(self, part: "CurveCounts") -> list[float]:
        """Return the counts of ``part`` at each value that D takes here, artifacts first."""
        counts = np.zeros((2, len(self.values)))
        counts[:, np.searchsorted(self.values, part.values)] = part.artifact, part.clean
        return counts.ravel().tolist()

    def from_numbers(self, numbers: Sequence[float]) -> "CurveCounts":
        """Return the counts whose list, as `numbers_of` gives it, is ``numbers``."""
        counts = np.asarray(numbers).reshape(2, -1)
        occurs = counts.any(axis=0)
        return CurveCounts(self.values[occurs], *counts[:, occurs])

    def curve(self) -> PRCurve | None:
        """Return the precision-recall curve; None without any artifact pixel."""
        if not self.artifact.any():
            return None
        true = self.artifact.cumsum()
        marked = true + self.clean.cumsum()
        return PRCurve(self.values, true / marked, true / true[-1])

    @property
    def average_precision(self) -> float | None:
        """Area under the curve as a sum of steps, sum (R_n - R_{n-1}) P_n; None without artifacts.

        The score of a pixel is 1 - D; equal values are marked together.
        """
        curve = self.curve()
        if curve is None:
            return None
        return float(np.sum(np.diff(curve.recall, prepend=0.0) * curve.precision))


def count_curve(
    D: NDArray[np.floating], truth: NDArray[np.bool_], levels: int | None = None
) -> CurveCounts:
    """Count the values of a similarity map inside and outside the truth.

    Args:
        D: similarity map, floating ``(h, w)``, low = artifact.
        truth: bool, of D's size or of the image's, which is then cropped to D by its border.
        levels: round D to multiples of ``1 / levels`` first, which bounds the memory of a sum
            over many images; None keeps D as it is.

    Raises:
        ValueError: the truth is not bool or does not fit D, or D has NaN.

    Example:
        >>> D = np.array([[0.2, 0.9], [0.4, 0.8]])
        >>> count_curve(D, D < 0.5).average_precision
        1.0
    """
    if truth.dtype != np.bool_:
        raise ValueError(f"truth must be bool, got {truth.dtype}")
    truth = crop_to(truth, D.shape)
    if np.isnan(D).any():
        raise ValueError("D has NaN, which has no place among the thresholds")
    values = D.astype(np.float64) if levels is None else np.rint(D * float(levels)) / levels
    inside, n_inside = np.unique(values[truth], return_counts=True)
    outside, n_outside = np.unique(values[~truth], return_counts=True)
    return CurveCounts(inside, n_inside, np.zeros_like(n_inside)) + CurveCounts(
        outside, np.zeros_like(n_outside), n_outside
    )
