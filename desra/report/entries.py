"""What the page says of one image, and of all together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from desra.io import manifest
from desra.io.drawing import map_in_colour
from desra.io.images import image_size
from desra.io.results import read_pairs, read_result, whole_map, whole_mask
from desra.metrics import rows as metric_rows
from desra.metrics.mask_scores import count_change
from desra.report.pictures import Pictures, view_size
from desra.report.regions import outline, regions
from desra.report.tables import interval, label, rounded, values
from desra.utils.errors import InputError

Entry = dict[str, Any]


@dataclass(frozen=True)
class ReportInput:
    """The folders of a report, and the scores of their images.

    Attributes:
        before, after: the folders; ``after`` is None without a finetuned network.
        rows, rows_after: their manifests by stem; ``rows_after`` has the same stems, or none.
        scores: ``images`` of scores.json by stem.
    """

    before: Path
    after: Path | None
    rows: Mapping[str, manifest.Row]
    rows_after: Mapping[str, manifest.Row]
    scores: Mapping[str, Any] = field(default_factory=dict)

    @property
    def worst_first(self) -> list[manifest.Row]:
        """The rows before, those with the largest masked share first."""
        return sorted(self.rows.values(), key=lambda row: (-row.mask_share, row.stem))


def read_results(before: str, after: str | None, scores: Mapping[str, Any]) -> ReportInput:
    """Read the manifests of the folders.

    Args:
        before, after: the folders; ``after`` is None without a finetuned network.
        scores: ``images`` of scores.json by stem; may be empty.

    Raises:
        InputError: a folder without results, or they or the scores are of other images.
    """
    pairs = read_pairs(before, after) if after else []
    rows = manifest.read_results(before, "before")
    rows_after = {row.stem: row for _, row in pairs}
    if scores and not rows.keys() & scores.keys():
        raise InputError(
            f"scores: they are of none of the images in {before}; "
            "give the scores.json that evaluate wrote for these folders"
        )
    return ReportInput(Path(before), Path(after) if after else None, rows, rows_after, scores)


def _state(row: manifest.Row) -> dict[str, Any]:
    return {
        "regions": row.regions,
        "share": row.mask_share,
        "pixels": row.mask_pixels,
        "mean_D": row.mean_D,
    }


def entry(results: ReportInput, row: manifest.Row, index: int, pictures: Pictures) -> Entry:
    """Return what the page shows of an image; its pictures are encoded on the way.

    Args:
        results: all results.
        row: that of the image before.
        index: its place in the report, which names its pictures.
        pictures: where they go.

    Raises:
        InputError: a file is missing, damaged, or of another size than the manifest says.
    """
    size, stem = row.sr_size, row.stem
    shown = view_size(size, pictures.max_side)
    mask = whole_mask(results.before, row)
    scores = values(results.scores.get(stem) or {})
    content: Entry = {
        "name": stem,
        "size": size,
        "shown": shown,
        "before": _state(row),
        "outline": outline(mask),
        "pictures": {
            "gan": pictures.add(index, "gan", read_result(results.before, "sr_gan", row)),
            "mse": pictures.add(index, "mse", read_result(results.before, "sr_mse", row)),
            "map": pictures.add(index, "map", map_in_colour(whole_map(results.before, row))),
        },
        "notes": [*row.notes, *_changed(results.before, "mask", row, mask)],
        "psnr_outside": scores.get("psnr_outside"),
        "scores": [[label(key), rounded(value)] for key, value in scores.items()],
    }
    if results.after is None:
        return {**content, "regions": regions(mask, None, ("", ""))}
    row_after = results.rows_after[stem]
    mask_after = whole_mask(results.after, row_after)
    change = count_change(mask, mask_after)
    content["pictures"] |= {
        "after": pictures.add(index, "after", read_result(results.after, "sr_gan", row_after)),
        "map_after": pictures.add(
            index, "map_after", map_in_colour(whole_map(results.after, row_after))
        ),
    }
    added = regions(mask_after, mask, ("added", ""))
    return {
        **content,
        "notes": [
            *content["notes"],
            *_changed(results.after, "mask of the finetuned network", row_after, mask_after),
        ],
        "after": _state(row_after),
        "removed": change.removed,
        "added": change.added,
        "outline_after": outline(mask_after),
        "regions": [
            *regions(mask, mask_after, ("removed", "left")),
            *(region for region in added if region["state"]),
        ],
    }


def _changed(folder: Path, name: str, row: manifest.Row, mask: NDArray[np.bool_]) -> list[str]:
    """Return the note on a mask that is no longer what detect wrote; none where it is.

    Args:
        folder, row: the results and the image.
        name: what the note calls the mask.
        mask: as it was read, bool (H, W).
    """
    pixels = int(np.count_nonzero(mask))
    is_cropped = image_size(manifest.result(folder, "mask", row.stem)) != row.sr_size
    if is_cropped or pixels == row.mask_pixels:
        return []
    return [
        f"{name}: changed since detect wrote it, {pixels} pixels of {row.mask_pixels} then; the "
        "numbers are those of then"
    ]


def summary(
    entries: Sequence[Entry], scores: Mapping[str, float | None], intervals: Mapping[str, Any]
) -> list[dict[str, str]]:
    """Return the numbers at the head of the page: label, value, and a note.

    Args:
        entries: of all images.
        scores, intervals: ``total`` and ``intervals`` of scores.json; may be empty.
    """
    compared = "after" in entries[0]
    whens = ("before", "after") if compared else ("before",)
    pixels = sum(e["size"][0] * e["size"][1] for e in entries)

    def sums(key: str) -> list[int]:
        return [sum(e[when][key] for e in entries) for when in whens]

    images = [sum(e[when]["regions"] > 0 for e in entries) for when in whens]
    regions, masked = sums("regions"), sums("pixels")
    tiles = [
        _tile("Images with artifacts", images, f"of {len(entries)} images"),
        _tile("Artifact regions", regions, "" if compared else "in all images"),
        _tile("Masked area", [f"{100 * n / pixels:.2f}" for n in masked], "of all pixels", " %"),
    ]
    if not compared:
        return tiles
    removed, added = (sum(e[key] for e in entries) for key in ("removed", "added"))
    share = f"{100 * removed / regions[0]:.0f} %" if regions[0] else "-"
    tiles[1]["note"] = f"{removed} removed, {added} new"
    between = _percent(intervals.get("removal_rate"))
    tiles.append(_tile("Regions removed", [share], between or "of those before"))
    return tiles + _score_tiles(scores)


def _score_tiles(scores: Mapping[str, float | None]) -> list[dict[str, str]]:
    """Return the tiles of the metrics that have one, each with what stands beside it."""
    shown = [
        (m, m.tile, value)
        for m in metric_rows.CHANGE
        if m.tile and (value := scores.get(m.key)) is not None
    ]
    tiles: list[dict[str, str]] = []
    for metric, tile, value in shown:
        if tile.heading:
            notes = [tile.note] + [
                other.note.format(percent=f"{100 * share:.0f} %")
                for _, other, share in shown
                if other.beside == metric.key
            ]
            text = "; ".join(note for note in notes if note)
            unit = f" {metric.unit}" if metric.unit else ""
            tiles.append(_tile(tile.heading, [f"{value:.{tile.digits}f}"], text, unit))
    return tiles


def _tile(name: str, numbers: Sequence[object], note: str, unit: str = "") -> dict[str, str]:
    return {"label": name, "value": " → ".join(map(str, numbers)) + unit, "note": note}


def _percent(bounds: object) -> str:
    """Return an interval of a rate in percent; empty if there is none."""
    if not interval(bounds):
        return ""
    low, high = bounds  # pyright: ignore  # a pair of numbers, or it had no text
    return f"95 % interval {100 * low:.0f} to {100 * high:.0f} %"
