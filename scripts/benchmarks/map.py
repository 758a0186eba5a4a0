"""Similarity map and mask of an SR pair tiled to two megapixels.

"plain" is two-dimensional filtering in float64 of the whole image and a loop over the labels, as in
the paper's released script; both with the same number of threads.
"""

import argparse
from statistics import median

import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.timing import in_turns
from desra.artifacts import MaskRule, WindowSpec, artifact_map, artifact_mask
from desra.io.images import read_image

HELP = "similarity map and mask of an SR pair"

Image = NDArray[np.uint8]
Result = tuple[NDArray[np.float64], NDArray[np.bool_]]


def tiled(image: Image, height: int, width: int) -> Image:
    """``image`` repeated down and across, cut to ``(height, width, 3)``."""
    times = -(-height // image.shape[0]), -(-width // image.shape[1]), 1
    return np.ascontiguousarray(np.tile(image, times)[:height, :width])


def made_pair() -> tuple[Image, Image]:
    """(sr_mse, sr_gan) with artifacts: a photograph blurred, and the same with texture overdone."""
    photograph = np.asarray(skimage.data.astronaut(), np.float32)
    smooth = cv2.GaussianBlur(photograph, (0, 0), 2.0)
    sharp = photograph + 2.0 * (photograph - smooth)
    return smooth.round().astype(np.uint8), sharp.clip(0, 255).round().astype(np.uint8)


def exact(sr_mse: Image, sr_gan: Image) -> Result:
    D = artifact_map(sr_mse, sr_gan)
    return D, artifact_mask(D)


def plain(sr_mse: Image, sr_gan: Image) -> Result:
    window, rule = WindowSpec(), MaskRule()
    kernel = np.outer(window.kernel, window.kernel)
    inside = slice(window.border, -window.border)

    def blur(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(cv2.filter2D(x, cv2.CV_64F, kernel), np.float64)[inside, inside]

    def variance(image: Image) -> NDArray[np.float64]:
        x = image.astype(np.float64)
        return np.maximum(blur(x * x) - blur(x) ** 2, 0) + window.epsilon

    var_mse, var_gan = variance(sr_mse), variance(sr_gan)
    c = window.constant
    D = (2 * np.sqrt(var_gan) * np.sqrt(var_mse) + c) / (var_gan + var_mse + c)
    D = D.mean(axis=2)

    square = np.ones((rule.kernel, rule.kernel), np.uint8)
    low = np.less(D, rule.threshold).astype(np.float64)
    grown = cv2.dilate(
        cv2.erode(low, square, iterations=rule.erode), square, iterations=rule.dilate
    )
    filled = np.asarray(ndimage.binary_fill_holes(grown, np.ones((3, 3))), np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(filled, connectivity=8)
    mask = np.zeros(D.shape, np.bool_)
    for label in range(1, count):
        if stats[label, cv2.CC_STAT_AREA] > rule.min_area:
            mask[labels == label] = True
    return D, mask


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--pair", nargs=2, metavar=("SR_MSE", "SR_GAN"), help="images; default: a photograph"
    )
    parser.add_argument(
        "--size", nargs=2, type=int, default=(1200, 1700), metavar=("HEIGHT", "WIDTH")
    )
    parser.add_argument("--repeats", type=int, default=7)


def run(args: argparse.Namespace) -> int:
    """Print the medians and their ratio; status 1 if the masks differ."""
    files = args.pair and [read_image(path).rgb8 for path in args.pair]
    sr_mse, sr_gan = (tiled(image, *args.size) for image in files or made_pair())
    (D, mask), (plain_D, plain_mask) = exact(sr_mse, sr_gan), plain(sr_mse, sr_gan)
    same = bool(np.array_equal(mask, plain_mask))
    times = in_turns(
        {"exact": lambda: exact(sr_mse, sr_gan), "plain": lambda: plain(sr_mse, sr_gan)},
        args.repeats,
    )
    print(
        f"{args.size[0]} x {args.size[1]} pixels, {cv2.getNumThreads()} threads, "
        f"median of {args.repeats} (fastest to slowest)"
    )
    for name, seconds in times.items():
        print(
            f"{name}  {1000 * median(seconds):8.1f} ms   "
            f"({1000 * min(seconds):.1f} to {1000 * max(seconds):.1f})"
        )
    print(f"plain / exact  {median(times['plain']) / median(times['exact']):.2f}")
    print(
        f"masks {'identical' if same else 'DIFFER'}, {mask.mean():.1%} masked; "
        f"D differs by at most {np.abs(D - plain_D).max():.1e}"
    )
    return 0 if same else 1
