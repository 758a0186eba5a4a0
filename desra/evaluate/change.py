"""Before against after: one image, several, and the intervals of both.

The detector is not the only judge of its own finetuning: beside the regions that went and came
stand the change outside the masks (of before), NIQE, consistency with the LR image and, where it
exists, the truth.

**What is divided by zero is undefined and reads null**, as does the PSNR of equal images (their
``mse_outside`` is 0). In the total, counts are added up first and divided once; ``psnr_outside``,
``detail_kept`` and ``psnr_gt_inside_*`` are pooled over all pixels; ``psnr_outside_mean``, SSIM,
NIQE, consistency, whole-image PSNR and pyiqa's metrics are means over images. An image has a part
in a mean of before and after only where both are defined and finite, so that the two are means
over the same images.
"""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from desra.data.embedded import provide_folder
from desra.io import manifest
from desra.io.images import read_rgb8
from desra.io.listing import list_images
from desra.io.results import read_pairs, read_result, whole_map, whole_mask
from desra.metrics.bootstrap import Interval, from_row, intervals, to_row
from desra.metrics.iqa import Metric
from desra.metrics.mask_scores import ChangeCounts, Sums, count_change
from desra.metrics.quality import (
    Detail,
    Mean,
    Means,
    SquaredError,
    consistency,
    detail,
    niqe,
    psnr,
    squared_error,
    ssim,
)
from desra.options.evaluate import BootstrapOptions
from desra.utils.errors import InputError, listed

logger = logging.getLogger("desra")

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Pair:
    """The results of one image before and after, and where its LR image and its truth are."""

    before: manifest.Row
    after: manifest.Row
    lq: Path | None
    gt: Path | None

    @property
    def stem(self) -> str:
        """Name of the image's files."""
        return self.before.stem


@dataclass(frozen=True)
class Scores(Sums):
    """What is measured on one image; added up, on several.

    Attributes:
        images, found_before, found_after: images, those with a mask before, those with one after.
        change: regions and pixels removed and added.
        outside: sr_gan after against before, outside the mask before.
        psnr_outside_mean: the PSNR of that as a mean over images.
        ssim_outside, detail: likewise outside.
        niqe_mse, niqe_before, niqe_after: of sr_mse and of sr_gan.
        consistency_before, consistency_after: PSNR of the downscaled sr_gan to the LR image.
        inside_before, inside_after: sr_gan against the truth, inside the mask before.
        psnr_gt_before, psnr_gt_after: PSNR of the whole sr_gan to the truth.
        metrics: ``<name>_before`` and ``<name>_after`` of each metric of pyiqa.
    """

    images: int
    found_before: int
    found_after: int
    change: ChangeCounts
    outside: SquaredError
    psnr_outside_mean: Mean
    ssim_outside: Mean
    detail: Detail
    niqe_mse: Mean
    niqe_before: Mean
    niqe_after: Mean
    consistency_before: Mean
    consistency_after: Mean
    inside_before: SquaredError
    inside_after: SquaredError
    psnr_gt_before: Mean
    psnr_gt_after: Mean
    metrics: Means


def find_pairs(before_folder: str, after_folder: str, gt: str | None = None) -> list[Pair]:
    """The images of the two folders, side by side, in the order of ``before``.

    Raises:
        InputError: a folder without results, an image that only one of them has, or in another
            size, or that has no truth in ``gt``.
    """
    rows = read_pairs(before_folder, after_folder)
    truth: dict[str, Path] = {}
    if gt is not None:
        truth = {file.stem: file.path for file in list_images(provide_folder(gt, "gt"))}
        if missing := sorted({before.stem for before, _ in rows} - truth.keys()):
            raise InputError(
                f"gt: {gt} lacks {len(missing)} of {len(rows)} images: {listed(missing)}; "
                "give it the same file names as the inputs, or leave gt out"
            )
    if all(before.settings == after.settings for before, after in rows):
        logger.warning("before and after were made from the same inputs by the same networks")
    pairs = []
    for before, after in rows:
        name = before.lq or after.lq
        lq = Path(name) if name is not None and Path(name).is_file() else None
        pairs.append(Pair(before, after, lq, truth.get(before.stem)))
    if lost := [p.stem for p in pairs if (p.before.lq or p.after.lq) and not p.lq]:
        logger.warning("LR images that are no longer there, left out: %s", listed(sorted(lost)))
    return pairs


class Results:
    """The pictures of one pair, read when asked for.

    Args:
        before, after: the two folders.
        pair: which image.
        protocol: released: masks come without their border, where nothing is marked then.
    """

    def __init__(
        self, before: str, after: str, pair: Pair, protocol: Literal["full", "released"] = "full"
    ) -> None:
        self._of = {"before": (Path(before), pair.before), "after": (Path(after), pair.after)}
        self._released = protocol == "released"
        self.pair = pair

    def image(self, when: str, kind: str) -> Image:
        """sr_gan or sr_mse, uint8 (H, W, 3)."""
        folder, row = self._of[when]
        return read_result(folder, kind, row)

    def mask(self, when: str) -> NDArray[np.bool_]:
        """bool (H, W)."""
        return whole_mask(*self._of[when], cropped=self._released)

    def map(self) -> NDArray[np.float64]:
        """D before, as `desra.io.results.whole_map`."""
        return whole_map(*self._of["before"])

    def lq(self) -> Image | None:
        """uint8 (h, w, 3), if there is one."""
        pair = self.pair
        return read_rgb8(pair.lq, pair.before.size_of_lq) if pair.lq else None

    def gt(self) -> Image | None:
        """uint8 (H, W, 3), if there is one."""
        pair = self.pair
        return read_rgb8(pair.gt, pair.before.sr_size) if pair.gt else None


