"""The metrics, one row each. Files, tables, reports and rounds follow from these rows.

`CHANGE` compares a network before and after a finetuning. The detector is not the only judge of its
own finetuning: beside the regions that went and came stand the change outside the masks (of
before), NIQE, consistency with the LR image and, where it exists, the truth. `against_truth` scores
masks. A metric is added by one row in one of them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from desra.metrics.curve import CurveCounts, count_curve
from desra.metrics.mask_scores import ChangeCounts, MaskCounts, count_change, count_mask
from desra.metrics.metric import Metric, Tile, When, before_and_after
from desra.metrics.quality import (
    SquaredError,
    consistency,
    detail,
    niqe,
    psnr,
    squared_error,
    ssim,
)
from desra.metrics.sums import Count, Mean, Ratio, StrictMean

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]

# 16 steps to one of an 8-bit map, whose values stay apart and exact; bounds what 16 bits take.
_LEVELS = 16 * 255
_OLDER = "components_"


@dataclass(frozen=True, eq=False)
class Change:
    """One image before and after a finetuning, all SR images and masks of one size.

    Attributes:
        stem: name of the image, for the log.
        before, after: sr_gan, uint8 ``(H, W, 3)``.
        mask, mask_after: bool ``(H, W)``, True = artifact.
        mse: sr_mse, uint8 ``(H, W, 3)``.
        lq: the LR image, uint8 ``(h, w, 3)``; None: there is none.
        gt: the true HR image, uint8 ``(H, W, 3)``; None: there is none.
    """

    stem: str
    before: Image
    after: Image
    mask: Mask
    mask_after: Mask
    mse: Image
    lq: Image | None = None
    gt: Image | None = None

    def image(self, when: When) -> Image:
        """Return sr_gan before or after."""
        return self.before if when == "before" else self.after

    @cached_property
    def counts(self) -> ChangeCounts:
        """Regions and pixels that went and came."""
        return count_change(self.mask, self.mask_after)

    @cached_property
    def outside(self) -> SquaredError:
        """sr_gan after against before, outside the mask before."""
        return squared_error(self.before, self.after, ~self.mask)


@dataclass(frozen=True, eq=False)
class Against:
    """The mask and the map of one image beside its true mask.

    Attributes:
        mask: bool ``(H, W)``; with ``protocol="released"`` 5 pixels a side smaller than the truth.
        truth: bool ``(H, W)``.
        D: similarity map in [0, 1], of the image's size or without its border; None: none.
        protocol: "full", or "released" for the arithmetic of the released scripts.
    """

    mask: Mask
    truth: Mask
    D: NDArray[np.floating] | None = None
    protocol: Literal["full", "released"] = "full"

    @cached_property
    def counts(self) -> MaskCounts:
        """Pixels and regions that mask and truth share."""
        return count_mask(self.mask, self.truth, self.protocol)


def _change_count(name: str) -> Callable[[Change], Count]:
    return lambda change: Count(getattr(change.counts, name))


def _change_counts(name: str) -> Callable[[Change, When], Count]:
    """Count ``<name>before`` and ``<name>after``."""
    return lambda change, when: Count(getattr(change.counts, f"{name}{when}"))


def _change_ratio(part: str, whole: str) -> Callable[[Change], Ratio]:
    return lambda change: Ratio(getattr(change.counts, part), getattr(change.counts, whole))


def _with_mask(change: Change, when: When) -> Count:
    return Count(int((change.mask if when == "before" else change.mask_after).any()))


def _consistency(change: Change, when: When) -> Mean:
    return Mean() if change.lq is None else Mean.of(consistency(change.lq, change.image(when)))


def _psnr_gt(change: Change, when: When) -> Mean:
    return Mean() if change.gt is None else Mean.of(psnr(change.gt, change.image(when)))


def _error_gt_inside(change: Change, when: When) -> SquaredError:
    if change.gt is None:
        return SquaredError()
    return squared_error(change.gt, change.image(when), change.mask)


_REGIONS = before_and_after(
    "regions",
    "Regions",
    _change_counts(""),
    kind="count",
    digits=0,
    better="lower",
    column="regions",
    rounds="regions left",
)
_PIXELS = before_and_after(
    "pixels",
    "Masked pixels",
    _change_counts("pixels_"),
    kind="count",
    digits=0,
    better="lower",
    column="masked px",
)

#: Before against after. Of one image: a `Change`.
CHANGE: tuple[Metric, ...] = (
    Metric(
        key="images",
        label="Images",
        measure=lambda _: Count(1),
        kind="count",
        digits=0,
        total_only=True,
    ),
    *before_and_after(
        "images_with_mask",
        "Images with artifacts",
        _with_mask,
        kind="count",
        digits=0,
        better="lower",
        total_only=True,
    ),
    _REGIONS[0],
    Metric(
        key="regions_removed",
        label="Regions removed",
        measure=_change_count("removed"),
        kind="count",
        digits=0,
        better="higher",
        column="removed",
    ),
    _REGIONS[1],
    Metric(
        key="regions_added",
        label="Regions added",
        measure=_change_count("added"),
        kind="count",
        digits=0,
        better="lower",
        column="added",
        rounds="added",
    ),
    _PIXELS[0],
    Metric(
        key="pixels_removed",
        label="Masked pixels removed",
        measure=_change_count("pixels_removed"),
        kind="count",
        digits=0,
        better="higher",
    ),
    _PIXELS[1],
    Metric(
        key="pixels_added",
        label="Masked pixels added",
        measure=_change_count("pixels_added"),
        kind="count",
        digits=0,
        better="lower",
    ),
    Metric(
        key="share_with_mask_before",
        label="Share of images with artifacts, before",
        measure=lambda change: Ratio(_with_mask(change, "before").value, 1),
        better="lower",
        total_only=True,
        line="images with a mask",
        note="({part} of {whole}) -> {images_with_mask_after} of {whole}",
    ),
    Metric(
        key="psnr_outside_mean",
        label="PSNR to before, outside the masks, mean over images (dB)",
        measure=lambda change: Mean.of(change.outside.psnr),
        kind="mean",
        unit="dB",
        better="higher",
        total_only=True,
        line="",
        beside="psnr_outside",
    ),
    Metric(
        key="removal_rate",
        label="Removal rate (regions)",
        measure=_change_ratio("removed", "before"),
        better="higher",
        line="removal rate",
        note="({part} of {whole} regions)",
        rounds="removed",
    ),
    Metric(
        key="addition_rate",
        label="Addition rate (regions)",
        measure=_change_ratio("added", "before"),
        better="lower",
        line="addition rate",
        note="({part} new, {whole} before)",
    ),
    Metric(
        key="pixel_removal_rate",
        label="Removal rate (pixels)",
        measure=_change_ratio("pixels_removed", "pixels_before"),
        better="higher",
        line="removal rate, pixels",
        note="({part} of {whole})",
    ),
    Metric(
        key="pixel_addition_rate",
        label="Addition rate (pixels)",
        measure=_change_ratio("pixels_added", "pixels_before"),
        better="lower",
        line="addition rate, pixels",
        note="({part} new, {whole} before)",
    ),
    Metric(
        key="mse_outside",
        label="MSE to before, outside the masks",
        measure=attrgetter("outside"),
        better="lower",
        line="",
    ),
    Metric(
        key="psnr_outside",
        label="PSNR to before, outside the masks, pooled (dB)",
        measure=attrgetter("outside"),
        value=attrgetter("psnr"),
        unit="dB",
        better="higher",
        line="PSNR to before, outside",
        column="PSNR out",
        rounds="PSNR outside (dB)",
        tile=Tile(heading="PSNR outside the masks", note="to before"),
    ),
    Metric(
        key="ssim_outside",
        label="SSIM to before, outside the masks",
        measure=lambda change: Mean.of(ssim(change.before, change.after, ~change.mask)),
        kind="mean",
        digits=4,
        better="higher",
        line="SSIM to before, outside",
        column="SSIM out",
        column_digits=3,
    ),
    Metric(
        key="detail_kept",
        label="Detail kept outside the masks",
        measure=lambda change: detail(change.before, change.after, ~change.mask),
        value=attrgetter("kept"),
        digits=3,
        line="detail kept, outside",
        column="detail",
        rounds="detail kept",
        tile=Tile(note="{percent} of the detail kept", beside="psnr_outside"),
    ),
    Metric(
        key="niqe_mse",
        label="NIQE of the MSE-SR network",
        measure=lambda change: Mean.of(niqe(change.mse)),
        kind="mean",
        better="lower",
        line="sr_mse",
        beside="niqe",
    ),
    *before_and_after(
        "niqe",
        "NIQE",
        lambda change, when: Mean.of(niqe(change.image(when))),
        kind="mean",
        better="lower",
        column="NIQE",
        rounds="NIQE",
    ),
    *before_and_after(
        "consistency",
        "Consistency with the LR image (dB)",
        _consistency,
        kind="mean",
        unit="dB",
        better="higher",
        line="consistency with LR",
    ),
    *before_and_after(
        "psnr_gt_inside",
        "PSNR to the truth, inside the masks (dB)",
        _error_gt_inside,
        value=attrgetter("psnr"),
        unit="dB",
        better="higher",
        needs="gt",
        line="PSNR to truth, inside",
        column="PSNR to gt in",
    ),
    *before_and_after(
        "psnr_gt",
        "PSNR to the truth, whole image (dB)",
        _psnr_gt,
        kind="mean",
        unit="dB",
        better="higher",
        needs="gt",
        line="PSNR to truth, whole",
    ),
)


class Judge(Protocol):
    """A metric of images that is set up elsewhere, such as `desra.metrics.iqa.PyiqaMetric`."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def lower_is_better(self) -> bool:
        """Which way is up."""
        ...

    def __call__(self, image: Image, reference: Image | None, what: str) -> float | None:
        """Return its value of an image; ``what`` names it for the log."""
        ...


