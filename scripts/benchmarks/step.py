"""A finetuning step of RRDBNet (23 blocks) with a discriminator, L1 and GAN loss.

"plain" is the same step written down simply: float32, eager, contiguous, basicsr's networks, Adam.
desra's is DeSRAModel with `precision: auto`. Both start from the same weights and see the same
samples. With --losses N both, and more seeds of the plain one, run N steps, and the mean losses of
the last fifth are printed: the low precision should lie within the spread of the seeds. With
--memory desra's step runs in processes of its own, with and without `checkpoint_activations`, for
the peak of memory: resident in all on a CPU, allocated on a GPU.
"""

import argparse
import multiprocessing
import resource
import time
from collections.abc import Callable
from statistics import mean, median
from typing import Any

import numpy as np
import skimage.data
import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.timing import in_turns
from desra.data.degradations import degrade
from desra.options.degradation import Degradation
from desra.options.loading import parse
from desra.options.train import TrainOptions
from desra.registry import ARCH_REGISTRY, MODEL_REGISTRY, build

HELP = "a finetuning step"

NETWORK_G = {"type": "RRDBNet", "num_in_ch": 3, "num_out_ch": 3, "num_feat": 64, "num_grow_ch": 32}
NETWORK_D = {"type": "UNetDiscriminatorSN", "num_in_ch": 3, "num_feat": 64}
ADAM = {"lr": 1e-4, "betas": [0.9, 0.99]}
GAN_WEIGHT = 0.1

Step = Callable[[int], float]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--gt-size", type=int, default=192)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--blocks", type=int, default=23)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--losses", type=int, default=0, metavar="N", help="steps to compare")
    parser.add_argument("--seeds", type=int, default=3, help="of the plain one, with --losses")
    parser.add_argument("--memory", action="store_true", help="peak of memory, recomputing or not")


def batches(args: argparse.Namespace, seed: int, count: int) -> list[dict[str, Any]]:
    """Degraded crops of a photograph."""
    photograph = np.asarray(skimage.data.astronaut(), np.float32) / 255
    made: list[dict[str, Any]] = []
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        pairs: list[tuple[torch.Tensor, torch.Tensor]] = []
        for _ in range(args.batch):
            top, left = rng.integers(0, 512 - args.gt_size, 2)
            gt = photograph[top : top + args.gt_size, left : left + args.gt_size].copy()
            lq = degrade(gt, 4, Degradation(), rng)
            pairs.append((torch.from_numpy(lq), torch.from_numpy(gt)))
        lq, gt = (
            torch.stack(images).permute(0, 3, 1, 2).contiguous()
            for images in zip(*pairs, strict=True)
        )
        mask = torch.zeros_like(gt[:, :1])
        made.append({"lq": lq, "gt": gt, "mask": mask, "name": [str(number)] * args.batch})
    return made


def ours(
    args: argparse.Namespace, samples: list[dict[str, Any]], seed: int, recompute: bool = False
) -> Step:
    """A step by its number; gives the L1 loss."""
    options = parse(
        TrainOptions,
        {
            "name": "benchmark",
            "device": args.device,
            "network_g": {**NETWORK_G, "num_block": args.blocks},
            "network_d": NETWORK_D,
            "datasets": {"train": {"type": "DegradedDataset", "dataroot_gt": "none"}},
            "train": {
                "total_iter": 10**6,
                "optim_g": {"type": "Adam", **ADAM},
                "optim_d": {"type": "Adam", **ADAM},
                "losses": {
                    "pix": {"type": "L1Loss"},
                    "gan": {"type": "GANLoss", "gan_type": "vanilla", "weight": GAN_WEIGHT},
                },
                "ema_decay": 0.999,
                "checkpoint_activations": recompute,
            },
        },
        "benchmark",
    )
    torch.manual_seed(seed)
    model = build(MODEL_REGISTRY, {"type": "DeSRAModel"}, "model_type", opt=options)
    return lambda n: float(model.optimize(samples[n % len(samples)], n + 1)["l_g_pix"])


