"""Class intervals from data. ``python -m desra.calibrate -opt options/calibrate.yml``

How far down the similarities of a class usually reach (Fig. 10b): [0, 1] is cut into intervals, and
the interval i_k of class k is the smallest i for which more than ``quantile`` of the pixels of that
class have ``D >= 1 - (i + 1) / intervals``. D is the map before any weight.

Writes ``<output>/intervals.yml``, which ``segment.table`` of detect reads, ``intervals.csv``, a row
for each class with its pixels, the images that they come from, and the share reached, and
``plots/<id>_<class>.png``. A class that no pixel had stands in the CSV alone, without an interval.
"""

import csv
import io
import logging
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from tqdm import tqdm

from desra import cli
from desra.artifacts import IntervalCalibration, MaskRule, artifact_map, class_weight
from desra.detectors.segment import Segmenter, make_segmenter
from desra.io import manifest
from desra.io.files import atomic_write
from desra.io.images import common_size, read_rgb8
from desra.io.listing import list_images, pair_by_stem
from desra.options.calibrate import CalibrateInputOptions, CalibrateOptions
from desra.options.loading import resolved
from desra.options.sections import IntervalTable
from desra.registry import import_modules
from desra.utils.errors import InputError, refuse_if_any, sort_out

logger = logging.getLogger("desra")


@dataclass(frozen=True)
class Pair:
    """The files of one SR pair."""

    stem: str
    gan: Path
    mse: Path


@dataclass(frozen=True, eq=False)
class ClassResult:
    """What was measured of one class.

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


def find_pairs(given: CalibrateInputOptions) -> list[Pair]:
    """The SR pairs that ``input`` names.

    Raises:
        InputError: a folder is missing, empty, or without results, or images do not pair up.
    """
    if given.results is not None:
        folder = Path(given.results)
        return [
            Pair(stem, *(manifest.result(folder, kind, stem) for kind in ("sr_gan", "sr_mse")))
            for stem in manifest.read_results(folder, "input.results")
        ]
    assert given.sr_gan is not None and given.sr_mse is not None  # CalibrateInputOptions says so
    names = ("input.sr_gan", "input.sr_mse")
    pairs = pair_by_stem(list_images(given.sr_gan), list_images(given.sr_mse), names)
    return [Pair(gan.stem, gan.path, mse.path) for gan, mse in pairs]


def _preflight(pairs: list[Pair], segmenter: Segmenter | None) -> None:
    """Refuse, before any work, what headers show to be unusable: all of it at once."""

    def check(pair: Pair) -> None:
        size = common_size(pair.gan, pair.mse)
        if segmenter is not None:
            segmenter.check(pair.stem, size)

    _, faults = sort_out(pairs, check)
    refuse_if_any(faults, "these inputs cannot be used")


def _measure(
    pairs: list[Pair], segmenter: Segmenter | None, opt: CalibrateOptions
) -> list[ClassResult]:
    """Count the pixels of all pairs, one pair in memory at a time."""
    names = segmenter.names if segmenter is not None else ["all"]
    calibration = IntervalCalibration(len(names), opt.intervals, opt.quantile)
    images = np.zeros(len(names), np.int64)
    for pair in tqdm(pairs, desc="calibrate", unit="image"):
        gan, mse = read_rgb8(pair.gan), read_rgb8(pair.mse)
        D = artifact_map(mse, gan, opt.window)
        labels = np.zeros(D.shape, np.uint8) if segmenter is None else segmenter(gan, pair.stem)
        before = calibration.counts.sum(axis=1)
        calibration.update(D, labels)
        images += calibration.counts.sum(axis=1) > before
    return [
        ClassResult(name, interval, int(n), counts)
        for name, interval, n, counts in zip(
            names, calibration.intervals(), images, calibration.counts, strict=True
        )
    ]


def _table_text(table: IntervalTable) -> str:
    head = "# Interval of each class, by desra.calibrate; segment.table of detect reads it."
    return f"{head}\n" + yaml.safe_dump(resolved(table), sort_keys=False, allow_unicode=True)


def _csv_text(results: list[ClassResult]) -> str:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["id", "class", "pixels", "images", "interval", "weight", "share"])
    for number, r in enumerate(results):
        row: list[Any] = [number, r.name, r.pixels, r.images]
        if r.interval is not None:
            row += [r.interval, f"{r.weight:.4f}", f"{r.shares[r.interval]:.4f}"]
        rows.writerow(row + [""] * (7 - len(row)))
    return text.getvalue()


def _figure_class() -> Any:
    try:
        from matplotlib.figure import Figure  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise InputError(
            "plots needs matplotlib; run: pip install 'desra[plot]', or set plots: false"
        ) from error
    return Figure


def _plot(figure: Any, result: ClassResult, quantile: float, path: Path) -> None:
    """The shares of one class, from D = 1 down, and where its interval ends."""
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


def _log_results(results: list[ClassResult]) -> None:
    """The classes with most pixels first, then those never seen."""
    logger.info("%14s %8s %8s %8s  %s", "pixels", "images", "interval", "weight", "class")
    for r in sorted((r for r in results if r.pixels), key=lambda r: -r.pixels):
        logger.info("%14d %8d %8d %8.3f  %s", r.pixels, r.images, r.interval, r.weight, r.name)
    if unseen := [r.name for r in results if not r.pixels]:
        logger.info("never seen, so not in the table: %s", ", ".join(unseen))


def calibrate(opt: CalibrateOptions) -> IntervalTable:
    """Find the interval of each class from SR pairs.

    Args:
        opt: the options.

    Returns:
        The table, as written; without the classes that were never seen.

    Raises:
        InputError: wrong options or input, said before any work; or no pixel with a class.
    """
    import_modules(opt.imports)
    figure_class = _figure_class() if opt.plots else None
    pairs = find_pairs(opt.input)
    segmenter = make_segmenter(opt.segment, opt.device, opt.precision)
    _preflight(pairs, segmenter)

    results = _measure(pairs, segmenter, opt)
    classes = {r.name: r.interval for r in results if r.interval is not None}
    if not classes:
        raise InputError(
            f"no pixel has a class: all of them are marked as having none, or the {len(pairs)} "
            f"images are smaller than the window ({opt.window.size} pixels)"
        )
    table = IntervalTable(intervals=opt.intervals, classes=classes)

    out = Path(opt.output)
    for name, text in {
        "intervals.yml": _table_text(table),
        "intervals.csv": _csv_text(results),
    }.items():
        with atomic_write(out / name) as file:
            file.write(text.encode())
    for old in (out / "plots").glob("*.png"):  # those of an earlier run may show other classes
        old.unlink()
    for number, result in enumerate(results):
        if figure_class is not None and result.pixels:
            name = re.sub(r"[^\w-]+", "_", result.name)[:80]
            path = out / "plots" / f"{number:03d}_{name}.png"
            _plot(figure_class(figsize=(6, 4)), result, opt.quantile, path)

    _log_results(results)
    if segmenter is None:
        threshold = MaskRule.threshold
        logger.info(
            "this weight on every pixel is the same as mask.threshold %.4g in place of %g",
            threshold / results[0].weight,
            threshold,
        )
    logger.info("written: %s", out)
    return table


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    return cli.main(
        "calibrate",
        "Find the interval of each class from SR pairs.",
        CalibrateOptions,
        calibrate,
        argv,
    )


if __name__ == "__main__":
    sys.exit(main())
