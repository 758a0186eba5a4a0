"""Runs in float64 whose losses and first gradients are kept: by a test, and by torchrun.

torchrun --nproc_per_node=2 tests/helpers/float64_run.py <folder> <batch size>
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from desra import train
from desra.models import DeSRAModel
from desra.options.loading import parse
from desra.options.train import TrainOptions
from desra.registry import DATASET_REGISTRY, find
from desra.utils import distributed
from desra.utils.errors import InputError
from helpers.small import change_step, train_settings

STEPS = 20
MASKED = {"type": "L1Loss", "inside": 3.0, "outside": 0.25}
RELATIVISTIC = {"type": "GANLoss", "gan_type": "vanilla", "weight": 0.1, "relativistic": True}
SPECTRAL = {"type": "UNetDiscriminatorSN", "num_in_ch": 3, "num_feat": 2}
#: name -> changes of the options' sections
CASES: dict[str, dict[str, Any]] = {
    "masked": {
        "train": {
            "losses": {
                "pix": MASKED,
                "tex": {**MASKED, "type": "LocalStdLoss"},
                "art": {**MASKED, "type": "ArtifactMapLoss", "target": 0.99},
            }
        }
    },
    "vanilla": {"gan": True, "network_d": SPECTRAL, "train": {"losses": {"pix": MASKED}}},
    "spectral": {
        "gan": True,
        "network_d": SPECTRAL,
        "train": {"losses": {"pix": MASKED, "gan": RELATIVISTIC}, "clip_grad_norm": 0.05},
    },
    "accumulated": {"train": {"losses": {"pix": MASKED}, "accumulate": 2}},
}


class MaskedNoise(Dataset[dict[str, Any]]):
    """Random samples whose masks cover very different areas."""

    def __init__(self, scale: int, seed: int, gt_size: int, poisoned: int | None = None):
        self.scale, self.seed, self.size, self.poisoned = scale, seed, gt_size, poisoned

    def __getitem__(self, number: int) -> dict[str, Any]:
        draw = torch.Generator().manual_seed(1000 * self.seed + number)
        large, small = self.size, self.size // self.scale
        covered = torch.rand(1, generator=draw)
        lq = torch.rand(3, small, small, generator=draw, dtype=torch.float32)
        return {
            "lq": lq * float("nan") if number == self.poisoned else lq,
            "gt": torch.rand(3, large, large, generator=draw, dtype=torch.float32),
            "mask": (torch.rand(1, large, large, generator=draw) < covered).float(),
            "name": f"s{number}",
        }


def opt_of(case: str, folder: Path, batch: int, poisoned: int | None = None) -> TrainOptions:
    """The options of a case, in a folder of its own."""
    changes = CASES[case]
    settings = train_settings(folder / case.replace(" ", "_"), folder, changes.get("gan", False))
    settings["datasets"] = {
        "train": {"type": "MaskedNoise", "gt_size": 16, "poisoned": poisoned},
        "batch_size": batch,
        "num_workers": 0,
    }
    change_step(settings, total_iter=STEPS, **changes["train"])
    settings["network_d"] = changes.get("network_d") or settings.get("network_d")
    settings["logger"] = {"save_checkpoint_freq": 10}
    return parse(TrainOptions, settings, "test")


@contextmanager
def float64() -> Iterator[None]:
    """While inside, torch makes float64 by default."""
    find(DATASET_REGISTRY, "DegradedDataset", "")  # desra's own are registered, too
    if "MaskedNoise" not in DATASET_REGISTRY:
        DATASET_REGISTRY.register(MaskedNoise)
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


def record(case: str, folder: Path, batch: int) -> dict[str, Any]:
    """Train, and return the losses of each step, averaged over processes, the gradients of the
    first, and the weights at the end."""
    optimize = DeSRAModel.optimize
    losses: list[dict[str, float]] = []
    gradients: dict[str, Tensor] = {}

    def recorded(self: DeSRAModel, data: dict[str, Any], iteration: int) -> dict[str, Tensor]:
        tensors = optimize(self, data, iteration)
        assert all(value.dtype == torch.float64 for value in tensors.values())
        values = distributed.all_gather({name: value.item() for name, value in tensors.items()})
        losses.append({name: sum(v[name] for v in values) / len(values) for name in tensors})
        if iteration == 1:
            for key, net in (("g", self.net_g), ("d", self.net_d)):
                for name, parameter in net.named_parameters() if net else ():
                    assert parameter.grad is not None
                    gradients[f"{key}.{name}"] = parameter.grad.clone()
        return tensors

    DeSRAModel.optimize = recorded  # type: ignore[method-assign]
    try:
        latest = train.train(opt_of(case, folder, batch))
    finally:
        DeSRAModel.optimize = optimize  # type: ignore[method-assign]
    weights = torch.load(latest, weights_only=True) if distributed.is_main_process() else {}
    return {"losses": losses, "gradients": gradients, "weights": weights}


def poison(folder: Path) -> list[str]:
    """The error of each process where a sample spoils the loss of one of them."""
    try:
        train.train(opt_of("masked", folder / "poisoned", 2, poisoned=14))
    except FloatingPointError as error:
        return distributed.all_gather(str(error))
    return []


def refused(folder: Path) -> list[str]:
    """The error of each process where the discriminator has BatchNorm layers."""
    CASES["batch statistics"] = {"gan": True, "train": {"losses": {"pix": MASKED}}}
    try:
        train.train(opt_of("batch statistics", folder, 2))
    except InputError as error:
        return distributed.all_gather(str(error))
    return []


if __name__ == "__main__":
    torch.set_num_threads(1)
    root, size = Path(sys.argv[1]), int(sys.argv[2])
    with float64(), distributed.process_group(torch.device("cpu")):
        results: dict[str, Any] = {case: record(case, root, size) for case in CASES}
        results["poisoned"] = poison(root)
        results["refused"] = refused(root)
        if distributed.is_main_process():
            torch.save(results, root / "results.pt")
