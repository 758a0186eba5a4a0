#!/usr/bin/env python
"""Fit the network of the default detector (evidence_network) to injected artifacts.

    python scripts/fit_detector.py prepare PHOTOGRAPHS pictures      # -> pictures/lq, pictures/gt
    python -m desra.detect -opt options/detect.yml \\
        --force_yml input:lq=pictures/lq output=results/fit
    python scripts/fit_detector.py collect results/fit pictures/gt -o samples.npz
    python scripts/fit_detector.py fit samples.npz ... -o desra/assets/evidence.safetensors

`prepare` makes every eighth photograph gray, and LR images in six ways in turn: averaged, bicubic,
blurred first, with noise and JPEG, and by the two-stage model, mild or as published. `collect`
injects artifacts into the truth, sr_mse and sr_gan, and keeps some cells inside and outside. Where
sr_gan has stronger texture than the truth (D of the two below 0.7) that is an artifact too, the
network's own, which counts twice in the fit; where it is alike (above 0.8) it is clean. A quarter
of the samples does without the LR image, an eighth has its bicubic enlargement as reference. `fit`
keeps a fifth of the pictures (by name) to choose the working point on: where the mean F1 of all
injected kinds is highest.

The weights that ship were fitted when `prepare` still took red for blue in its JPEG (one way of the
six), so that their luma was weighed the wrong way round there.
"""

import argparse
import zlib
from pathlib import Path

import cv2
import numpy as np
import torch
from benchmarks.suspects import BASES, Picture, detected, suspects
from numpy.typing import NDArray
from PIL import Image as PILImage
from safetensors.numpy import save_file
from tqdm import tqdm

from desra.artifacts import artifact_map, local_std
from desra.data.degradations import degrade, jpeg
from desra.data.embedded import MILD, PUBLISHED
from desra.data.injection import KINDS
from desra.detectors.evidence_network import by_cells, measure
from desra.io.images import enlarge, read_rgb8, write_image
from desra.io.listing import list_images

Image = NDArray[np.uint8]
SCALE = 4
HIDDEN = 32
OWN = -1  # the kind of the network's own artifacts


# ---------------------------------------------------------------------------------------- pictures


def downscaled(gt: Image, way: int, rng: np.random.Generator) -> Image:
    """An LR image, uint8, of a picture whose sides are multiples of 4, in one of six ways."""
    size = gt.shape[1] // SCALE, gt.shape[0] // SCALE
    if way == 1:
        return np.asarray(PILImage.fromarray(gt).resize(size, PILImage.Resampling.BICUBIC))
    if way in (4, 5):
        settings = MILD if way == 4 else PUBLISHED
        return np.round(
            degrade(np.divide(gt, 255, dtype=np.float32), SCALE, settings, rng) * 255
        ).astype(np.uint8)
    if way == 2:
        gt = np.asarray(cv2.GaussianBlur(gt, (0, 0), rng.uniform(1, 3)), np.uint8)
    lq = np.asarray(cv2.resize(gt, size, interpolation=cv2.INTER_AREA), np.uint8)
    if way == 3:
        noisy = (lq + rng.normal(0, rng.uniform(1, 8), lq.shape)) / 255
        coded = jpeg(noisy.astype(np.float32), int(rng.integers(40, 90)))
        lq = np.round(coded * 255).astype(np.uint8)
    return lq


