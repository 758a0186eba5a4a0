"""Class weights: some classes vary more between two networks than others (Eq. 9, Fig. 10b)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from desra.artifacts.ade20k import ADE20K_INTERVALS
from desra.artifacts.borders import crop_to


def class_weight(interval: int, intervals: int = 20) -> float:
    """Return the weight A_k of a class whose similarities reach into ``interval``: n / (n - i).

    It lifts the lower bound of the class's usual similarities to about 1, so that only what is
    unusual for the class falls below the threshold.

    Args:
        interval: index i of the interval, counted from D = 1 down; 0 changes nothing.
        intervals: into how many equal intervals [0, 1] is cut, n.

    Raises:
        ValueError: ``interval`` is not in ``0..intervals - 1``.

    Example:
        >>> class_weight(0), class_weight(10)
        (1.0, 2.0)
    """
    if not 0 <= interval < intervals:
        raise ValueError(f"interval must be in 0..{intervals - 1}, got {interval}")
    return intervals / (intervals - interval)


def class_intervals(
    names: Sequence[str], table: Mapping[str, int] = ADE20K_INTERVALS
) -> list[int | None]:
    """Return the interval of each class, None of one that the table lacks.

    Names match whatever their case, in full or else by what stands before the first ``;`` or
    ``,``: "Door; double door" is "door".

    Args:
        names: class names in the order of their ids.
        table: name -> interval index; the paper's for ADE20K by default.

    Example:
        >>> class_intervals(["wall", "Tree; oak", "unicorn"])
        [1, 5, None]
    """
    known = {_full(name): interval for name, interval in table.items()}
    for name, interval in table.items():
        known.setdefault(_short(name), interval)
    return [known.get(_full(name), known.get(_short(name))) for name in names]


def _full(name: str) -> str:
    return name.strip().casefold()


def _short(name: str) -> str:
    return _full(re.split("[;,]", name, maxsplit=1)[0])


def class_weights(
    names: Sequence[str], table: Mapping[str, int] = ADE20K_INTERVALS, intervals: int = 20
) -> NDArray[np.float64]:
    """Return the weights of classes by `class_intervals`; what the table lacks weighs 1.

    Args:
        names: class names in the order of their ids.
        table: name -> interval index; the paper's for ADE20K by default.
        intervals: into how many intervals the table cuts [0, 1].

    Returns:
        float64 ``(len(names),)``, the weight of each id.

    Raises:
        ValueError: the interval of a class is out of range.

    Example:
        >>> class_weights(["wall", "sky", "unicorn"]).round(3).tolist()
        [1.053, 1.0, 1.0]
    """
    known = class_intervals(names, table)
    return np.array([1.0 if i is None else class_weight(i, intervals) for i in known], np.float64)


def apply_class_weights(
    D: NDArray[np.float64], labels: NDArray[Any], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the map in view of the classes, ``D' = clip(A_k * D, 0, 1)`` (Eq. 9).

    Args:
        D: similarity map, float64 ``(h, w)``.
        labels: class id of each pixel of the GAN image, integers, either of D's shape or of the
            image's, which is then cropped to D by its border.
        weights: weight of each id, as from `class_weights`. Ids beyond its end (255 for "not
            labelled") weigh 1.

    Returns:
        float64 ``(h, w)`` in [0, 1].

    Raises:
        ValueError: labels that are not integers, negative, or of a shape that does not fit D.
    """
    ids = _class_ids(labels, D.shape)
    last = int(ids.max(initial=0))
    lookup = np.ones(max(last + 1, len(weights)), np.float64)
    lookup[: len(weights)] = weights
    return np.minimum(np.maximum(lookup[ids] * D, 0.0), 1.0)


class IntervalCalibration:
    """Find the interval of each class from data (Fig. 10b), image after image.

    For every class, ``i_k`` is the smallest i with

        share(D >= 1 - (i + 1) / intervals) > quantile

    over all pixels of the class. Only counts are kept, exact and independent of how many images
    they come from.

    Args:
        classes: number of classes; pixels with ids from there on are not counted.
        intervals: into how many equal intervals [0, 1] is cut.
        quantile: the share that must be exceeded, in [0, 1).

    Attributes:
        counts: int64 ``(classes, intervals)``, pixels of each class in each interval, counted
            from D = 1 down.

    Raises:
        ValueError: an argument out of range.

    Example:
        >>> calibration = IntervalCalibration(classes=1)
        >>> calibration.update(np.full((4, 4), 0.72), np.zeros((4, 4), np.uint8))
        >>> calibration.intervals()
        [5]
    """

    def __init__(self, classes: int, intervals: int = 20, quantile: float = 0.85) -> None:
        if classes < 1 or intervals < 1:
            raise ValueError(
                f"classes and intervals must be at least 1, got {classes} and {intervals}"
            )
        if not 0.0 <= quantile < 1.0:
            raise ValueError(f"quantile must be at least 0 and below 1, got {quantile}")
        self.quantile = quantile
        self.counts: NDArray[np.int64] = np.zeros((classes, intervals), np.int64)
        # The very floats of the definition, ascending: 1 - 3/20 is not 0.85 in floating point,
        # and a value on a bound must fall on the side that the definition says.
        bounds = [1 - (i + 1) / intervals for i in range(intervals)]
        self._ascending: NDArray[np.float64] = np.array(bounds[::-1], np.float64)

    def update(self, D: NDArray[np.float64], labels: NDArray[Any]) -> None:
        """Count the pixels of one image.

        Args:
            D: similarity map before any weight, float64 ``(h, w)``, values 0 or more.
            labels: class ids, as in `apply_class_weights`.

        Raises:
            ValueError: D is negative or NaN somewhere, or labels as in `apply_class_weights`.
        """
        ids = _class_ids(labels, D.shape)
        if not bool((D >= 0.0).all()):
            raise ValueError("D must be 0 or more everywhere, got negative or NaN values")
        classes, intervals = self.counts.shape
        counted = ids < classes
        reached = np.searchsorted(self._ascending, D[counted], side="right")
        cells = ids[counted].astype(np.int64) * intervals + (intervals - reached)
        counts = np.bincount(cells, minlength=self.counts.size)
        self.counts += np.reshape(counts, self.counts.shape)

    def intervals(self) -> list[int | None]:
        """Return the interval ``i_k`` of each class; None for a class that no pixel had."""
        total = self.counts.sum(axis=1)
        share = self.counts.cumsum(axis=1) / np.maximum(total, 1)[:, None]
        first = (share > self.quantile).argmax(axis=1)
        return [int(i) if n else None for i, n in zip(first, total, strict=True)]


def _class_ids(labels: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    if labels.ndim != 2 or labels.dtype.kind not in "ui":
        raise ValueError(
            f"labels must be (H, W) integers, got {labels.shape} of type {labels.dtype}"
        )
    if labels.dtype.kind == "i" and int(labels.min(initial=0)) < 0:
        raise ValueError(f"labels must be 0 or more, got {labels.min()}")
    return crop_to(labels, shape)
