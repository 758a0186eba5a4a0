"""Masks against the truth: one image, several, and the intervals of both.

**What is divided by zero is undefined and reads null**, never 0 or 1; the log says why. IoU is the
mean over the images in which either mask holds a pixel; all else adds up counts over images and
divides once. Average precision is that of all pixels with a map, marked from the lowest value up.
"""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from desra.artifacts import border_between
from desra.io import manifest
from desra.io.annotations import RLE, find_human_masks, read_human_masks
from desra.io.images import image_size, read_image, read_mask
from desra.io.listing import list_images
from desra.metrics.bootstrap import Interval, from_row, intervals, to_row
from desra.metrics.curve import CurveCounts, PRCurve, count_curve
from desra.metrics.mask_scores import MaskCounts, count_mask, mean_iou
from desra.options.evaluate import BootstrapOptions, MaskFoldersOptions
from desra.utils.errors import InputError, listed, refuse_if_any

logger = logging.getLogger("desra")

Protocol = Literal["full", "released"]

# 16 steps to one of an 8-bit map, whose values stay apart and exact; bounds what 16 bits take.
_LEVELS = 16 * 255
_POINTS = 256  # of the curve that is written

_UNDEFINED = {
    "iou": "both masks of every image are empty",
    "pixel_precision": "nothing is predicted",
    "pixel_recall": "nothing is true",
    "pixel_f1": "nothing is predicted and nothing true",
    "average_precision": "no pixel under a map is true",
    "region_precision": "nothing is predicted",
    "region_recall": "nothing is true",
}


@dataclass(frozen=True)
class Case:
    """An image whose true mask is known.

    Attributes:
        stem: its name.
        truth: the true mask.
        pred: the mask to score; None: no file, so nothing was found.
        map: its similarity map, if there is one.
    """

    stem: str
    truth: RLE
    pred: Path | None
    map: Path | None


@dataclass(frozen=True)
class MaskScores:
    """What is counted on one image: of its mask and, where it has one, of its map."""

    counts: MaskCounts
    curve: CurveCounts | None


# ---------------------------------------------------------------------------------------- finding


def find_cases(folders: MaskFoldersOptions, protocol: Protocol = "full") -> list[Case]:
    """The images that have a true mask, sorted by name; nothing is ever deleted or changed.

    A prediction without a true mask is left out. A true mask without a prediction counts as an
    image in which nothing was found, but where ``pred`` is a folder that detect wrote, which says
    what was looked at: then it is a mistake. ``released`` leaves it out, as those scripts do, so
    it cannot lower the recall. The log names all of them.

    Raises:
        InputError: a source without masks, none in common, a true mask of an image that detect
            has not looked at, masks or maps of the wrong size (all are listed), or a predicted
            image without its map.
    """
    rows = manifest.read(Path(folders.pred))
    if rows:
        preds = {s: manifest.result(Path(folders.pred), "mask", s) for s in rows}
    else:
        preds = _by_stem(folders.pred, "masks.pred")
    if rows and protocol == "full":
        sizes = {stem: row.sr_size for stem, row in rows.items()}
        truth = find_human_masks(folders.truth, sizes, "masks.truth")
    else:
        truth = read_human_masks(folders.truth, "masks.truth")
    maps: Mapping[str, Path] = {}
    if folders.map is not None:
        maps = _by_stem(folders.map, "masks.map")
    elif rows:  # an image smaller than the window has no map
        seen = (stem for stem, row in rows.items() if row.mean_D is not None)
        maps = {stem: manifest.result(Path(folders.pred), "map", stem) for stem in seen}

    common, lost = sorted(truth.keys() & preds), sorted(truth.keys() - preds)
    if not common:
        raise InputError(
            f"masks.pred ({folders.pred}) and masks.truth ({folders.truth}) have no name in "
            f"common ({listed(sorted(preds)[:2])} against {listed(sorted(truth)[:2])}); name each "
            "mask as its image, sub-folder included"
        )
    if unknown := sorted(preds.keys() - truth):
        logger.warning(
            "masks: %d of %d predictions have no true mask, so they are left out of the scores: %s",
            len(unknown),
            len(preds),
            listed(unknown),
        )
    if lost:
        how = (
            "left out, as the released scripts do, so what is missed there lowers no recall"
            if protocol == "released"
            else "counted as images in which nothing was found"
        )
        logger.warning(
            "masks: %d of %d true masks have no prediction, %s: %s",
            len(lost),
            len(truth),
            how,
            listed(lost),
        )
    if folders.map is not None and (bare := [stem for stem in common if stem not in maps]):
        raise InputError(
            f"masks.map: {folders.map} lacks {len(bare)} of {len(common)} images: {listed(bare)}; "
            "give a map for each mask, or leave map out"
        )
    stems = common if protocol == "released" else sorted(truth)
    cases = [Case(stem, truth[stem], preds.get(stem), maps.get(stem)) for stem in stems]
    if maps and (bare := [case.stem for case in cases if case.map is None]):
        logger.warning("no map, so no part in the average precision: %s", listed(bare))
    refuse_if_any(
        (fault for case in cases if (fault := _fault(case, protocol))),
        "these masks cannot be compared",
    )
    return cases


def _by_stem(folder: str, key: str) -> dict[str, Path]:
    try:
        return {file.stem: file.path for file in list_images(folder)}
    except InputError as error:
        raise InputError(f"{key}: {error}") from error