def _both(before: float | None, after: float | None) -> tuple[Mean, Mean]:
    """The two values, or neither."""
    means = Mean.of(before), Mean.of(after)
    return means if all(mean.count for mean in means) else (Mean(), Mean())


def score(results: Results, metrics: Sequence[Metric] = ()) -> Scores:
    """Measure one image, by metrics of pyiqa too.

    Raises:
        InputError: a file is missing or of the wrong size.
    """
    before, after = (results.image(when, "sr_gan") for when in ("before", "after"))
    mask, mask_after = results.mask("before"), results.mask("after")
    outside = squared_error(before, after, ~mask)
    niqe_before, niqe_after = _both(niqe(before), niqe(after))
    consistent = closer = (Mean(), Mean())
    inside = (SquaredError(), SquaredError())
    if (lq := results.lq()) is not None:
        consistent = _both(consistency(lq, before), consistency(lq, after))
    if (gt := results.gt()) is not None:
        inside = squared_error(gt, before, mask), squared_error(gt, after, mask)
        closer = _both(psnr(gt, before), psnr(gt, after))
    asked = Means()
    for metric in metrics:
        names = [f"{metric.name}_{when}" for when in ("before", "after")]
        values = [
            metric(sr, gt, f"{results.pair.stem} {when}")
            for sr, when in ((before, "before"), (after, "after"))
        ]
        asked.update(zip(names, _both(*values), strict=True))
    return Scores(
        images=1,
        found_before=int(mask.any()),
        found_after=int(mask_after.any()),
        change=count_change(mask, mask_after),
        outside=outside,
        psnr_outside_mean=Mean.of(outside.psnr),
        ssim_outside=Mean.of(ssim(before, after, ~mask)),
        detail=detail(before, after, ~mask),
        niqe_mse=Mean.of(niqe(results.image("before", "sr_mse"))),
        niqe_before=niqe_before,
        niqe_after=niqe_after,
        consistency_before=consistent[0],
        consistency_after=consistent[1],
        inside_before=inside[0],
        inside_after=inside[1],
        psnr_gt_before=closer[0],
        psnr_gt_after=closer[1],
        metrics=asked,
    )


def _counts(change: ChangeCounts) -> dict[str, int]:
    counts = asdict(change)
    return {k if k.startswith("pixels") else f"regions_{k}": v for k, v in counts.items()}


def _rates(scores: Scores) -> dict[str, float | None]:
    """What has a meaning for one image and for several; a PSNR may be infinite."""
    change = scores.change
    return {
        "removal_rate": change.removal_rate,
        "addition_rate": change.addition_rate,
        "pixel_removal_rate": change.pixel_removal_rate,
        "pixel_addition_rate": change.pixel_addition_rate,
        "mse_outside": scores.outside.value,
        "psnr_outside": scores.outside.psnr,
        "ssim_outside": scores.ssim_outside.value,
        "detail_kept": scores.detail.kept,
        "niqe_mse": scores.niqe_mse.value,
        "niqe_before": scores.niqe_before.value,
        "niqe_after": scores.niqe_after.value,
        "consistency_before": scores.consistency_before.value,
        "consistency_after": scores.consistency_after.value,
        "psnr_gt_inside_before": scores.inside_before.psnr,
        "psnr_gt_inside_after": scores.inside_after.psnr,
        "psnr_gt_before": scores.psnr_gt_before.value,
        "psnr_gt_after": scores.psnr_gt_after.value,
        **{name: mean.value for name, mean in scores.metrics.items()},
    }


def _rates_of_several(total: Scores) -> dict[str, float | None]:
    return {
        "share_with_mask_before": total.found_before / total.images,
        "psnr_outside_mean": total.psnr_outside_mean.value,
        **_rates(total),
    }


def _finite(rates: Mapping[str, float | None]) -> dict[str, float | None]:
    return {k: None if v is None or math.isinf(v) else v for k, v in rates.items()}


def total_of(scores: Mapping[str, Scores]) -> Scores:
    """The scores of all images together; there is at least one."""
    first, *others = scores.values()
    return sum(others, start=first)


def to_json(
    scores: Mapping[str, Scores], bootstrap: BootstrapOptions | None = None
) -> dict[str, Any]:
    """``total``, ``intervals`` and ``images`` of ``scores.json``.

    Args:
        scores: what `score` measured, by stem; at least one.
        bootstrap: how the intervals are found.
    """
    total, opt = total_of(scores), bootstrap or BootstrapOptions()
    if not total.change.before:
        logger.warning(
            "removal and addition rates are undefined, so null: nothing was found before"
        )
    rows = np.array([to_row(s) for s in scores.values()])
    found: dict[str, Interval] = intervals(
        rows, lambda row: _rates_of_several(from_row(total, row)), opt.resamples, opt.seed
    )
    return {
        "total": {
            "images": total.images,
            "images_with_mask_before": total.found_before,
            "images_with_mask_after": total.found_after,
            **_counts(total.change),
            **_finite(_rates_of_several(total)),
        },
        "intervals": found,
        "images": {stem: {**_counts(s.change), **_finite(_rates(s))} for stem, s in scores.items()},
    }
