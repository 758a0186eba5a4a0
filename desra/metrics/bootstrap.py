"""How far a score would move with other images of the same kind: bootstrap confidence intervals.

What was counted on each image adds up, so an image is a row of numbers, and a set of images drawn
anew (as many as there are, with replacement) is a sum of rows, divided once as the total is.

A rate that is 0 or 1 on every image has an interval of no width: no draw can show what no image
showed. That is not certainty, above all with few images.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

Interval = list[float] | None

CONFIDENCE = 0.95


def intervals(
    rows: NDArray[np.float64],
    rates: Callable[[NDArray[np.float64]], Mapping[str, float | None]],
    resamples: int = 2000,
    seed: int = 0,
) -> dict[str, Interval]:
    """Return the percentile bootstrap intervals over images (Efron 1979), at 95 %.

    Args:
        rows: float64 ``(images, k)``, what was counted on each image.
        rates: function from the sum of some rows, ``(k,)``, to scores by name, undefined ones None.
        resamples: how often the images are drawn anew.
        seed: of the draws.

    Returns:
        ``[low, high]`` for each score of the sum over all images. Draws in which a score is
        undefined have no part in it. None where the score of all images is undefined, with fewer
        than two images, and where an end is infinite.

    Example:
        >>> rows = np.array([[1.0, 4.0], [2.0, 4.0], [4.0, 4.0]])
        >>> intervals(rows, lambda total: {"share": total[0] / total[1]})
        {'share': [0.25, 1.0]}
    """
    images = len(rows)
    whole = rates(rows.sum(axis=0))
    if images < 2:
        return dict.fromkeys(whole)
    rng = np.random.default_rng(seed)
    times_drawn = rng.multinomial(images, np.full(images, 1 / images), size=resamples)
    draws = [rates(total) for total in times_drawn.astype(np.float64) @ rows]
    result: dict[str, Interval] = {}
    for name, value in whole.items():
        defined = [x for draw in draws if (x := draw[name]) is not None]
        result[name] = None if value is None else _ends(defined)
    return result


def _ends(values: list[float]) -> Interval:
    if not values:
        return None
    tail = (1 - CONFIDENCE) / 2
    # Between a finite value and infinity nothing can be interpolated: then take values as they are.
    method = "linear" if np.isfinite(values).all() else "inverted_cdf"
    low, high = np.quantile(values, [tail, 1 - tail], method=method)
    return [float(low), float(high)] if np.isfinite([low, high]).all() else None
