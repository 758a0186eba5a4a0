"""Stage 3: compare. ``python -m desra.evaluate -opt options/evaluate.yml``

What a finetuning removed, and what it kept.

Compares two folders that detect wrote from the same inputs, with the network before and after.
The detector is not the only judge: beside the components that went and came stand the change
outside the masks (of before), NIQE, consistency with the LR image and, where it exists, the truth.

Writes ``<output>/scores.json``: ``images`` by stem, ``total``, and the two folders. A value that
is not defined is null, as is the PSNR of equal images (their ``mse_outside`` is 0). In ``total``
counts are added up first and divided once; ``psnr_outside``, ``detail_kept`` and
``psnr_gt_inside_*`` are pooled over all pixels; ``psnr_outside_mean``, SSIM, NIQE, consistency and
whole-image PSNR are means over images. An image has a part in the means of NIQE, consistency and
PSNR to the truth only where they are defined and finite both before and after, so that the two
are means over the same images.
"""

import json
import logging
import math
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from desra import cli, drawing, manifest
from desra.artifacts import ChangeCounts, Sums, border_between, components, count_change
from desra.data.pictures import resolve_folder
from desra.errors import InputError, listed
from desra.images import atomic_write, list_images, read_mask, read_rgb8, write_image
from desra.options import EvaluateOptions
from desra.quality import (
    Detail,
    Mean,
    SquaredError,
    consistency,
    detail,
    niqe,
    psnr,
    squared_error,
    ssim,
)
from desra.registry import import_modules

logger = logging.getLogger("desra")

Image = NDArray[np.uint8]

_COLUMNS = ("LR", "sr_mse", "sr_gan", "D (dark = artifact)", "mask", "after", "mask after")
_CROP = 256  # SR pixels on a side: a cell of the sheet shows them almost one to one


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
        change: components and pixels removed and added.
        outside: sr_gan after against before, outside the mask before.
        psnr_outside_mean: the PSNR of that as a mean over images.
        ssim_outside, detail: likewise outside.
        niqe_mse, niqe_before, niqe_after: of sr_mse and of sr_gan.
        consistency_before, consistency_after: PSNR of the downscaled sr_gan to the LR image.
        inside_before, inside_after: sr_gan against the truth, inside the mask before.
        psnr_gt_before, psnr_gt_after: PSNR of the whole sr_gan to the truth.
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


def find_pairs(opt: EvaluateOptions) -> list[Pair]:
    """The images of the two folders, side by side, in the order of ``before``.

    Raises:
        InputError: a folder without results, an image that only one of them has, or in another
            size, or that has no truth in ``gt``.
    """
    before = manifest.read_results(opt.before, "before")
    after = manifest.read_results(opt.after, "after")
    alone = [
        f"{len(stems)} only in {name}: {listed(sorted(stems))}"
        for name, stems in (("before", before.keys() - after), ("after", after.keys() - before))
        if stems
    ]
    if alone:
        raise InputError(
            f"before ({opt.before}) and after ({opt.after}) do not hold the same images "
            f"({'; '.join(alone)}); run desra.detect on the same inputs for both"
        )
    resized = [s for s in sorted(before) if before[s].sr_size != after[s].sr_size]
    if resized:
        raise InputError(
            f"before ({opt.before}) and after ({opt.after}) differ in the size of "
            f"{listed(resized)}; run desra.detect on the same inputs, at one scale, for both"
        )
    truth: dict[str, Path] = {}
    if opt.gt is not None:
        truth = {file.stem: file.path for file in list_images(resolve_folder(opt.gt, "gt"))}
        if missing := sorted(before.keys() - truth):
            raise InputError(
                f"gt: {opt.gt} lacks {len(missing)} of {len(before)} images: {listed(missing)}; "
                "give it the same file names as the inputs, or leave gt out"
            )
    if all(before[s].settings == after[s].settings for s in before):
        logger.warning("before and after were made from the same inputs by the same networks")
    pairs = []
    for stem, row in before.items():
        name = row.lq or after[stem].lq
        lq = Path(name) if name is not None and Path(name).is_file() else None
        pairs.append(Pair(row, after[stem], lq, truth.get(stem)))
    if lost := [p.stem for p in pairs if (p.before.lq or p.after.lq) and not p.lq]:
        logger.warning("LR images that are no longer there, left out: %s", listed(sorted(lost)))
    return pairs


