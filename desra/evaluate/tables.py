"""The scores in words: a line for each image, and the totals, counts and intervals beside them."""

from collections.abc import Mapping, Sequence
from typing import Any

from desra.evaluate.change import Scores
from desra.metrics.quality import Mean
from desra.utils.text_table import text_table

Json = Mapping[str, Any]

LEGEND = "[low, high]: 95 % bootstrap interval over images"


def number(value: float | None, digits: int = 2) -> str:
    """Rounded; a dash for None."""
    return "-" if value is None else f"{value:.{digits}f}"


def change_table(scores: Mapping[str, Scores]) -> str:
    """Before against after, one line for each image."""
    heads = (
        "regions",
        "removed",
        "added",
        "masked px",
        "PSNR out",
        "SSIM out",
        "detail",
        "NIQE",
        "PSNR to gt in",
        "image (-> : before -> after; out, in: outside and inside the mask)",
    )
    rows: list[Sequence[str]] = [heads]
    for stem, s in scores.items():
        c = s.change
        inside = (number(e.psnr) for e in (s.inside_before, s.inside_after))
        rows.append(
            (
                f"{c.before} -> {c.after}",
                str(c.removed),
                str(c.added),
                f"{c.pixels_before} -> {c.pixels_after}",
                number(s.outside.psnr),
                number(s.ssim_outside.value, 3),
                number(s.detail.kept, 3),
                f"{number(s.niqe_before.value)} -> {number(s.niqe_after.value)}",
                " -> ".join(inside),
                stem,
            )
        )
    return text_table(rows, left={len(heads) - 1})


def change_summary(total: Scores, intervals: Json) -> str:
    """Before against after, all images together, as ``name: value`` lines."""
    c = total.change

    def one(value: float | None, key: str, digits: int = 2) -> str:
        return f"{number(value, digits)}{_interval(intervals[key], digits)}"

    def change(
        before: float | None, after: float | None, key: str, unit: str = "", digits: int = 2
    ) -> str:
        ends = (one(before, f"{key}_before", digits), one(after, f"{key}_after", digits))
        return f"{ends[0]} -> {ends[1]}{unit}"

    def over(mean: Mean) -> str:
        return f"(mean over {mean.count} images)"

    lines = {
        "images with a mask": f"{one(total.found_before / total.images, 'share_with_mask_before')} "
        f"({total.found_before} of {total.images}) -> {total.found_after} of {total.images}",
        "removal rate": f"{one(c.removal_rate, 'removal_rate')} "
        f"({c.removed} of {c.before} regions)",
        "addition rate": f"{one(c.addition_rate, 'addition_rate')} "
        f"({c.added} new, {c.before} before)",
        "removal rate, pixels": f"{one(c.pixel_removal_rate, 'pixel_removal_rate')} "
        f"({c.pixels_removed} of {c.pixels_before})",
        "addition rate, pixels": f"{one(c.pixel_addition_rate, 'pixel_addition_rate')} "
        f"({c.pixels_added} new, {c.pixels_before} before)",
        "PSNR to before, outside": f"{one(total.outside.psnr, 'psnr_outside')} dB over all pixels, "
        f"{one(total.psnr_outside_mean.value, 'psnr_outside_mean')} dB "
        f"{over(total.psnr_outside_mean)}",
        "SSIM to before, outside": f"{one(total.ssim_outside.value, 'ssim_outside', 4)} "
        f"{over(total.ssim_outside)}",
        "detail kept, outside": f"{one(total.detail.kept, 'detail_kept', 3)} over all pixels",
        "NIQE (lower is better)": change(total.niqe_before.value, total.niqe_after.value, "niqe")
        + ", "
        f"sr_mse {one(total.niqe_mse.value, 'niqe_mse')} {over(total.niqe_after)}",
        "consistency with LR": change(
            total.consistency_before.value, total.consistency_after.value, "consistency", " dB"
        )
        + f" {over(total.consistency_after)}",
        "PSNR to truth, inside": change(
            total.inside_before.psnr, total.inside_after.psnr, "psnr_gt_inside", " dB"
        )
        + " over all pixels",
        "PSNR to truth, whole": change(
            total.psnr_gt_before.value, total.psnr_gt_after.value, "psnr_gt", " dB"
        )
        + f" {over(total.psnr_gt_after)}",
    }
    if not total.psnr_gt_before.count and not total.inside_before.count:
        lines = {name: value for name, value in lines.items() if "truth" not in name}
    for key, before in total.metrics.items():
        if (name := key.removesuffix("_before")) != key:
            after = total.metrics[f"{name}_after"]
            lines[name] = f"{change(before.value, after.value, name, digits=3)} {over(after)}"
    return "\n".join(f"{name}: {value}" for name, value in lines.items())


def masks_table(masks: Json) -> str:
    """Masks against the truth, one line for each image."""
    heads = (
        "IoU",
        "precision",
        "recall",
        "F1",
        "AP",
        "correct",
        "found",
        "image (of pixels; correct of predicted, found of true regions)",
    )
    rows: list[Sequence[str]] = [heads]
    keys = ("iou", "pixel_precision", "pixel_recall", "pixel_f1", "average_precision")
    for stem, s in masks["images"].items():
        regions = (f"{s['correct']} of {s['predicted']}", f"{s['found']} of {s['true']}")
        rows.append((*(number(s[key], 3) for key in keys), *regions, stem))
    return text_table(rows, left={len(heads) - 1})


def masks_summary(masks: Json) -> str:
    """Masks against the truth, all images together, as ``name: value`` lines."""
    t = masks["total"]
    beside = {
        "iou": f"mean over {sum(s['iou'] is not None for s in masks['images'].values())} of "
        f"{t['images']} images",
        "pixel_precision": f"{t['tp']} of {t['tp'] + t['fp']} masked pixels",
        "pixel_recall": f"{t['tp']} of {t['tp'] + t['fn']} true pixels",
        "pixel_f1": "all pixels together",
        "average_precision": "of the map, all pixels together",
        "region_precision": f"{t['correct']} of {t['predicted']} regions",
        "region_recall": f"{t['found']} of {t['true']} true regions",
    }
    if masks["pr_curve"] is None:
        del beside["average_precision"]
    names = {"iou": "IoU", "pixel_f1": "pixel F1"}
    return "\n".join(
        f"{names.get(key, key.replace('_', ' '))}: {number(t[key], 3)}"
        f"{_interval(masks['intervals'][key], 3)} ({what})"
        for key, what in beside.items()
    )


def _interval(ends: Sequence[float] | None, digits: int) -> str:
    return f" [{', '.join(number(end, digits) for end in ends)}]" if ends else ""
