"""How well detectors find artifacts of known place, and what they mark where there are none.

Artifacts of eight kinds (desra.data.injection) are laid into images called clean: the truth,
sr_mse, and sr_gan. What sr_gan makes up by itself counts as clean there, so finding it counts
against a detector; the other two have no such doubt. Every detector gets the same suspects, their
MSE-SR partner and the LR image.

    python scripts/benchmark.py detectors                                  # what ships, one minute
    python scripts/benchmark.py detectors --detected results/detect --gt photographs

AP is that of all pixels under the map, marked from the lowest value up, of all pictures together;
F1 and the masked share are of the masks by the default rule, with the paper's least area as a share
of the picture (4000 pixels of a megapixel) for every detector but the default, which has its own.
Intervals are 95 % bootstrap intervals over pictures.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.suspects import BASES, Picture, detected, suspects
from benchmarks.timing import threads
from desra.artifacts import MaskRule
from desra.data.embedded import make
from desra.data.injection import KINDS
from desra.detectors import Images
from desra.finder import ArtifactFinder
from desra.io.files import write_json
from desra.io.images import enlarge
from desra.metrics.bootstrap import intervals
from desra.metrics.curve import CurveCounts, count_curve
from desra.metrics.mask_scores import MaskCounts, count_mask
from desra.networks.pair import SRPair
from desra.options.sections import DEFAULT_RULE, PAPERS_DETECTOR, DetectorOptions
from desra.utils.text_table import text_table

HELP = "how well detectors find injected artifacts"

Image = NDArray[np.uint8]

PAPER, DEFAULT = PAPERS_DETECTOR, DetectorOptions().type
DETECTORS = (PAPER, "absolute_local_variance", "local_ssim", "bicubic_reference", "evidence")
TEXTURES = {"brick": "brick", "foliage": "grass", "gravel": "gravel", "fur": "chelsea"}
LEVELS = 250  # of the maps: bounds what a picture's counts take


@dataclass(frozen=True, eq=False)
class Found:
    """What a detector made of one suspect: counts of its map, and of its mask."""

    curve: CurveCounts
    mask: MaskCounts


# ---------------------------------------------------------------------------------------- pictures


def embedded(pair: SRPair) -> list[Picture]:
    """The pictures that ship for judging, by a pair of networks."""
    return [_upscaled(pair, stem, lq, gt) for stem, (lq, gt) in make("heldout").items()]


def textures(pair: SRPair) -> list[Picture]:
    """Photographs of rich texture out of scikit-image, downscaled by averaging."""
    pictures: list[Picture] = []
    for name, source in TEXTURES.items():
        image = np.asarray(getattr(skimage.data, source)())
        gt = np.stack([image] * 3, axis=-1) if image.ndim == 2 else image
        height, width = (n // pair.scale * pair.scale for n in gt.shape[:2])
        gt = np.ascontiguousarray(gt[:height, :width])
        size = (width // pair.scale, height // pair.scale)
        lq = np.asarray(cv2.resize(gt, size, interpolation=cv2.INTER_AREA), np.uint8)
        pictures.append(_upscaled(pair, name, lq, gt))
    return pictures


def _upscaled(pair: SRPair, name: str, lq: Image, gt: Image) -> Picture:
    sr = pair(lq)
    return Picture(name, lq, gt, np.asarray(sr.mse, np.uint8), np.asarray(sr.gan, np.uint8))


# --------------------------------------------------------------------------------------- measuring


def rule_of(name: str) -> MaskRule:
    """Return the default mask rule of a detector."""
    if name == DEFAULT:
        return DEFAULT_RULE
    return MaskRule(threshold=0.7, min_area=4000, min_area_unit="px_per_megapixel")


def look(
    name: str, picture: Picture, suspect: Image, truth: NDArray[np.bool_], reference: Image
) -> Found:
    """Let a detector look at a suspect."""
    finder = ArtifactFinder(None, name, rule_of(name))
    artifacts = finder.look(Images(suspect, reference, picture.lq))
    curve = count_curve(artifacts.map, truth, LEVELS)
    return Found(curve, count_mask(artifacts.mask, truth))


# ----------------------------------------------------------------------------------------- counting

Key = tuple[str, str, str]  # detector, base (or reference), kind


class Counts:
    """What all detectors counted, picture by picture, so that pictures can be drawn anew."""

    def __init__(self, pictures: int):
        self._pictures = pictures
        self._curves: dict[Key, NDArray[np.int64]] = {}
        self._masks: dict[Key, MaskCounts] = {}

    def add(self, key: Key, number: int, found: Found) -> None:
        """Add what was found in picture ``number``."""
        if key not in self._curves:
            self._curves[key] = np.zeros((self._pictures, 2, LEVELS + 1), np.int64)
        place = np.rint(found.curve.values * LEVELS).astype(int)
        self._curves[key][number][:, place] += np.stack([found.curve.artifact, found.curve.clean])
        self._masks[key] = self._masks.get(key, MaskCounts()) + found.mask

    def f1(self, key: Key) -> float | None:
        """Pixel F1 of the masks of all pictures together."""
        return self._masks[key].pixel_f1

    def take_over(self, other: "Counts", base: str, name: str) -> None:
        """Take what another counted in one base, as ``name``."""
        for detector, of_base, kind in other._curves:
            if of_base == base:
                mine, its = (detector, name, kind), (detector, of_base, kind)
                self._curves[mine], self._masks[mine] = other._curves[its], other._masks[its]

    def precision(
        self, scores: Callable[[Mapping[Key, float]], dict[str, float | None]], resamples: int
    ) -> tuple[dict[Key, float], dict[str, list[float] | None]]:
        """AP by key; and the intervals of what ``scores`` makes of these."""
        keys = list(self._curves)
        rows = np.stack([c.reshape(self._pictures, -1) for c in self._curves.values()], axis=1)
        values = np.arange(LEVELS + 1) / LEVELS

        def average_precision(total: NDArray[Any]) -> dict[Key, float]:
            of_keys = total.reshape(len(keys), 2, LEVELS + 1)
            aps: dict[Key, float] = {}
            for key, (artifact, clean) in zip(keys, of_keys, strict=True):
                occurs = artifact + clean > 0
                counts = CurveCounts(values[occurs], artifact[occurs], clean[occurs])
                ap = counts.average_precision
                if ap is not None:
                    aps[key] = ap
            return aps

        flat = rows.reshape(self._pictures, -1).astype(np.float64)
        total = average_precision(flat.sum(axis=0))
        return total, intervals(flat, lambda drawn: scores(average_precision(drawn)), resamples)


def mean_over(aps: Mapping[Key, float], detector: str, group: str | None = None) -> float | None:
    """Mean AP of a detector over all kinds, and over all bases or in one."""
    chosen = [ap for (d, b, _), ap in aps.items() if d == detector and group in (None, b)]
    return float(np.mean(chosen)) if chosen else None


# ------------------------------------------------------------------------------------------ the run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--detected",
        nargs="+",
        default=[],
        metavar="FOLDER",
        help="folders that detect wrote, instead of the embedded networks and pictures",
    )
    parser.add_argument(
        "--gt", nargs="+", default=[], metavar="FOLDER", help="their truth, a folder for each"
    )
    parser.add_argument("--detectors", nargs="+", default=list(DETECTORS), metavar="NAME")
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--seed", type=int, default=0, help="of the artifacts")
    parser.add_argument("--resamples", type=int, default=1000, help="of the bootstrap")
    parser.add_argument("-o", "--output", default="results/detectors", metavar="FOLDER")


@threads(of_opencv=1)
def run(args: argparse.Namespace) -> int:
    """Print the tables, and write each to <output>/<name>.json, which desra.report shows."""
    if len(args.detected) != len(args.gt):
        raise SystemExit("error: give --gt a folder for each folder of --detected")
    folders = zip(args.detected, args.gt, strict=True)
    pictures = [picture for folder, gt in folders for picture in detected(folder, gt)]
    controls: list[Picture] = []
    if not pictures:
        pair = SRPair.embedded()
        pictures, controls = embedded(pair), textures(pair)

    injected = count_injected(pictures, args)
    swapped = count_references(pictures, injected, args)
    tables = {
        "kinds": table_of_kinds(injected, args),
        "references": table_of_references(swapped, args),
        "clean": table_of_clean(pictures, controls, args),
    }
    files: list[str] = []
    for name, table in tables.items():
        print(as_text(table), end="\n\n")
        files.append(str(Path(args.output) / f"{name}.json"))
        write_json(files[-1], table)
    print(
        "In a page, beside the images of detect and evaluate: python -m desra.report "
        f"-opt options/report.yml --force_yml tables=[{','.join(files)}]"
    )
    return 0


def count_injected(pictures: Sequence[Picture], args: argparse.Namespace) -> Counts:
    """All detectors on all suspects, against the partner."""
    counts = Counts(len(pictures))
    for base in BASES:
        todo = suspects(pictures, args.kinds, base, args.seed)
        bar = tqdm(todo, desc=f"in {base}", unit="suspect", total=len(pictures) * len(args.kinds))
        for number, kind, suspect, truth in bar:
            for name in args.detectors:
                picture = pictures[number]
                found = look(name, picture, suspect, truth, picture.sr_mse)
                counts.add((name, base, kind), number, found)
    return counts


def count_references(
    pictures: Sequence[Picture], injected: Counts, args: argparse.Namespace
) -> Counts:
    """In the truth alone, against the partner (counted already) and two that are not."""
    counts = Counts(len(pictures))
    counts.take_over(injected, "gt", "sr_mse")
    todo = suspects(pictures, args.kinds, "gt", args.seed)
    bar = tqdm(todo, desc="references", unit="suspect", total=len(pictures) * len(args.kinds))
    for number, kind, suspect, truth in bar:
        picture = pictures[number]
        references = {
            "sr_gan": picture.sr_gan,
            "bicubic": enlarge(picture.lq, suspect.shape[:2]),
        }
        for reference, image in references.items():
            for name in args.detectors:
                found = look(name, picture, suspect, truth, image)
                counts.add((name, reference, kind), number, found)
    return counts


# ------------------------------------------------------------------------------------------ tables

Table = dict[str, Any]


def table_of_kinds(counts: Counts, args: argparse.Namespace) -> Table:
    """A row a detector: AP by kind, mean AP with its interval, what the default gains, F1."""

    def scores(aps: Mapping[Key, float]) -> dict[str, float | None]:
        means = {name: mean_over(aps, name) for name in args.detectors}
        default = means.get(DEFAULT)
        gains = {
            f"gain over {name}": None if default is None or mean is None else default - mean
            for name, mean in means.items()
        }
        return {**means, **gains}

    aps, ends = counts.precision(scores, args.resamples)
    rows: list[list[Any]] = []
    for name in args.detectors:
        f1 = [counts.f1((name, base, kind)) for base in BASES for kind in args.kinds]
        of_kinds = [
            np.mean([aps[name, base, kind] for base in BASES if (name, base, kind) in aps])
            for kind in args.kinds
        ]
        gain = scores(aps)[f"gain over {name}"]
        rows.append(
            [
                name,
                *(f"{ap:.2f}" for ap in of_kinds),
                *(f"{mean_over(aps, name, base):.2f}" for base in BASES),
                with_ends(mean_over(aps, name), ends[name]),
                "" if name == DEFAULT else with_ends(gain, ends[f"gain over {name}"]),
                f"{np.mean([x or 0.0 for x in f1]):.2f}",
            ]
        )
    return {
        "title": "AP by kind of artifact",
        "note": "The means over kinds are over artifacts in the truth, in sr_mse and in sr_gan. "
        "F1 is of the masks at the default threshold.",
        "columns": [
            "detector",
            *args.kinds,
            *(f"in {base}" for base in BASES),
            "mean AP",
            f"{DEFAULT} gains",
            "F1",
        ],
        "rows": rows,
    }


def table_of_references(counts: Counts, args: argparse.Namespace) -> Table:
    """Mean AP by reference."""
    references = ("sr_mse", "sr_gan", "bicubic")
    aps, ends = counts.precision(
        lambda aps: {f"{n} {r}": mean_over(aps, n, r) for n in args.detectors for r in references},
        args.resamples,
    )
    return {
        "title": "Mean AP by reference",
        "note": "Artifacts in the truth; the reference is the partner, the GAN network's output (a "
        "network that is no partner of the truth), or the bicubically enlarged LR image.",
        "columns": ["detector", *references],
        "rows": [
            [n, *(with_ends(mean_over(aps, n, r), ends[f"{n} {r}"]) for r in references)]
            for n in args.detectors
        ],
    }


def table_of_clean(
    pictures: Sequence[Picture], controls: Sequence[Picture], args: argparse.Namespace
) -> Table:
    """Share of the pixels that are masked where nothing was injected."""
    groups: list[tuple[str, Sequence[Picture], str]] = [
        ("truth", pictures, "gt"),
        ("sr_gan", pictures, "sr_gan"),
    ]
    for control in controls:
        groups += [
            (control.name, [control], "gt"),
            (f"{control.name}, sr_gan", [control], "sr_gan"),
        ]
    rows: list[list[Any]] = []
    for name in args.detectors:
        row = [name]
        for _, group, base in groups:
            masked = pixels = 0
            for picture in group:
                suspect: Image = getattr(picture, base)
                nothing = np.zeros(suspect.shape[:2], np.bool_)
                masked += look(name, picture, suspect, nothing, picture.sr_mse).mask.fp
                pixels += nothing.size
            row.append(f"{100 * masked / pixels:.2f} %")
        rows.append(row)
    return {
        "title": "Masked where nothing was injected",
        "note": "In the truth all of it is false. In sr_gan it is false but for what the network "
        "made up by itself.",
        "columns": ["detector", *(title for title, _, _ in groups)],
        "rows": rows,
    }


def with_ends(value: float | None, ends: Sequence[float] | None) -> str:
    """A number with its interval."""
    if value is None:
        return "-"
    return f"{value:.2f}" + (f" [{ends[0]:.2f}, {ends[1]:.2f}]" if ends else "")


def as_text(table: Table) -> str:
    """A table for a terminal."""
    return f"{table['title']}\n{text_table([table['columns'], *table['rows']], left={0})}"