class _Results:
    """The pictures of one pair, read when asked for."""

    def __init__(self, opt: EvaluateOptions, pair: Pair) -> None:
        self._folders = {"before": Path(opt.before), "after": Path(opt.after)}
        self._pair = pair

    def _file(self, when: str, kind: str) -> Path:
        return manifest.result(self._folders[when], kind, self._pair.stem)

    def image(self, when: str, kind: str) -> Image:
        """sr_gan or sr_mse, uint8 (H, W, 3)."""
        return read_rgb8(self._file(when, kind), self._pair.before.sr_size)

    def mask(self, when: str) -> NDArray[np.bool_]:
        """bool (H, W)."""
        return read_mask(self._file(when, "mask"), self._pair.before.sr_size)

    def map(self) -> NDArray[np.float64]:
        """D before in the size of the image (H, W): its border repeated outwards."""
        row = self._pair.before
        if row.mean_D is None:  # smaller than the window
            return np.ones(row.sr_size)
        D = read_rgb8(self._file("before", "map"))[..., 0] / 255
        return np.pad(D, border_between(D.shape, row.sr_size), mode="edge")

    def lq(self) -> Image | None:
        """uint8 (h, w, 3), if there is one."""
        pair = self._pair
        return read_rgb8(pair.lq, pair.before.size_of_lq) if pair.lq else None

    def gt(self) -> Image | None:
        """uint8 (H, W, 3), if there is one."""
        pair = self._pair
        return read_rgb8(pair.gt, pair.before.sr_size) if pair.gt else None


def _both(before: float | None, after: float | None) -> tuple[Mean, Mean]:
    """The two values, or neither."""
    means = Mean.of(before), Mean.of(after)
    return means if all(mean.count for mean in means) else (Mean(), Mean())


