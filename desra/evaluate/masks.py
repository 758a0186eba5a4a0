"""Masks against the truth: which images there are, and what is measured of one and of all.

**What is divided by zero is undefined and reads null**, never 0 or 1; the log says why. Which
scores there are, `desra.metrics.rows.against_truth` says.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from desra.artifacts import border_between
from desra.io import manifest
from desra.io.annotations import find_human_masks, read_human_masks
from desra.io.images import image_size, read_image, read_mask
from desra.io.listing import list_images
from desra.io.rle import RLE
from desra.metrics.curve import CurveCounts, PRCurve
from desra.metrics.metric import Metric, Scores, measure, to_json, total_of
from desra.metrics.rows import Against
from desra.options.evaluate import BootstrapOptions, MaskFoldersOptions
from desra.utils.errors import InputError, listed, refuse_if_any

logger = logging.getLogger("desra")

Protocol = Literal["full", "released"]

_POINTS = 256  # of the curve that is written


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


# ---------------------------------------------------------------------------------------- finding


def find_cases(folders: MaskFoldersOptions, protocol: Protocol = "full") -> list[Case]:
    """List the images that have a true mask, sorted by name; nothing is ever deleted or changed.

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
    """Return what is wrong with the sizes of a case, from headers; None: nothing."""
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


def score(case: Case, metrics: Sequence[Metric], protocol: Protocol = "full") -> Scores:
    """Measure what a mask and a map share with the truth.

    Args:
        case: the image.
        metrics: the rows, of `desra.metrics.rows.against_truth`.
        protocol: how mask and truth lie on each other.

    Raises:
        InputError: a file cannot be read, or is no mask.
    """
    truth = case.truth.mask()
    mask = np.zeros_like(truth) if case.pred is None else read_mask(case.pred)
    D = None
    if case.map is not None:
        levels = read_image(case.map).rgb[..., 0]
        D = levels / float(np.iinfo(levels.dtype).max)
    return measure(metrics, Against(mask, truth, D, protocol))


def content(
    metrics: Sequence[Metric],
    scores: Mapping[str, Scores],
    folders: MaskFoldersOptions,
    bootstrap: BootstrapOptions,
) -> dict[str, Any]:
    """Return the part ``masks`` of ``scores.json``.

    Args:
        metrics: the rows.
        scores: what `score` measured, by stem; at least one.
        folders: where the masks came from.
        bootstrap: how the intervals are found.
    """
    part = to_json(metrics, scores, bootstrap.resamples, bootstrap.seed)
    curve = cast(CurveCounts, total_of(scores.values())["average_precision"])
    _say_what_is_undefined(metrics, part["total"], has_map=bool(curve.values.size))
    return {
        "pred": folders.pred,
        "truth": folders.truth,
        **part,
        "pr_curve": _curve_to_json(curve.curve()),
    }


def _say_what_is_undefined(
    metrics: Sequence[Metric], values: Mapping[str, float | None], has_map: bool
) -> None:
    nulls = [
        f"{metric.key} ({metric.undefined})"
        for metric in metrics
        if metric.undefined
        and values[metric.key] is None
        and (has_map or metric.needs != "map")  # without a map none was asked for
    ]
    if nulls:
        logger.warning("masks: undefined, so null: %s", ", ".join(nulls))


def _curve_to_json(curve: PRCurve | None) -> dict[str, list[float]] | None:
    """Return the curve at points that lie evenly among its thresholds; both ends are kept."""
    if curve is None:
        return None
    last = len(curve.threshold) - 1
    kept = np.unique(np.linspace(0, last, min(_POINTS, last + 1)).round().astype(int))
    return {name: values[kept].tolist() for name, values in curve._asdict().items()}