def _fault(case: Case, protocol: Protocol) -> str | None:
    """What is wrong with the sizes of a case, from headers."""
    height, width = case.truth.size
    lost = 10 if protocol == "released" else 0
    if case.pred is not None and (size := image_size(case.pred)) != (height - lost, width - lost):
        if protocol == "released":
            return (
                f"{case.pred} is {size}, but with protocol: released a mask is 10 pixels smaller "
                f"than the true one, {(height, width)} (height, width); full compares equal sizes"
            )
        hint = "; protocol: released compares masks that lack 5 pixels a side"
        cropped = size == (height - 10, width - 10)
        return (
            f"{case.pred} is {size}, but its true mask is {(height, width)} (height, width)"
            f"{hint if cropped else ''}"
        )
    if case.map is not None:
        size = image_size(case.map)
        try:
            border_between(size, case.truth.size)
        except ValueError:
            return (
                f"{case.map} is {size}, which does not lie centred in its true mask, "
                f"{(height, width)} (height, width)"
            )
    return None


# --------------------------------------------------------------------------------------- measuring


def score(case: Case, protocol: Protocol = "full") -> MaskScores:
    """Count what a mask and a map share with the truth.

    Raises:
        InputError: a file cannot be read, or is no mask.
    """
    truth = case.truth.mask()
    mask = np.zeros_like(truth) if case.pred is None else read_mask(case.pred)
    curve = None
    if case.map is not None:
        D = read_image(case.map).rgb[..., 0]
        curve = count_curve(D / float(np.iinfo(D.dtype).max), truth, _LEVELS)
    return MaskScores(count_mask(mask, truth, protocol), curve)


def _rates(
    counts: MaskCounts, iou: float | None, curve: CurveCounts | None
) -> dict[str, float | None]:
    return {
        "iou": iou,
        "pixel_precision": counts.pixel_precision,
        "pixel_recall": counts.pixel_recall,
        "pixel_f1": counts.pixel_f1,
        "average_precision": None if curve is None else curve.average_precision,
        "region_precision": counts.region_precision,
        "region_recall": counts.region_recall,
    }


def _pooled(scores: Mapping[str, MaskScores]) -> tuple[MaskCounts, CurveCounts | None]:
    """The counts of all images, and of all maps."""
    curves = [s.curve for s in scores.values() if s.curve is not None]
    curve = sum(curves[1:], start=curves[0]) if curves else None
    return sum((s.counts for s in scores.values()), start=MaskCounts()), curve


def to_json(
    scores: Mapping[str, MaskScores],
    folders: MaskFoldersOptions,
    protocol: Protocol = "full",
    bootstrap: BootstrapOptions | None = None,
) -> dict[str, Any]:
    """The part ``masks`` of ``scores.json``.

    Args:
        scores: what `score` counted, by stem; at least one.
        folders: where the masks came from.
        protocol: how IoU is averaged, see `desra.metrics.mask_scores.mean_iou`.
        bootstrap: how the intervals are found.
    """
    counts, curve = _pooled(scores)
    iou = mean_iou([s.counts for s in scores.values()], protocol)
    rates = _rates(counts, iou, curve)
    _say_what_is_undefined(rates, protocol, has_map=curve is not None)
    return {
        "pred": folders.pred,
        "truth": folders.truth,
        "total": {**rates, **asdict(counts), "images": len(scores)},
        "intervals": _intervals(scores, rates, bootstrap or BootstrapOptions()),
        "images": {
            stem: {**_rates(s.counts, s.counts.iou, s.curve), **asdict(s.counts)}
            for stem, s in scores.items()
        },
        "pr_curve": None if curve is None else _curve_to_json(curve.curve()),
    }


def _say_what_is_undefined(
    rates: Mapping[str, float | None], protocol: Protocol, has_map: bool
) -> None:
    reasons = dict(_UNDEFINED)
    if protocol == "released":
        reasons["iou"] = "both masks of an image are empty, and its 0/0 spoils the released mean"
    if not has_map:
        del reasons["average_precision"]  # none was asked for
    if null := [f"{name} ({why})" for name, why in reasons.items() if rates[name] is None]:
        logger.warning("masks: undefined, so null: %s", ", ".join(null))


def _intervals(
    scores: Mapping[str, MaskScores], total: Mapping[str, float | None], opt: BootstrapOptions
) -> dict[str, Interval]:
    """The bootstrap of all rates. A row: the counts, the IoU and whether there is one, the map."""
    _, pooled = _pooled(scores)
    values = pooled.values if pooled else np.empty(0)

    def row(s: MaskScores) -> list[float]:
        numbers = [*to_row(s.counts), s.counts.iou or 0.0, s.counts.iou is not None]
        at_values = np.zeros((2, len(values)))
        if s.curve is not None:
            at_values[:, np.searchsorted(values, s.curve.values)] = s.curve.artifact, s.curve.clean
        return [*numbers, *at_values.ravel()]

    def rates(drawn: NDArray[np.float64]) -> dict[str, float | None]:
        counts, rest = from_row(MaskCounts(), drawn), drawn[len(to_row(MaskCounts())) :]
        iou, images, at_values = rest[0], rest[1], rest[2:].reshape(2, -1)
        occurs = at_values.any(axis=0)
        curve = CurveCounts(values[occurs], *at_values[:, occurs]) if pooled else None
        return _rates(counts, iou / images if images else None, curve)

    found = intervals(np.array([row(s) for s in scores.values()]), rates, opt.resamples, opt.seed)
    # What is null for all images has no interval, also where single draws had a value.
    return {name: None if total[name] is None else found[name] for name in found}


def _curve_to_json(curve: PRCurve | None) -> dict[str, list[float]] | None:
    """The curve, thinned to points that lie evenly among its thresholds; both ends are kept."""
    if curve is None:
        return None
    last = len(curve.threshold) - 1
    kept = np.unique(np.linspace(0, last, min(_POINTS, last + 1)).round().astype(int))
    return {name: values[kept].tolist() for name, values in curve._asdict().items()}