def of_judges(judges: Sequence[Judge]) -> tuple[Metric, ...]:
    """Return the rows of metrics that are set up elsewhere: sr_gan before and after."""

    def rows(judge: Judge) -> tuple[Metric, Metric]:
        def measure(change: Change, when: When) -> Mean:
            return Mean.of(judge(change.image(when), change.gt, f"{change.stem} {when}"))

        better = "lower" if judge.lower_is_better else "higher"
        return before_and_after(
            judge.name, judge.name, measure, kind="mean", digits=3, better=better
        )

    return tuple(row for judge in judges for row in rows(judge))


def _truth_count(name: str, label: str) -> Metric:
    return Metric(
        key=name,
        label=label,
        measure=lambda against: Count(getattr(against.counts, name)),
        kind="count",
        digits=0,
    )


def _iou(against: Against) -> Mean:
    """Measure the IoU, which an image has not in which both masks are empty.

    In the released scripts its 0/0 makes the whole mean NaN; else it is left out.
    """
    mean = Mean.of(against.counts.iou)
    if against.protocol == "released":
        return StrictMean(mean.total, mean.count, 1 - mean.count)
    return mean


def _curve(against: Against) -> CurveCounts:
    if against.D is None:
        return CurveCounts.none()
    return count_curve(against.D, against.truth, _LEVELS)


