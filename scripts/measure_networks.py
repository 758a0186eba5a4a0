#!/usr/bin/env python
"""Measure an SR pair on photographs that it never saw: the figures of the model card.

    python scripts/measure_networks.py --gt datasets/kodak

Each photograph is degraded once (seeded by its number) by Real-ESRGAN's two-stage model, upscaled
by bicubic, MSE-SR and GAN-SR, and compared: PSNR in dB on RGB, NIQE on luma (lower is better), mean
of D, share of the pixels with D below the threshold, artifact components.
"""

import argparse

import cv2
import numpy as np
from tqdm import tqdm

from desra.artifacts import MaskRule, artifact_map, components, full_size_mask
from desra.degradations import degrade
from desra.images import read_image
from desra.listing import list_images
from desra.models import SRModel, SRPair
from desra.options import Degradation
from desra.quality import niqe, psnr


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--gt", required=True, help="folder of photographs")
    parser.add_argument("--model", default="embedded:gan", help="weights of the GAN-SR network")
    parser.add_argument("--partner", default="embedded:mse", help="weights of the MSE-SR network")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    pair = SRPair(SRModel.from_checkpoint(args.model), SRModel.from_checkpoint(args.partner))
    scale, rule = pair.scale, MaskRule()
    scores: dict[str, list[list[float]]] = {"bicubic": [], "sr_mse": [], "sr_gan": []}
    found: list[list[float]] = []
    for number, file in enumerate(tqdm(list_images(args.gt), unit="image")):
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
        mask = full_size_mask(D, gt.shape, rule)
        found.append([D.mean(), (D < rule.threshold).mean(), mask.mean(), components(mask).count])

    print(f"{len(found)} photographs of {args.gt}, seed {args.seed}")
    for name, rows in scores.items():
        mean = np.nanmean(rows, axis=0)
        print(f"{name:8} PSNR {mean[0]:6.2f} dB   NIQE {mean[1]:5.2f}")
    mean_D, below, masked, _ = np.mean(found, axis=0)
    count = int(np.sum(found, axis=0)[3])
    print(f"mean D {mean_D:.3f}, below {rule.threshold}: {100 * below:.2f} % of the pixels, "
          f"masked {100 * masked:.2f} %, {count} components")  # fmt: skip


if __name__ == "__main__":
    main()
