"""Counting what other thresholds and areas would find."""

import csv
import io
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from desra.artifacts import find_regions, full_size_mask
from desra.data.embedded import provide_folder
from desra.detectors import Images, Map
from desra.finder import ArtifactFinder, warn_if_other
from desra.io import manifest
from desra.io.annotations import find_human_masks
from desra.io.files import atomic_write
from desra.io.images import read_rgb8
from desra.io.ledger import Kind, Ledger, inputs_of, refuse_inputs_in
from desra.io.listing import list_images
from desra.io.lock import held_folder
from desra.io.rle import RLE
from desra.metrics.mask_scores import MaskCounts, covered, mean_iou
from desra.options.sections import FinderSections
from desra.options.sweep import SweepOptions
from desra.registry import import_modules
from desra.utils.errors import InputError
from desra.utils.text_table import text_table

logger = logging.getLogger("desra")

FILE = "sweep.csv"


def _is_earlier(folder: Path) -> bool:
    """Return whether a folder without a ledger holds the table of an earlier version."""
    heads = (  # 0.1.0 called regions components
        ",".join(f.name for f in fields(SweepRow)),
        ",".join(f.name.replace("region", "component") for f in fields(SweepRow)),
    )
    try:
        with (folder / FILE).open("rb") as file:
            return file.readline().strip().decode("utf-8", "replace") in heads
    except OSError:
        return False


KIND = Kind("sweep", re.compile(re.escape(FILE)), _is_earlier)

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class RuleCounts:
    """What one rule finds in one image: kept regions and pixels, and their scores."""

    regions: int
    pixels: int
    scores: MaskCounts | None


@dataclass(frozen=True)
class SweepRow:
    """A row of the table: one rule over all images. See the head of this module."""

    threshold: float
    min_area: int
    images: int
    images_found: int
    regions: int
    masked_pixels: int
    masked_share: float
    scored: int
    iou: float | None
    pixel_f1: float | None
    region_precision: float | None
    region_recall: float | None
    predicted: int
    correct: int
    true: int
    found: int


@dataclass
class _Tally:
    """What one rule found so far."""

    images: int = 0
    images_found: int = 0
    regions: int = 0
    pixels: int = 0
    scores: list[MaskCounts] = field(default_factory=list)

    def add(self, counts: RuleCounts) -> None:
        self.images += 1
        self.images_found += counts.regions > 0
        self.regions += counts.regions
        self.pixels += counts.pixels
        if counts.scores is not None:
            self.scores.append(counts.scores)

    def row(self, threshold: float, min_area: int, all_pixels: int) -> SweepRow:
        total = sum(self.scores, start=MaskCounts())
        return SweepRow(
            threshold=threshold,
            min_area=min_area,
            images=self.images,
            images_found=self.images_found,
            regions=self.regions,
            masked_pixels=self.pixels,
            masked_share=self.pixels / all_pixels,
            scored=len(self.scores),
            iou=mean_iou(self.scores),
            pixel_f1=total.pixel_f1,
            region_precision=total.region_precision,
            region_recall=total.region_recall,
            predicted=total.predicted,
            correct=total.correct,
            true=total.true,
            found=total.found,
        )


def count_areas(
    mask: Mask, min_areas: Sequence[int], truth: Mask | None = None
) -> list[RuleCounts]:
    """Count what is left of a mask at each ``min_area``, from one labelling.

    The same as `desra.artifacts.artifact_mask` with that area, then `regions` and `count_mask`:
    an area decides about whole regions, so their overlaps with the truth are counted once.

    Args:
        mask: bool ``(H, W)``, regions of any area.
        min_areas: a region is kept when it has more pixels than this.
        truth: bool ``(H, W)``, to score against.

    Returns:
        One for each of ``min_areas``.
    """
    regions = find_regions(mask)
    areas = regions.areas
    if truth is not None:
        targets = find_regions(truth)
        # The pairs (region, true region) that share pixels, and how many.
        both = mask & truth
        codes = regions.labels[both].astype(np.int64) * len(targets.areas) + targets.labels[both]
        pairs, shared = np.unique(codes, return_counts=True)
        region_of, target_of = np.divmod(pairs, len(targets.areas))
        inside = np.bincount(region_of, shared, len(areas))
        true_pixels = int(targets.areas[1:].sum())

    def counts_at(min_area: int) -> RuleCounts:
        keep = areas > min_area
        keep[0] = False
        count, pixels = int(keep.sum()), int(areas[keep].sum())
        if truth is None:
            return RuleCounts(count, pixels, None)
        tp = int(inside[keep].sum())
        kept = keep[region_of]
        hit = np.bincount(target_of[kept], shared[kept], len(targets.areas))
        scores = MaskCounts(
            tp=tp,
            fp=pixels - tp,
            fn=true_pixels - tp,
            predicted=count,
            correct=int(covered(inside[keep], areas[keep]).sum()),
            true=targets.count,
            found=int(covered(hit[1:], targets.areas[1:]).sum()),
        )
        return RuleCounts(count, pixels, scores)

    return [counts_at(min_area) for min_area in min_areas]


def _sections_of(opt: SweepOptions) -> FinderSections:
    """Return the options of map and mask: the sweep's own, else those of the folder.

    Raises:
        InputError: the folder's options cannot be read, or are not detect's.
    """
    sections = manifest.read_options(opt.input) or FinderSections()
    own = {key: getattr(opt, key) for key in ("window", "detector") if getattr(opt, key)}
    morphology = {
        key: getattr(opt, key)
        for key in ("kernel", "erode", "dilate")
        if getattr(opt, key) is not None
    }
    try:
        mask = replace(sections.mask, **morphology)
    except ValueError as error:
        raise InputError(str(error)) from error
    return sections.model_copy(update={**own, "mask": mask})


