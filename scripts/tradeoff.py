#!/usr/bin/env python
"""How much a finetuning removes, and what that costs: a table and a picture over its strength.

    python scripts/tradeoff.py --detected results/heldout_before --before embedded:gan \\
        --after ours=experiments/finetune/models/net_g_latest.pth --strengths 0.25 0.5 1 -o tradeoff

``--detected`` is what detect wrote with the network before, on images that were not finetuned on;
detector, window and mask rule are those that it kept in options.yml there, unless others are given.
A strength is the share of the change that is kept, as in `python -m desra.weights blend`. Columns:
regions and pixels removed, regions added, PSNR to the network before and detail kept, both
outside the masks of before and over all images together; "mean" is the PSNR as a mean over images.

Results go to OUT.json, apart for each detection, detector, rule and network before; points of the
same weights are not measured again. The picture, OUT.png, is of what belongs to this command.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from desra.cli import status_of
from desra.detectors import find_detector
from desra.io import manifest
from desra.io.files import atomic_write, sha256_of
from desra.metrics.quality import Mean
from desra.networks import checkpoints
from desra.networks.load import Network, load_network
from desra.networks.sr_network import SRNetwork
from desra.options.loading import fingerprint, parse, resolved
from desra.options.sections import FinderSections
from desra.options.train import ValOptions
from desra.registry import import_modules
from desra.train.validation import Scoring, Tally
from desra.utils.errors import InputError

Point = dict[str, Any]
Curves = dict[str, dict[str, Point]]  # by name of the network and strength


def measure(before: Network, after: str, strength: float, scoring: Scoring) -> Point:
    """One point of the curve.

    Raises:
        InputError: weights that do not fit those before, or nothing was found with these.
    """
    network = load_network(after)
    blended = checkpoints.blended(before.net.state_dict(), network.net.state_dict(), strength)
    network.net.load_state_dict(blended)
    upscale = SRNetwork(network.for_any_size(), network.scale)
    found = [scoring(subject, upscale) for subject in tqdm(scoring.subjects, leave=False)]
    total = sum(found, start=Tally())
    change = total.change
    if not change.before:
        raise InputError(
            "--detected: nothing is found in what the network before made, so nothing can be "
            "removed; give a lower --min-area or more images"
        )
    return {
        "regions": change.before,
        "removed": change.removed,
        "added": change.added,
        "pixels_removed": change.pixel_removal_rate,
        "psnr_outside": total.outside.psnr,
        "psnr_outside_mean": sum((Mean.of(t.outside.psnr) for t in found), start=Mean()).value,
        "detail_kept": total.detail.kept,
    }


def val_of(detected: str, detector: str | None, min_area: float | None) -> ValOptions:
    """Where and how to look: as detect did, but for what is given.

    Raises:
        InputError: options that detect kept cannot be read, or what is given is not possible.
    """
    kept = manifest.read_options(detected) or FinderSections()
    names = kept.model_fields_set & {"detector", "window", "mask"}
    sections: dict[str, Any] = {name: resolved(kept)[name] for name in names}
    if detector is not None:
        sections["detector"] = {"type": detector}
    if min_area is not None:
        area = {"min_area": min_area, "min_area_unit": "px"}
        sections["mask"] = {**sections.get("mask", {}), **area}
    return parse(ValOptions, {"dataroot": detected, **sections}, "--detected")


def circumstances(before: str, val: ValOptions) -> dict[str, Any]:
    """All that a point depends on, but for the network after and the strength."""
    sections = resolved(val)
    rows = manifest.read_results(str(val.dataroot), "--detected").values()
    detector = find_detector(val.detector.type, {"mse", "lq"}, "--detector")
    return {
        "before": sha256_of(checkpoints.resolve(before)),
        "detected": fingerprint([[row.stem, row.settings] for row in rows]),
        **{key: sections[key] for key in ("detector", "window", "mask")},
        "fingerprint": detector.fingerprint(),
    }


def read(file: Path) -> dict[str, dict[str, Any]]:
    """What was measured before: by circumstances, these and the points.

    Raises:
        InputError: the file holds something else.
    """
    if not file.is_file():
        return {}
    try:
        content = json.loads(file.read_text("utf-8"))
        if all({"circumstances", "points"} <= part.keys() for part in content.values()):
            return content
    except (OSError, ValueError, AttributeError):
        pass
    raise InputError(f"-o: {file} holds no points of this script; choose another name")


def tradeoff(args: argparse.Namespace) -> None:
    """Measure what is missing, and show all.

    Raises:
        InputError: wrong arguments, weights or results of detect.
    """
    networks: dict[str, str] = {}
    for given in args.after:
        name, equals, weights = given.partition("=")
        if not (name and equals and weights):
            raise InputError(f"--after: '{given}' must be written NAME=WEIGHTS")
        networks[name] = weights
    import_modules(args.imports)
    file = args.o.with_suffix(".json")
    known = read(file)
    val = val_of(args.detected, args.detector, args.min_area)
    made_by = circumstances(args.before, val)
    before = load_network(args.before)
    scoring = Scoring(val, before.scale)
    part = known.setdefault(fingerprint(made_by), {"circumstances": made_by, "points": {}})
    points: Curves = part["points"]
    for name, weights in networks.items():
        content = sha256_of(checkpoints.resolve(weights))
        old = points.get(name, {})
        curve = points[name] = {s: p for s, p in old.items() if p["after"] == content}
        for strength in args.strengths:
            if f"{strength:g}" not in curve:
                point = measure(before, weights, strength, scoring)
                curve[f"{strength:g}"] = point | {"after": content}
                with atomic_write(file) as out:
                    out.write(json.dumps(known, indent=1).encode())
    mask = val.mask
    print(
        f"found by {val.detector.type} below {mask.threshold:g}, regions of more than "
        f"{mask.min_area:g} {mask.min_area_unit}"
    )
    print("removed   added  pixels  PSNR (mean) outside  detail  strength, network")
    for name, curve in points.items():
        for strength, p in sorted(curve.items(), key=lambda item: float(item[0])):
            print(
                f"{p['removed']:3}/{p['regions']:3}  {p['added']:5}  "
                f"{p['pixels_removed']:6.3f}  {p['psnr_outside']:6.2f} "
                f"({p['psnr_outside_mean']:6.2f}) dB  {p['detail_kept']:6.3f}  {strength} {name}"
            )
    draw(points, args.o.with_suffix(".png"))


def draw(points: Curves, path: Path) -> None:
    """Removal over PSNR and over detail, a line for each network."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for ax, key, label in zip(
        axes,
        ("psnr_outside", "detail_kept"),
        ("PSNR to before, outside the masks (dB)", "detail kept outside"),
        strict=True,
    ):
        for name, curve in points.items():
            rows = [curve[s] for s in sorted(curve, key=float)]
            x = [row[key] for row in rows]
            y = [100 * row["removed"] / row["regions"] for row in rows]
            ax.plot(x, y, marker="o", label=name)
        ax.set_xlabel(label)
        ax.grid(alpha=0.3)
    axes[0].set_ylabel("regions removed (%)")
    axes[1].legend()
    figure.savefig(path, dpi=110)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--detected", required=True, help="folder that detect wrote")
    parser.add_argument("--before", required=True, help="weights before")
    parser.add_argument("--after", required=True, nargs="+", metavar="NAME=WEIGHTS")
    parser.add_argument("--strengths", type=float, nargs="+", default=[0.25, 0.5, 1.0])
    parser.add_argument(
        "--min-area",
        type=float,
        metavar="PIXELS",
        help="count regions of more pixels of the SR image than this (default: as detect did)",
    )
    parser.add_argument("--detector", metavar="NAME", help="look by another than detect did")
    parser.add_argument(
        "--import",
        dest="imports",
        nargs="+",
        default=[],
        metavar="MODULE",
        help="modules that register detectors or networks of your own",
    )
    parser.add_argument("-o", type=Path, required=True, metavar="OUT")
    args = parser.parse_args(argv)
    return status_of(lambda: tradeoff(args))


if __name__ == "__main__":
    sys.exit(main())