def plain(args: argparse.Namespace, samples: list[dict[str, Any]], seed: int) -> Step:
    """The same, written down simply."""
    torch.manual_seed(seed)
    net_g: nn.Module = build(ARCH_REGISTRY, {**NETWORK_G, "num_block": args.blocks}, "g").train()
    net_d: nn.Module = build(ARCH_REGISTRY, NETWORK_D, "d").train()
    cuda = args.device == "cuda" or (args.device == "auto" and torch.cuda.is_available())
    device = torch.device("cuda" if cuda else "cpu")
    net_g, net_d = net_g.to(device), net_d.to(device)
    betas = (0.9, 0.99)
    optim_g = torch.optim.Adam(net_g.parameters(), lr=1e-4, betas=betas)
    optim_d = torch.optim.Adam(net_d.parameters(), lr=1e-4, betas=betas)
    ema = {name: value.clone() for name, value in net_g.state_dict().items()}

    def loss_of(logits: torch.Tensor, real: bool) -> torch.Tensor:
        target = torch.full_like(logits, float(real))
        return F.binary_cross_entropy_with_logits(logits, target)

    def step(n: int) -> float:
        sample = samples[n % len(samples)]
        lq, gt = sample["lq"].to(device), sample["gt"].to(device)
        net_d.requires_grad_(False)
        optim_g.zero_grad()
        sr = net_g(lq)
        l1 = F.l1_loss(sr, gt)
        (l1 + GAN_WEIGHT * loss_of(net_d(sr), True)).backward()
        optim_g.step()
        net_d.requires_grad_(True)
        optim_d.zero_grad()
        loss_of(net_d(gt), True).backward()
        loss_of(net_d(sr.detach()), False).backward()
        optim_d.step()
        with torch.no_grad():
            for name, value in net_g.state_dict().items():
                ema[name].lerp_(value, 0.001)
        return float(l1.detach())

    return step


def _peak(args: argparse.Namespace, recompute: bool) -> tuple[float, float]:
    """(GiB, seconds a step) of a process that trains three steps."""
    step = ours(args, batches(args, 0, 1), 0, recompute)
    step(0)
    began = time.perf_counter()
    for number in (1, 2):
        step(number)
    seconds = (time.perf_counter() - began) / 2
    if torch.cuda.is_available() and args.device in ("auto", "cuda"):
        return torch.cuda.max_memory_allocated() / 2**30, seconds
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, seconds


def run(args: argparse.Namespace) -> int:
    """Print times and their ratio, and losses if asked for."""
    samples = batches(args, 0, 4)
    counters = {"plain": iter(range(10**9)), "desra": iter(range(10**9))}
    steps = {"plain": plain(args, samples, 0), "desra": ours(args, samples, 0)}
    times = in_turns(
        {name: lambda name=name: steps[name](next(counters[name])) for name in steps}, args.repeats
    )
    print(
        f"GT crop {args.gt_size}, batch {args.batch}, {args.blocks} blocks, "
        f"{torch.get_num_threads()} threads, "
        f"median of {args.repeats} (fastest to slowest)"
    )
    for name, seconds in times.items():
        print(f"{name}  {median(seconds):7.2f} s  ({min(seconds):.2f} to {max(seconds):.2f})")
    print(f"plain / desra  {median(times['plain']) / median(times['desra']):.2f}", flush=True)
    steps.clear()
    if args.memory:
        for recompute in (False, True):
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                peak, seconds = pool.apply(_peak, (args, recompute))
            print(
                f"checkpoint_activations {str(recompute).lower():5}  peak {peak:.2f} GiB, "
                f"{seconds:.2f} s a step",
                flush=True,
            )
    if args.losses:
        samples = batches(args, 1, args.losses)
        last = args.losses - args.losses // 5
        for name, make, seeds in (("plain", plain, args.seeds), ("desra", ours, 1)):
            for seed in range(seeds):
                step = make(args, samples, seed)
                losses = [step(n) for n in range(args.losses)]
                print(
                    f"{name} seed {seed}: mean L1 of the last {args.losses - last} steps "
                    f"{mean(losses[last:]):.5f}",
                    flush=True,
                )
    return 0
