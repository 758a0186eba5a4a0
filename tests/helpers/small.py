"""Small photographs, small networks, and small options, for all tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

#: A small SwinIR, without what its tail is: upscale, upsampler, resi_connection.
SWINIR: dict[str, Any] = {
    "type": "SwinIR",
    "img_size": 16,
    "window_size": 8,
    "img_range": 1.0,
    "depths": [2],
    "embed_dim": 8,
    "num_heads": [2],
    "mlp_ratio": 2,
}


def photograph(seed: int, height: int, width: int) -> np.ndarray:
    """uint8 RGB with smooth parts, edges and texture."""
    rng = np.random.default_rng(seed)
    image = cv2.resize(rng.random((4, 5, 3)), (width, height), interpolation=cv2.INTER_CUBIC)
    texture = cv2.GaussianBlur(rng.standard_normal((height, width)), (0, 0), 1.0)
    image += 0.3 * texture[..., None] * (np.arange(width) > width // 2)[None, :, None]
    image[height // 3 : height // 2, width // 4 : width // 2] *= 0.3
    return (image.clip(0, 1) * 255).round().astype(np.uint8)


def save_png(path: Path, rgb: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.ascontiguousarray(rgb[..., ::-1]))


def save_compact(path: Path, scale: int = 2, seed: int = 0) -> Path:
    """A checkpoint of a tiny SRVGGNetCompact with random weights."""
    import torch

    from desra.registry import ARCH_REGISTRY, find

    torch.manual_seed(seed)
    net = find(ARCH_REGISTRY, "SRVGGNetCompact", "")(num_feat=4, num_conv=1, upscale=scale)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"params": net.state_dict()}, path)
    return path


def save_vgg(path: Path, vgg_type: str = "vgg11") -> Path:
    """A file like torchvision's of VGG weights, with random ones, and without the classifier."""
    import torch
    from torchvision import models

    torch.manual_seed(0)
    with torch.device("meta"):
        features = models.get_model(vgg_type, weights=None).features
    tensors = {
        f"features.{k}": 0.02 * torch.randn(v.shape) for k, v in features.state_dict().items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(tensors, path)
    return path


def train_settings(root: Path, photographs: Path, gan: bool = True) -> dict[str, Any]:
    """Options of a run of six iterations on tiny crops."""
    settings: dict[str, Any] = {
        "name": "tiny",
        "scale": 2,
        "manual_seed": 3,
        "device": "cpu",
        "precision": "fp32",
        "network_g": {"type": "SRVGGNetCompact", "num_feat": 4, "num_conv": 1, "upscale": 2},
        "datasets": {
            "train": {
                "type": "DegradedDataset",
                "dataroot_gt": str(photographs),
                "gt_size": 16,
                "crop_pad_size": 24,
            },
            "batch_size": 2,
            "num_workers": 0,
        },
        "path": {"experiments_root": str(root)},
        "train": {
            "total_iter": 6,
            "warmup_iter": 2,
            "optim_g": {"type": "Adam", "lr": 1e-3},
            "scheduler": {"type": "CosineAnnealingLR", "eta_min": 1e-6},
            "losses": {"pix": {"type": "L1Loss"}},
        },
        "logger": {"print_freq": 2, "save_checkpoint_freq": 3},
    }
    if gan:
        settings["network_d"] = {"type": "PatchDiscriminator", "num_feat": 4, "num_strides": 1}
        settings["train"]["losses"]["gan"] = {
            "type": "GANLoss",
            "gan_type": "vanilla",
            "weight": 0.1,
        }
        settings["train"]["optim_d"] = {"type": "Adam", "lr": 1e-3}
    return settings


def change_step(settings: dict[str, Any], **changes: Any) -> None:
    """Change keys of the section ``train``; ``losses`` join those that are there, by name."""
    step = settings["train"]
    step["losses"] = {**step["losses"], **changes.pop("losses", {})}
    step.update(changes)


def run_settings(lq: Path, output: Path, **changes: Any) -> dict[str, Any]:
    """Options of desra.run: two short rounds with the embedded networks."""
    return {
        "input": {"lq": str(lq)},
        "output": str(output),
        "device": "cpu",
        "precision": "fp32",
        "holdout_share": 0.4,
        "max_rounds": 2,
        "min_gain": 0,
        "min_detail": 0,
        "sample_area": 0.5,
        "detect": {
            "detector": {"type": "relative_local_variance"},
            "mask": {"min_area": 60, "threshold": 0.85},
        },
        "train": {
            "datasets": {"train": {"gt_size": 64}, "batch_size": 2, "num_workers": 0},
            "train": {"total_iter": 4, "warmup_iter": 0},
            "logger": {"save_checkpoint_freq": 2, "image_freq": 0},
        },
        "evaluate": {"sheet_rows": 1},
        **changes,
    }
