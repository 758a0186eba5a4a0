"""What was measured of the classes, as files and as a table."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from desra.artifacts import class_weight
from desra.calibrate.folder import HEAD
from desra.io.files import atomic_write
from desra.options.loading import resolved
from desra.options.sections import IntervalTable
from desra.utils.errors import InputError
from desra.utils.text_table import csv_text, number, text_table

logger = logging.getLogger("desra")


@dataclass(frozen=True, eq=False)
class ClassResult:
    """The measurements of one class.

    Attributes:
        name: the class.
        interval: its interval i_k; None if no pixel had the class.
        images: how many images have pixels of it. Neighbouring pixels are alike, so a class with
            many pixels in few images is still a rare one.
        counts: int64 (intervals,), its pixels in each interval, from D = 1 down.
    """

    name: str
    interval: int | None
    images: int
    counts: NDArray[np.int64]

    @property
    def pixels(self) -> int:
        """All its pixels."""
        return int(self.counts.sum())

    @property
    def shares(self) -> NDArray[np.float64]:
        """The share of its pixels in each interval and those before it, (intervals,)."""
        return self.counts.cumsum() / max(1, self.pixels)

    @property
    def weight(self) -> float:
        """A_k; 1 for a class without pixels."""
        return class_weight(self.interval or 0, len(self.counts))


def table_text(table: IntervalTable) -> str:
    """Return ``intervals.yml``."""
    return f"{HEAD}\n" + yaml.safe_dump(resolved(table), sort_keys=False, allow_unicode=True)


def table_csv(results: list[ClassResult]) -> str:
    """Return ``intervals.csv``: a row for each class, those that were never seen too."""
    rows: list[list[Any]] = [["id", "class", "pixels", "images", "interval", "weight", "share"]]
    for place, result in enumerate(results):
        row: list[Any] = [place, result.name, result.pixels, result.images]
        if result.interval is not None:
            share = result.shares[result.interval]
            row += [result.interval, f"{result.weight:.4f}", f"{share:.4f}"]
        rows.append(row + [None] * (len(rows[0]) - len(row)))
    return csv_text(rows)


def figure_class() -> Any:
    """Return matplotlib's Figure.

    Raises:
        InputError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise InputError(
            "plots needs matplotlib; run: pip install 'desra[plot]', or set plots: false"
        ) from error
    return Figure


def plot(figure: Any, result: ClassResult, quantile: float, path: Path) -> None:
    """Draw the shares of one class, from D = 1 down, and where its interval ends.

    Args:
        figure: an empty figure of matplotlib.
        result: the class, which has an interval.
        quantile: as in the options.
        path: the PNG file to write.
    """
    assert result.interval is not None
    bounds = np.linspace(1, 0, len(result.counts) + 1)
    axes = figure.subplots()
    axes.plot(bounds, [0, *result.shares], marker=".", label="share of pixels with at least this D")
    axes.axhline(quantile, color="gray", linestyle="--", label=f"quantile {quantile:g}")
    axes.axvline(
        bounds[result.interval + 1],
        color="tab:red",
        label=f"interval {result.interval}, weight {result.weight:.3f}",
    )
    axes.set(xlim=(1, 0), ylim=(0, 1.02), xlabel="D, similarity", ylabel="cumulative share")
    title = f"{result.name}: {result.pixels:,} pixels in {result.images:,} images"
    axes.set_title(title, parse_math=False)  # a class name may hold a dollar sign
    axes.legend(loc="lower right")
    with atomic_write(path) as file:
        figure.savefig(file, format="png", dpi=100, bbox_inches="tight")


def log(results: list[ClassResult]) -> None:
    """Log the classes, those with most pixels first, then those never seen."""
    seen = sorted((r for r in results if r.pixels), key=lambda r: -r.pixels)
    heads = ["pixels", "images", "interval", "weight", "class"]
    rows = [
        [str(r.pixels), str(r.images), str(r.interval), number(r.weight, 3), r.name] for r in seen
    ]
    logger.info("%s", text_table([heads, *rows], left={len(heads) - 1}))
    if unseen := [r.name for r in results if not r.pixels]:
        logger.info("never seen, so not in the table: %s", ", ".join(unseen))