class _Maps:
    """The maps of a folder that detect wrote.

    Args:
        opt: the options.
        sections: detector and window.
        rows: of the folder.

    Raises:
        InputError: no such detector, or an input that it needs is missing.
    """

    def __init__(
        self, opt: SweepOptions, sections: FinderSections, rows: Mapping[str, manifest.Row]
    ):
        self._folder = Path(opt.input)
        self._lq = {
            stem: Path(row.lq)
            for stem, row in rows.items()
            if row.lq is not None and Path(row.lq).is_file()
        }
        self._gt: dict[str, Path] = {}
        if opt.gt is not None:
            self._gt = {file.stem: file.path for file in list_images(provide_folder(opt.gt, "gt"))}
        kinds = (("lq", self._lq), ("gt", self._gt))
        given = {"mse", *(kind for kind, files in kinds if rows.keys() <= files.keys())}
        self._finder = ArtifactFinder(
            None, sections.detector.type, window=sections.window, given=given, device=opt.device
        )
        gone = [row.lq for stem, row in rows.items() if row.lq is not None and stem not in self._lq]
        if gone and self._finder.detector.wants("lq"):
            logger.warning(
                "%d of %d LR images that detect had are gone, such as %s; %s looks at these "
                "without, and finds something else than detect did (%s)",
                len(gone),
                len(rows),
                gone[0],
                sections.detector.type,
                manifest.places_of_lq(opt.input),
            )

    def __call__(self, row: manifest.Row) -> Map:
        """Make the map of one image.

        Raises:
            InputError: a picture cannot be read, or has another size than the manifest says.
        """

        def read(kind: str, path: Path | None, size: tuple[int, int]) -> Image | None:
            if path is None or not self._finder.detector.wants(kind):
                return None
            return read_rgb8(path, size)

        images = Images(
            read_rgb8(manifest.result(self._folder, "sr_gan", row.stem), row.sr_size),
            mse=read("mse", manifest.result(self._folder, "sr_mse", row.stem), row.sr_size),
            lq=read("lq", self._lq.get(row.stem), row.size_of_lq),
            gt=read("gt", self._gt.get(row.stem), row.sr_size),
            scale=row.scale,  # all rows of a folder have one
            stem=row.stem,
        )
        return self._finder.look(images).map


def sweep(opt: SweepOptions) -> list[SweepRow]:
    """Count what other thresholds and areas would find.

    Args:
        opt: the options.

    Returns:
        A row for each threshold and area, in the order of the options.

    Raises:
        InputError: no results of detect, an input that the detector needs is missing, true masks
            that cannot be read or fit no image, or ``sweep.csv`` is there and was written by others
            or changed since.
    """
    import_modules(opt.imports)
    path, ledger = Path(opt.output) / FILE, Ledger(opt.output, KIND)
    refuse_inputs_in([path], inputs_of(opt, ("output",)), "output")
    ledger.refuse_foreign([path])
    rows = manifest.read_results(opt.input, "input")
    sections = _sections_of(opt)
    map_of = _Maps(opt, sections, rows)
    warn_if_other(opt, opt.input)
    truth: dict[str, RLE] = {}
    if opt.truth is not None:
        sizes = {stem: row.sr_size for stem, row in rows.items()}
        truth = find_human_masks(opt.truth, sizes, "truth")
        logger.info("true masks for %d of %d images", len(truth), len(rows))

    tallies = {(t, a): _Tally() for t in opt.thresholds for a in opt.min_areas}
    for stem, row in tqdm(rows.items(), desc="sweep", unit="image"):
        D = map_of(row)
        true_mask = truth[stem].mask() if stem in truth else None
        for threshold in opt.thresholds:
            rule = replace(sections.mask, threshold=threshold, min_area=0, min_area_unit="px")
            mask = full_size_mask(D, row.sr_size, rule)
            for area, counts in zip(
                opt.min_areas, count_areas(mask, opt.min_areas, true_mask), strict=True
            ):
                tallies[threshold, area].add(counts)
    all_pixels = sum(row.sr_size[0] * row.sr_size[1] for row in rows.values())
    table = [tally.row(t, a, all_pixels) for (t, a), tally in tallies.items()]

    with (
        held_folder(opt.output, KIND, "output", part=KIND.name) as ledger,
        ledger,
        atomic_write(path) as file,
    ):
        file.write(_csv(table).encode())
    _log_table(table)
    logger.info("written: %s", path)
    return table


def _csv(table: Sequence[SweepRow]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, [f.name for f in fields(SweepRow)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in table)
    return text.getvalue()


def _log_table(table: Sequence[SweepRow]) -> None:
    scores = ("iou", "pixel_f1", "region_precision", "region_recall") if table[0].scored else ()
    lines = [["threshold", "min_area", "masked", "images", "regions", *scores]]
    for r in table:
        values: list[float | None] = [getattr(r, name) for name in scores]
        lines.append(
            [
                f"{r.threshold:.3g}",
                str(r.min_area),
                f"{100 * r.masked_share:.2f}%",
                str(r.images_found),
                str(r.regions),
                *("-" if value is None else f"{value:.3f}" for value in values),
            ]
        )
    logger.info("%s", text_table(lines))
