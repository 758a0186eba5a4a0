#!/usr/bin/env python
"""How much a finetuning removes, and what that costs: a table and a picture over its strength.

    python scripts/tradeoff.py --detected results/heldout_before --before embedded:gan \\
        --after ours=experiments/finetune/models/net_g_latest.pth --strengths 0.25 0.5 1 -o tradeoff

``--detected`` is what detect wrote with the network before, on images that were not finetuned on;
a strength is the share of the change that is kept, as in `python -m desra.weights blend`. Columns:
components and pixels removed, components added, PSNR to the network before and detail kept, both
outside the masks of before and over all images together; "mean" is the PSNR as a mean over images.
Results go to OUT.json, measured points are not measured again; the picture is OUT.png.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from desra import checkpoints
from desra.files import atomic_write
from desra.models import SRModel
from desra.networks import load_network
from desra.options import DetectorOptions, ValOptions
from desra.quality import Mean
from desra.training.validation import Tally, subjects, tally


def measure(before: str, after: str, strength: float, val: ValOptions) -> dict[str, Any]:
    """One point of the curve."""
    old, network = load_network(before), load_network(after)
    blended = checkpoints.blended(old.net.state_dict(), network.net.state_dict(), strength)
    network.net.load_state_dict(blended)
    upscale = SRModel(network.for_any_size(), network.scale)
    found = [tally(s, upscale, val) for s in tqdm(subjects(val, network.scale), leave=False)]
    total = sum(found, start=Tally())
    change = total.change
    if not change.before:
        sys.exit(f"--detected: nothing was found in {val.dataroot}, so nothing can be removed")
    return {
        "components": change.before,
        "removed": change.removed,
        "added": change.added,
        "pixels_removed": change.pixel_removal_rate,
        "psnr_outside": total.outside.psnr,
        "psnr_outside_mean": sum((Mean.of(t.outside.psnr) for t in found), start=Mean()).value,
        "detail_kept": total.detail.kept,
    }


def draw(points: dict[str, dict[str, dict[str, Any]]], path: Path) -> None:
    """Removal over PSNR and over detail, a line for each network."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for ax, key, label in zip(
        axes, ("psnr_outside", "detail_kept"),
        ("PSNR to before, outside the masks (dB)", "detail kept outside"), strict=True,
    ):  # fmt: skip
        for name, curve in points.items():
            rows = [curve[s] for s in sorted(curve, key=float)]
            x = [row[key] for row in rows]
            y = [100 * row["removed"] / row["components"] for row in rows]
            ax.plot(x, y, marker="o", label=name)
        ax.set_xlabel(label)
        ax.grid(alpha=0.3)
    axes[0].set_ylabel("components removed (%)")
    axes[1].legend()
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--detected", required=True, help="folder that detect wrote")
    parser.add_argument("--before", required=True, help="weights before")
    parser.add_argument("--after", required=True, nargs="+", metavar="NAME=WEIGHTS")
    parser.add_argument("--strengths", type=float, nargs="+", default=[0.25, 0.5, 1.0])
    parser.add_argument("--min-area", type=float, default=4000, help="of a component, in pixels")
    parser.add_argument("--detector", default=DetectorOptions().type, help="what --detected used")
    parser.add_argument("-o", type=Path, required=True, metavar="OUT")
    args = parser.parse_args()

    mask = {"min_area": args.min_area}
    detector = {"type": args.detector}
    val = ValOptions.model_validate(
        {"dataroot": args.detected, "mask": mask, "detector": detector}
    )
    file = args.o.with_suffix(".json")
    points = json.loads(file.read_text()) if file.is_file() else {}
    for given in args.after:
        name, _, weights = given.partition("=")
        for strength in args.strengths:
            curve = points.setdefault(name, {})
            if f"{strength:g}" not in curve:
                curve[f"{strength:g}"] = measure(args.before, weights, strength, val)
                with atomic_write(file) as out:
                    out.write(json.dumps(points, indent=1).encode())
    print("removed   added  pixels  PSNR (mean) outside  detail  strength, network")
    for name, curve in points.items():
        for strength, p in sorted(curve.items(), key=lambda item: float(item[0])):
            print(f"{p['removed']:3}/{p['components']:3}  {p['added']:5}  "
                  f"{p['pixels_removed']:6.3f}  {p['psnr_outside']:6.2f} "
                  f"({p['psnr_outside_mean']:6.2f}) dB  {p['detail_kept']:6.3f}  {strength} {name}")
    draw(points, args.o.with_suffix(".png"))


if __name__ == "__main__":
    main()
