#!/usr/bin/env python
"""Measure an SR pair on photographs that it never saw: the figures of the model card.

    python scripts/measure_networks.py --gt datasets/kodak
    python scripts/measure_networks.py --gt embedded:heldout --sheet scripts/docs/networks.jpg

Each photograph is degraded once (seeded by its number) by Real-ESRGAN's two-stage model, upscaled
by bicubic, MSE-SR and GAN-SR, and compared: PSNR in dB on RGB, NIQE on luma (lower is better), mean
of the paper's D and of the default detector's map, share of the pixels below the threshold,
regions. ``--sheet`` draws a cut of some: where D is lowest.
"""

import argparse

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from desra.artifacts import MaskRule, artifact_map, border_between, find_regions, full_size_mask
from desra.data.degradations import degrade
from desra.data.embedded import provide_folder
from desra.detectors import evidence
from desra.io import drawing
from desra.io.images import read_image, write_image
from desra.io.listing import list_images
from desra.metrics.quality import niqe, psnr
from desra.networks.pair import SRPair
from desra.options.degradation import Degradation

Image = NDArray[np.uint8]
SIDE = 128  # SR pixels on a side of a cut
COLUMNS = ("LR", "sr_mse", "sr_gan", "D (dark = differs)", "truth")


def cut(D: NDArray[np.float64], scale: int) -> tuple[slice, slice]:
    """The square in which the mean of D, given for the whole image, is lowest, on LR pixels."""
    means = np.asarray(cv2.boxFilter(D, -1, (SIDE, SIDE)))
    half = SIDE // 2
    inner = means[half : D.shape[0] - half + 1, half : D.shape[1] - half + 1]
    top, left = (int(n) // scale * scale for n in np.unravel_index(inner.argmin(), inner.shape))
    return slice(top, top + SIDE), slice(left, left + SIDE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--gt", required=True, help="folder of photographs, or embedded:heldout")
    parser.add_argument("--model", default="embedded:gan", help="weights of the GAN-SR network")
    parser.add_argument("--partner", default="embedded:mse", help="weights of the MSE-SR network")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sheet", metavar="FILE", help="also draw cuts of pictures")
    parser.add_argument("--rows", type=int, default=4, help="so many, spread over the folder")
    args = parser.parse_args()

    pair = SRPair.from_checkpoints(args.model, args.partner)
    scale, finders = pair.scale, {"paper": MaskRule(), "evidence": MaskRule(min_area=1000)}
    scores: dict[str, list[list[float]]] = {"bicubic": [], "sr_mse": [], "sr_gan": []}
    found: dict[str, list[list[float]]] = {name: [] for name in finders}
    sheet: list[tuple[str, list[Image]]] = []
    for number, file in enumerate(tqdm(list_images(provide_folder(args.gt, "gt")), unit="image")):
        gt = read_image(file.path).rgb8
        height, width = (n // scale * scale for n in gt.shape[:2])
        gt = np.ascontiguousarray(gt[:height, :width])
        rng = np.random.default_rng([args.seed, number])
        lq = np.round(255 * degrade(gt.astype(np.float32) / 255, scale, Degradation(), rng))
        lq = lq.astype(np.uint8)
        sr = pair(lq)
        bicubic = cv2.resize(lq, (width, height), interpolation=cv2.INTER_CUBIC)
        for name, image in (("bicubic", bicubic), ("sr_mse", sr.mse), ("sr_gan", sr.gan)):
            quality = niqe(image)
            scores[name].append([psnr(image, gt), np.nan if quality is None else quality])
        D = artifact_map(sr.mse, sr.gan)
        for name, similarity in (("paper", D), ("evidence", evidence(sr))):
            mask = full_size_mask(similarity, gt.shape, finders[name])
            low = (similarity < finders[name].threshold).mean()
            found[name].append([similarity.mean(), low, mask.mean(), find_regions(mask).count])
        whole = np.pad(D, border_between(D.shape, gt.shape[:2]), "edge")
        view = cut(whole, scale)
        small = lq[tuple(slice(s.start // scale, s.stop // scale) for s in view)]
        coloured = drawing.map_in_colour(whole[view])
        sheet.append((file.stem, [small, sr.mse[view], sr.gan[view], coloured, gt[view]]))

    print(f"{len(sheet)} photographs of {args.gt}, seed {args.seed}")
    for name, rows in scores.items():
        mean = np.nanmean(rows, axis=0)
        print(f"{name:8} PSNR {mean[0]:6.2f} dB   NIQE {mean[1]:5.2f}")
    for name, rows in found.items():
        mean_D, below, masked, _ = np.mean(rows, axis=0)
        count = int(np.sum(rows, axis=0)[3])
        print(
            f"{name:8} mean {mean_D:.3f}, below {finders[name].threshold}: {100 * below:.2f} % "
            f"of the pixels, masked {100 * masked:.2f} %, {count} regions"
        )
    if args.sheet:
        spread = np.linspace(0, len(sheet) - 1, min(args.rows, len(sheet))).round().astype(int)
        write_image(args.sheet, drawing.contact_sheet([sheet[n] for n in spread], COLUMNS, 200))


if __name__ == "__main__":
    main()
