"""SR inference: RRDBNet of 23 blocks (Real-ESRGAN, LDL, ESRGAN) on this machine.

"basicsr" is its network as Real-ESRGAN's own inference script runs it with --fp32: float32, eager,
contiguous. The others are SRNetwork in float32 and in what `precision: auto` chooses.
The share of the peak sets the network's floating-point operations a second against the best square
matrix multiplication of the same type in the same run.

With --images and two networks, the masks of both precisions are compared too.
"""

import argparse
import copy
import time
from pathlib import Path
from statistics import median

import numpy as np
import skimage.data
import torch
from numpy.typing import NDArray
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.timing import in_turns
from desra.artifacts import artifact_map, full_size_mask
from desra.io.images import read_image
from desra.io.listing import list_images
from desra.networks.pair import SRPair
from desra.networks.sr_network import SRNetwork
from desra.registry import ARCH_REGISTRY, find

HELP = "SR inference by RRDBNet, against basicsr"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--size", nargs=2, type=int, default=(192, 192), metavar=("H", "W"))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--blocks", type=int, default=23)
    parser.add_argument("--matrix", nargs="+", type=int, default=[1024, 2048, 4096], metavar="SIDE")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--images", help="LR images whose masks are compared")
    parser.add_argument("--sr_gan", help="weights, with --images")
    parser.add_argument("--sr_mse", help="weights, with --images")


def peak(device: torch.device, dtype: torch.dtype, sides: list[int]) -> float:
    """Floating-point operations a second of the best square matrix multiplication."""
    best = 0.0
    for side in sides:
        a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
        for _ in range(6):
            _synchronise(device)
            start = time.perf_counter()
            a @ b
            _synchronise(device)
            best = max(best, 2 * side**3 / (time.perf_counter() - start))
    return best


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def run(args: argparse.Namespace) -> int:
    """Print times, ratios and shares."""
    torch.manual_seed(0)
    net = find(ARCH_REGISTRY, "RRDBNet", "network_g")(3, 3, 4, 64, args.blocks, 32).eval()
    for parameter in net.parameters():  # as far from denormal numbers as trained weights
        torch.nn.init.normal_(parameter, std=0.02)
    models = {
        name: SRNetwork(copy.deepcopy(net), 4, device=args.device, precision=precision)
        for name, precision in (("desra fp32", "fp32"), ("desra auto", "auto"))
    }
    device = models["desra fp32"].device
    net = net.to(device)
    height, width = args.size
    image = np.ascontiguousarray(np.resize(skimage.data.astronaut(), (height, width, 3)))

    def basicsr() -> NDArray[np.uint8]:
        with torch.no_grad():
            lq = torch.from_numpy(image).permute(2, 0, 1)[None].float().to(device) / 255
            sr = net(lq.contiguous())[0].float().clamp(0, 1).cpu().numpy()
        return (sr.transpose(1, 2, 0) * 255).round().astype(np.uint8)

    ways = {"basicsr fp32": basicsr}
    ways |= {name: lambda model=model: model(image) for name, model in models.items()}
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        net(torch.zeros(1, 3, height, width, device=device))
    flops = counter.get_total_flops()
    times = in_turns(ways, args.repeats)
    auto = models["desra auto"].dtype
    peaks = {dtype: peak(device, dtype, args.matrix) for dtype in (torch.float32, auto)}
    print(
        f"{height} x {width} pixels, {flops / 1e12:.2f} TFLOP, {device}, "
        f"{torch.get_num_threads()} threads, median of {args.repeats} (fastest to slowest); "
        f"auto is {str(auto).removeprefix('torch.')}"
    )
    base = median(times["basicsr fp32"])
    for name, seconds in times.items():
        dtype = auto if name.endswith("auto") else torch.float32
        middle = median(seconds)
        print(
            f"{name:12}  {middle:7.2f} s ({min(seconds):.2f} to {max(seconds):.2f})  "
            f"{base / middle:5.2f} x basicsr  {flops / middle / 1e9:6.0f} GFLOP/s, "
            f"{flops / middle / peaks[dtype]:4.0%} of the best matrix product"
        )
    difference = np.abs(ways["basicsr fp32"]().astype(int) - ways["desra fp32"]())
    print(f"fp32 images differ by at most {difference.max()} grey levels")
    if args.images:
        compare_masks(args)
    return 0


def compare_masks(args: argparse.Namespace) -> None:
    """Print, for each image, the IoU of the masks by `auto` and by fp32."""
    pairs = {
        precision: SRPair.from_checkpoints(
            args.sr_gan, args.sr_mse, device=args.device, precision=precision
        )
        for precision in ("fp32", "auto")
    }
    for file in list_images(Path(args.images)):
        lq = read_image(file.path).rgb8
        masks = []
        for pair in pairs.values():
            sr = pair(lq)
            masks.append(full_size_mask(artifact_map(sr.mse, sr.gan), sr.gan.shape))
        union = (masks[0] | masks[1]).sum()
        iou = f"{(masks[0] & masks[1]).sum() / union:.4f}" if union else "both empty"
        print(f"{file.stem:30} {masks[0].mean():7.2%} {masks[1].mean():7.2%}  {iou}", flush=True)