def against_truth(protocol: Literal["full", "released"] = "full") -> tuple[Metric, ...]:
    """Return the metrics of masks with a truth. Of one image: an `Against`.

    IoU is the mean over the images in which either mask holds a pixel; all else adds up counts over
    images and divides once. Average precision is that of all pixels with a map, marked from the
    lowest value up.
    """
    no_iou = {
        "full": "both masks of every image are empty",
        "released": "both masks of an image are empty, and its 0/0 spoils the released mean",
    }

    def rate(key: str, label: str, part: str, whole: Sequence[str], **more: Any) -> Metric:
        def measure(against: Against) -> Ratio:
            counts = against.counts
            return Ratio(getattr(counts, part), sum(getattr(counts, name) for name in whole))

        return Metric(key=key, label=label, measure=measure, digits=3, better="higher", **more)

    return (
        Metric(
            key="iou",
            label="IoU, mean over images",
            measure=_iou,
            kind="mean",
            digits=3,
            better="higher",
            undefined=no_iou[protocol],
            line="IoU",
            note="(mean over {count} of {images} images)",
            column="IoU",
        ),
        rate(
            "pixel_precision",
            "Pixel precision",
            "tp",
            ("tp", "fp"),
            undefined="nothing is predicted",
            line="pixel precision",
            note="({part} of {whole} masked pixels)",
            column="precision",
        ),
        rate(
            "pixel_recall",
            "Pixel recall",
            "tp",
            ("tp", "fn"),
            undefined="nothing is true",
            line="pixel recall",
            note="({part} of {whole} true pixels)",
            column="recall",
        ),
        Metric(
            key="pixel_f1",
            label="Pixel F1",
            measure=lambda against: Ratio(
                2 * against.counts.tp,
                2 * against.counts.tp + against.counts.fp + against.counts.fn,
            ),
            digits=3,
            better="higher",
            undefined="nothing is predicted and nothing true",
            line="pixel F1",
            note="(all pixels together)",
            column="F1",
        ),
        Metric(
            key="average_precision",
            label="Average precision",
            measure=_curve,
            value=attrgetter("average_precision"),
            digits=3,
            better="higher",
            needs="map",
            undefined="no pixel under a map is true",
            line="average precision",
            note="(of the map, all pixels together)",
            column="AP",
        ),
        rate(
            "region_precision",
            "Region precision",
            "correct",
            ("predicted",),
            undefined="nothing is predicted",
            line="region precision",
            note="({part} of {whole} regions)",
            column="correct",
            cell="{part} of {whole}",
        ),
        rate(
            "region_recall",
            "Region recall",
            "found",
            ("true",),
            undefined="nothing is true",
            line="region recall",
            note="({part} of {whole} true regions)",
            column="found",
            cell="{part} of {whole}",
        ),
        *(
            _truth_count(key, key)
            for key in ("tp", "fp", "fn", "predicted", "correct", "true", "found")
        ),
        Metric(
            key="images",
            label="Images",
            measure=lambda _: Count(1),
            kind="count",
            digits=0,
            total_only=True,
        ),
    )


def titles() -> Mapping[str, str]:
    """Return what the metrics are called in reports, by their base."""
    return {metric.base: metric.title for metric in (*CHANGE, *against_truth())}


def from_older(scores: Mapping[str, Any]) -> dict[str, Any]:
    """Return scores by today's keys: version 0.1.0 had ``components_*`` for ``regions_*``."""
    return {
        f"regions_{key.removeprefix(_OLDER)}" if key.startswith(_OLDER) else key: value
        for key, value in scores.items()
    }
