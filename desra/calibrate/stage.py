"""Measure class intervals: count the similarities of all pixels of each class."""

import logging
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from desra.artifacts import IntervalCalibration, MaskRule, artifact_map
from desra.calibrate.folder import KIND
from desra.calibrate.results import ClassResult, figure_class, log, plot, table_csv, table_text
from desra.detectors.segment import Segmenter, make_segmenter
from desra.io import manifest
from desra.io.files import atomic_write
from desra.io.images import common_size, read_rgb8
from desra.io.ledger import Ledger, inputs_of, refuse_inputs_in
from desra.io.listing import list_images, pair_by_stem
from desra.io.lock import held_folder
from desra.options.calibrate import CalibrateInputOptions, CalibrateOptions
from desra.options.sections import IntervalTable
from desra.registry import import_modules
from desra.utils.errors import InputError, refuse_if_any, sort_out

logger = logging.getLogger("desra")


@dataclass(frozen=True)
class SRPairFiles:
    """The files of one SR pair."""

    stem: str
    gan: Path
    mse: Path


def find_pairs(source: CalibrateInputOptions) -> list[SRPairFiles]:
    """List the SR pairs that ``input`` names.

    Raises:
        InputError: a folder is missing, empty, or without results, or images do not pair up.
    """
    if source.results is not None:
        folder = Path(source.results)
        return [
            SRPairFiles(
                stem, *(manifest.result(folder, kind, stem) for kind in ("sr_gan", "sr_mse"))
            )
            for stem in manifest.read_results(folder, "input.results")
        ]
    assert source.sr_gan is not None and source.sr_mse is not None  # CalibrateInputOptions says so
    names = ("input.sr_gan", "input.sr_mse")
    pairs = pair_by_stem(list_images(source.sr_gan), list_images(source.sr_mse), names)
    return [SRPairFiles(gan.stem, gan.path, mse.path) for gan, mse in pairs]


def _preflight(pairs: list[SRPairFiles], segmenter: Segmenter | None) -> None:
    """Refuse, before any work, what headers show to be unusable: all of it at once."""

    def check(pair: SRPairFiles) -> None:
        size = common_size(pair.gan, pair.mse)
        if segmenter is not None:
            segmenter.check(pair.stem, size)

    _, faults = sort_out(pairs, check)
    refuse_if_any(faults, "these inputs cannot be used")


def _measure(
    pairs: list[SRPairFiles], segmenter: Segmenter | None, opt: CalibrateOptions
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


def _plot_of(output: Path, number: int, name: str) -> Path:
    """Return where the plot of a class goes."""
    plain = re.sub(r"[^\w-]+", "_", name)[:80]
    return output / "plots" / f"{number:03d}_{plain}.png"


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
    ledger, out = Ledger(opt.output, KIND), Path(opt.output)
    tables = [out / "intervals.yml", out / "intervals.csv"]
    refuse_inputs_in([*tables, out / "plots"], inputs_of(opt, ("output",)), "output")
    figure = figure_class() if opt.plots else None
    pairs = find_pairs(opt.input)
    segmenter = make_segmenter(opt.segment, opt.device, opt.precision)
    _preflight(pairs, segmenter)
    names = segmenter.names if segmenter is not None and figure is not None else []
    ledger.refuse_foreign([*tables, *(_plot_of(out, *item) for item in enumerate(names))])

    results = _measure(pairs, segmenter, opt)
    classes = {r.name: r.interval for r in results if r.interval is not None}
    if not classes:
        raise InputError(
            f"no pixel has a class: all of them are marked as having none, or the {len(pairs)} "
            f"images are smaller than the window ({opt.window.size} pixels)"
        )
    table = IntervalTable(intervals=opt.intervals, classes=classes)

    with held_folder(out, KIND, "output", part=KIND.name) as ledger, ledger:
        for path, text in zip(tables, (table_text(table), table_csv(results)), strict=True):
            with atomic_write(path) as file:
                file.write(text.encode())
        for old in (out / "plots").glob("*.png"):  # those of an earlier run may show other classes
            ledger.remove(old)
        for number, result in enumerate(results):
            if figure is not None and result.pixels:
                path = _plot_of(out, number, result.name)
                plot(figure(figsize=(6, 4)), result, opt.quantile, path)

    log(results)
    if segmenter is None:
        threshold = MaskRule.threshold
        logger.info(
            "this weight on every pixel is the same as mask.threshold %.4g in place of %g",
            threshold / results[0].weight,
            threshold,
        )
    logger.info("written: %s", out)
    return table