def score(results: _Results) -> Scores:
    """Measure one image.

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
    )


def to_json(scores: Scores) -> dict[str, Any]:
    """The scores of one image, or of several together: numbers, and None for null."""
    change, outside = scores.change, scores.outside

    def finite(value: float | None) -> float | None:
        return value if value is not None and math.isfinite(value) else None

    counts = asdict(change)
    return {
        **{k if k.startswith("pixels") else f"components_{k}": v for k, v in counts.items()},
        "removal_rate": change.removal_rate,
        "addition_rate": change.addition_rate,
        "pixel_removal_rate": change.pixel_removal_rate,
        "pixel_addition_rate": change.pixel_addition_rate,
        "mse_outside": outside.value,
        "psnr_outside": finite(outside.psnr),
        "ssim_outside": scores.ssim_outside.value,
        "detail_kept": scores.detail.kept,
        "niqe_mse": scores.niqe_mse.value,
        "niqe_before": scores.niqe_before.value,
        "niqe_after": scores.niqe_after.value,
        "consistency_before": scores.consistency_before.value,
        "consistency_after": scores.consistency_after.value,
        "psnr_gt_inside_before": finite(scores.inside_before.psnr),
        "psnr_gt_inside_after": finite(scores.inside_after.psnr),
        "psnr_gt_before": scores.psnr_gt_before.value,
        "psnr_gt_after": scores.psnr_gt_after.value,
    }


def total_to_json(total: Scores) -> dict[str, Any]:
    """`to_json`, and what has a meaning for several images only."""
    return {
        "images": total.images,
        "images_with_mask_before": total.found_before,
        "images_with_mask_after": total.found_after,
        "share_with_mask_before": total.found_before / total.images,
        "psnr_outside_mean": total.psnr_outside_mean.value,
        **to_json(total),
    }


# ------------------------------------------------------------------------------ the printed table


def _number(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def table(scores: dict[str, Scores]) -> str:
    """One line for each image."""
    heads = ("components", "removed", "added", "masked px", "PSNR out", "SSIM out", "detail",
             "NIQE", "PSNR to gt in")  # fmt: skip
    widths = (10, 7, 5, 14, 8, 8, 6, 12, 14)

    def line(cells: Iterable[str], name: str) -> str:
        return "  ".join(f"{c:>{w}}" for c, w in zip(cells, widths, strict=True)) + f"  {name}"

    lines = [line(heads, "image (-> : before -> after; out, in: outside and inside the mask)")]
    for stem, s in scores.items():
        c = s.change
        inside = (_number(e.psnr) for e in (s.inside_before, s.inside_after))
        cells = (
            f"{c.before} -> {c.after}",
            str(c.removed),
            str(c.added),
            f"{c.pixels_before} -> {c.pixels_after}",
            _number(s.outside.psnr),
            _number(s.ssim_outside.value, 3),
            _number(s.detail.kept, 3),
            f"{_number(s.niqe_before.value)} -> {_number(s.niqe_after.value)}",
            " -> ".join(inside),
        )
        lines.append(line(cells, stem))
    return "\n".join(lines)


def summary(total: Scores) -> str:
    """The total as ``name: value`` lines, counts beside the rates."""
    c = total.change

    def change(before: float | None, after: float | None, unit: str = "") -> str:
        return f"{_number(before)} -> {_number(after)}{unit}"

    def over(mean: Mean) -> str:
        return f"(mean over {mean.count} images)"

    lines = {
        "images with a mask":
            f"{_number(total.found_before / total.images)} ({total.found_before} of "
            f"{total.images}) -> {total.found_after} of {total.images}",
        "removal rate": f"{_number(c.removal_rate)} ({c.removed} of {c.before} components)",
        "addition rate": f"{_number(c.addition_rate)} ({c.added} new, {c.before} before)",
        "removal rate, pixels":
            f"{_number(c.pixel_removal_rate)} ({c.pixels_removed} of {c.pixels_before})",
        "addition rate, pixels":
            f"{_number(c.pixel_addition_rate)} ({c.pixels_added} new, {c.pixels_before} before)",
        "PSNR to before, outside":
            f"{_number(total.outside.psnr)} dB over all pixels, "
            f"{_number(total.psnr_outside_mean.value)} dB {over(total.psnr_outside_mean)}",
        "SSIM to before, outside":
            f"{_number(total.ssim_outside.value, 4)} {over(total.ssim_outside)}",
        "detail kept, outside": f"{_number(total.detail.kept, 3)} over all pixels",
        "NIQE (lower is better)":
            f"{change(total.niqe_before.value, total.niqe_after.value)}, "
            f"sr_mse {_number(total.niqe_mse.value)} {over(total.niqe_after)}",
        "consistency with LR":
            f"{change(total.consistency_before.value, total.consistency_after.value, ' dB')} "
            f"{over(total.consistency_after)}",
        "PSNR to truth, inside":
            f"{change(total.inside_before.psnr, total.inside_after.psnr, ' dB')} over all pixels",
        "PSNR to truth, whole":
            f"{change(total.psnr_gt_before.value, total.psnr_gt_after.value, ' dB')} "
            f"{over(total.psnr_gt_after)}",
    }  # fmt: skip
    if not total.psnr_gt_before.count and not total.inside_before.count:
        lines = {name: value for name, value in lines.items() if "truth" not in name}
    return "\n".join(f"{name}: {value}" for name, value in lines.items())


# -------------------------------------------------------------------------------- the contact sheet


def _crop(mask: NDArray[np.bool_], step: int) -> tuple[slice, slice]:
    """A square around the thickest spot of the largest component, cut on whole LR pixels."""
    found = components(mask)
    largest = found.labels == (np.argmax(found.areas[1:]) + 1 if found.count else 0)
    row, column = drawing.thickest_spot(largest)

    def span(centre: int, length: int) -> slice:
        side = min(_CROP // step * step, length)
        start = min(max(centre - side // 2, 0), length - side) // step * step
        return slice(start, start + side)

    return span(row, mask.shape[0]), span(column, mask.shape[1])


def _sheet_row(results: _Results, pair: Pair, scores: Scores) -> tuple[str, list[Image]]:
    mask, mask_after = results.mask("before"), results.mask("after")
    scale = pair.before.scale
    view = _crop(mask if mask.any() else mask_after, scale)
    lq = results.lq()
    if lq is None:
        small = np.full((1, 1, 3), 235, np.uint8)  # no LR image: a grey cell
    else:
        small = lq[tuple(slice(s.start // scale, s.stop // scale) for s in view)]
    gan, after = (results.image(when, "sr_gan")[view] for when in ("before", "after"))
    change = scores.change
    caption = (
        f"{pair.stem}: components {change.before} -> {change.after}, "
        f"masked {change.pixels_before} -> {change.pixels_after} px, "
        f"PSNR to before outside the mask {_number(scores.outside.psnr, 1)} dB"
    )
    return caption, [
        small,
        results.image("before", "sr_mse")[view],
        gan,
        drawing.map_in_colour(results.map()[view]),
        drawing.overlay(gan, mask[view]),
        after,
        drawing.overlay(after, mask_after[view]),
    ]


def sheet(opt: EvaluateOptions, pairs: list[Pair], scores: dict[str, Scores]) -> Image:
    """The images with most masked pixels before, each cut to its largest artifact."""

    def masked(pair: Pair) -> tuple[int, int]:
        change = scores[pair.stem].change
        return change.pixels_before, change.pixels_after

    worst = sorted(pairs, key=masked, reverse=True)[: opt.sheet_rows]
    rows = [_sheet_row(_Results(opt, pair), pair, scores[pair.stem]) for pair in worst]
    return drawing.contact_sheet(rows, _COLUMNS)


# --------------------------------------------------------------------------------------- the stage


def evaluate(opt: EvaluateOptions) -> dict[str, Any]:
    """Compare the results of a network before and after finetuning.

    Args:
        opt: the options.

    Returns:
        What ``scores.json`` holds.

    Raises:
        InputError: wrong options or input; said before anything is written.
    """
    import_modules(opt.imports)
    pairs = find_pairs(opt)
    scores: dict[str, Scores] = {}
    for pair in tqdm(pairs, desc="evaluate", unit="image"):
        scores[pair.stem] = score(_Results(opt, pair))
    first, *others = scores.values()
    total = sum(others, start=first)
    content = {
        "before": opt.before,
        "after": opt.after,
        "gt": opt.gt,
        "total": total_to_json(total),
        "images": {stem: to_json(s) for stem, s in scores.items()},
    }
    picture = sheet(opt, pairs, scores) if opt.sheet else None
    out = Path(opt.output) / "scores.json"
    with atomic_write(out) as file:
        file.write(json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False).encode())
    if picture is not None and opt.sheet:
        write_image(opt.sheet, picture)
    print(table(scores), summary(total), sep="\n\n")
    logger.info("written: %s%s", out, f", {opt.sheet}" if opt.sheet else "")
    return content


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    return cli.main("evaluate", EvaluateOptions, evaluate, argv)


if __name__ == "__main__":
    sys.exit(main())