def prepare(args: argparse.Namespace) -> None:
    """Write lq/ and gt/ of photographs."""
    for number, file in enumerate(tqdm(list_images(args.photographs), unit="image")):
        photograph = read_rgb8(file.path)
        height, width = (n // SCALE * SCALE for n in photograph.shape[:2])
        gt = np.ascontiguousarray(photograph[:height, :width])
        if number % 8 == 7:
            gt = np.repeat(cv2.cvtColor(gt, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
        lq = downscaled(gt, number % 6, np.random.default_rng(number))
        write_image(args.output / "lq" / f"{file.stem}.png", lq)
        write_image(args.output / "gt" / f"{file.stem}.png", gt)


# ----------------------------------------------------------------------------------------- samples


def own_artifacts(picture: Picture) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Cells of sr_gan with texture that the truth has not, by the paper's D with the truth in the
    place of sr_mse; and those that have the truth's."""
    D = artifact_map(picture.gt, picture.sr_gan)
    stronger = (local_std(picture.sr_gan) - local_std(picture.gt)).mean(axis=2)
    D, stronger = (
        by_cells(np.pad(x, 5, mode="edge").astype(np.float32), SCALE) for x in (D, stronger)
    )
    return (D < 0.7) & (stronger > 0), D > 0.8


def collect(args: argparse.Namespace) -> None:
    """Write samples of what the network gets to see, labels, and how many cells each stands for."""
    pictures = detected(args.detected, args.gt)
    rng = np.random.default_rng(args.seed)
    columns: dict[str, list[NDArray]] = {
        k: [] for k in ("x", "artifact", "weight", "validate", "kind")
    }

    def keep(
        measured: NDArray, where: NDArray, artifact: bool, picture: Picture, kind: int
    ) -> None:
        places = np.flatnonzero(where)
        if not len(places):
            return
        chosen = rng.choice(places, args.samples)
        n = len(chosen)
        columns["x"].append(measured.reshape(-1, measured.shape[-1])[chosen])
        columns["artifact"].append(np.full(n, artifact))
        columns["weight"].append(np.full(n, len(places) / n, np.float32))
        columns["validate"].append(np.full(n, zlib.crc32(picture.name.encode()) % 5 == 0))
        columns["kind"].append(np.full(n, kind, np.int8))

    of_pictures = [own_artifacts(picture) for picture in pictures]
    for base in BASES:
        for number, kind, suspect, truth in tqdm(
            suspects(pictures, list(KINDS), base, args.seed), desc=base
        ):
            picture = pictures[number]
            lq: Image | None = picture.lq
            reference, turn = picture.sr_mse, rng.random()
            if turn < 0.125 and base != "sr_mse":
                reference = enlarge(picture.lq, suspect.shape[:2])
            elif turn < 0.375:
                lq = None
            measured = measure(reference, suspect, lq, SCALE)
            share = by_cells(truth.astype(np.float32), SCALE)
            clean = share < 0.02
            which = list(KINDS).index(kind)
            if base == "sr_gan":
                own, alike = of_pictures[number]
                keep(measured, clean & own, True, picture, OWN)
                clean &= alike
            keep(measured, clean, False, picture, which)
            keep(measured, share > 0.6, True, picture, which)
    np.savez(args.output, **{name: np.concatenate(parts) for name, parts in columns.items()})


# --------------------------------------------------------------------------------------------- fit


def best_threshold(
    odds: NDArray, artifact: NDArray, weight: NDArray, kind: NDArray
) -> tuple[float, float]:
    """The log-odds above which to mark so that the mean F1 over kinds is highest, and that F1."""
    levels = np.linspace(-4, 6, 101)
    f1 = np.zeros(len(levels))
    for k in range(len(KINDS)):
        for n, level in enumerate(levels):
            mine = kind == k
            marked = mine & (odds > level)
            hit = weight[marked & artifact].sum()
            f1[n] += 2 * hit / (weight[marked].sum() + weight[mine & artifact].sum()) / len(KINDS)
    best = int(f1.argmax())
    return float(levels[best]), float(f1[best])


def fit(args: argparse.Namespace) -> None:
    """Fit, choose the working point, write the weights."""
    loaded = [np.load(path) for path in args.samples]
    x, artifact, weight, validate, kind = (
        np.concatenate([data[name] for data in loaded])
        for name in ("x", "artifact", "weight", "validate", "kind")
    )
    torch.manual_seed(args.seed)
    mean, std = x[~validate].mean(axis=0), x[~validate].std(axis=0)
    inputs = torch.tensor((x - mean) / std)
    target = torch.tensor(artifact, dtype=torch.float32)
    counts = torch.tensor(np.where(kind == OWN, np.float32(args.own), np.float32(1)))
    train = torch.tensor(np.flatnonzero(~validate))
    net = torch.nn.Sequential(
        torch.nn.Linear(x.shape[1], HIDDEN),
        torch.nn.Tanh(),
        torch.nn.Linear(HIDDEN, HIDDEN),
        torch.nn.Tanh(),
        torch.nn.Linear(HIDDEN, 1),
    )
    batch = 4096
    steps = args.epochs * (len(train) // batch)
    optimizer = torch.optim.AdamW(net.parameters(), weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 6e-3, total_steps=steps)
    for _ in tqdm(range(steps), desc="fit"):
        chosen = train[torch.randint(len(train), (batch,))]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(
            net(inputs[chosen])[:, 0], target[chosen], counts[chosen]
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        odds = net(inputs)[:, 0].numpy()
    at, f1 = best_threshold(odds[validate], artifact[validate], weight[validate], kind[validate])
    print(
        f"{len(train)} samples to fit, {int(validate.sum())} to choose on: "
        f"best mean F1 {f1:.3f} at log-odds {at:.1f}"
    )

    layers = [net[0], net[2], net[4]]
    tensors = {
        f"{n}.{p}": getattr(layer, p).detach().numpy().copy()
        for n, layer in enumerate(layers)
        for p in ("weight", "bias")
    }
    # The network takes what `measure` gives as it is, and has its working point at probability 0.3.
    tensors["0.weight"] /= std
    tensors["0.bias"] -= tensors["0.weight"] @ mean
    tensors["2.bias"] += np.float32(np.log(0.3 / 0.7) - at)
    save_file(
        {k: np.ascontiguousarray(v.astype(np.float32)) for k, v in tensors.items()}, args.output
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("prepare")
    command.add_argument("photographs")
    command.add_argument("output", type=Path)
    command.set_defaults(run=prepare)
    command = commands.add_parser("collect")
    command.add_argument("detected")
    command.add_argument("gt")
    command.add_argument("-o", "--output", type=Path, required=True)
    command.add_argument(
        "--samples", type=int, default=150, help="cells inside and outside of an artifact"
    )
    command.add_argument("--seed", type=int, default=0)
    command.set_defaults(run=collect)
    command = commands.add_parser("fit")
    command.add_argument("samples", nargs="+")
    command.add_argument("-o", "--output", type=Path, required=True)
    command.add_argument("--epochs", type=int, default=10)
    command.add_argument("--own", type=float, default=2, help="weight of networks' own artifacts")
    command.add_argument("--seed", type=int, default=0)
    command.set_defaults(run=fit)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
