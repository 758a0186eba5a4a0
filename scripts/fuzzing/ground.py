"""The good files that the cases are made from: tiny images and networks, and what stages wrote."""

import importlib
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

SIZE = (16, 20)  # of an LR image, height and width
SCALE = 2
STEMS = ("p0", "p1", "sub/p2")
_COMMON = {"device": "cpu", "precision": "fp32"}
_FINDER = {
    "detector": {"type": "relative_local_variance"},
    "mask": {"threshold": 0.993, "min_area": 2, "min_area_unit": "px", "kernel": 1},
}
_PAIR = {"sr_gan": {"weights": "gan.pth"}, "sr_mse": {"weights": "mse.pth"}}


def _training(dataset: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "name": "tiny",
        "scale": SCALE,
        "manual_seed": 3,
        **_COMMON,
        "network_g": {"type": "SRVGGNetCompact", "num_feat": 4, "num_conv": 1, "upscale": SCALE},
        "datasets": {"train": {"gt_size": 8, **dataset}, "batch_size": 1, "num_workers": 0},
        "path": {"experiments_root": "out", "pretrain_network_g": "gan.pth"},
        "train": {
            "total_iter": 1,
            "optim_g": {"type": "Adam", "lr": 1e-3},
            "losses": {"pix": {"type": "L1Loss"}},
        },
        "logger": {"print_freq": 1, "save_checkpoint_freq": 1, "image_freq": 0},
        **changes,
    }


_PAIRED = {"type": "PairedDataset", "dataroot_lq": "lq", "dataroot_gt": "gt"}
FINETUNING = _training({"type": "ArtifactDataset", "dataroot": "before"})
#: Good options of each stage.
OPTIONS: dict[str, dict[str, Any]] = {
    "detect": {"input": {"lq": "lq"}, "output": "out", "scale": SCALE}
    | _COMMON
    | _PAIR
    | _FINDER
    | {"export": ["labelme", "coco"], "deletion": {"feather": 2}},
    "upscale": {"input": "lq", "output": "out"} | _COMMON | _PAIR | _FINDER,
    "train": _training(
        _PAIRED,
        val={"dataroot_lq": "lq", "dataroot_gt": "gt", "val_freq": 1, "max_images": 1},
    ),
    "evaluate": {
        "before": "before",
        "after": "after",
        "masks": {"pred": "before", "truth": "masks"},
        "bootstrap": {"resamples": 100},
        "output": "out",
        "sheet": "out/sheet.png",
    }
    | _COMMON,
    "report": {
        "before": "before",
        "after": "after",
        "scores": "scores/scores.json",
        "tables": ["table.json"],
        "settings": ["before/options.yml"],
        "output": "out",
    },
    "sweep": {"input": "before", "output": "out", "truth": "masks"} | _COMMON,
    "calibrate": {
        "input": {"results": "before"},
        "output": "out",
        "segment": {"type": "labels", "labels": "labels", "names": "names.txt"},
    }
    | _COMMON,
    "run": {"input": {"lq": "lq"}, "output": "out", "holdout_share": 0.4, "max_rounds": 1}
    | _COMMON
    | _PAIR
    | {
        "min_gain": 0,
        "min_detail": 0,
        "sample_area": 0.5,
        "detect": _FINDER,
        "train": {
            "datasets": {"train": {"gt_size": 8}, "batch_size": 1, "num_workers": 0},
            "train": {"total_iter": 1, "warmup_iter": 0},
            "logger": {"image_freq": 0},
        },
        "evaluate": {"sheet_rows": 1, "bootstrap": {"resamples": 100}},
    },
    "app": _COMMON | _PAIR | _FINDER | {"port": 7900},
}
#: Files of no stage, which lie where results go and must stay as they are.
STRANGERS = (
    "out/notes.txt",
    "out/plots/holiday.png",
    "out/sr_gan/holiday.png",
    "out/images/finetuned/holiday.png",
    "out/tiny/thesis.txt",
)


def photograph(seed: int, size: tuple[int, int]) -> np.ndarray:
    """Return uint8 BGR (h, w, 3) with smooth parts, edges and texture."""
    rng = np.random.default_rng(seed)
    height, width = size
    image = cv2.resize(rng.random((4, 5, 3)), (width, height), interpolation=cv2.INTER_CUBIC)
    image += (
        0.3 * rng.standard_normal((height, width, 1)) * (np.arange(width) > width // 2)[:, None]
    )
    return np.asarray((image.clip(0, 1) * 255).round(), np.uint8)


def save_png(path: Path, image: np.ndarray) -> None:
    """Write a PNG, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", image)[1].tobytes())


def save_network(path: Path, seed: int) -> None:
    """Write a checkpoint of a tiny SRVGGNetCompact with random weights."""
    import torch

    from desra.registry import ARCH_REGISTRY, find

    torch.manual_seed(seed)
    network = find(ARCH_REGISTRY, "SRVGGNetCompact", "")(num_feat=4, num_conv=1, upscale=SCALE)
    torch.save({"params": network.state_dict()}, path)


def call(stage: str, options: dict[str, Any]) -> None:
    """Run a stage in the working folder; its options stay there as ``<stage>.yml``.

    Raises:
        RuntimeError: it did not end well.
    """
    path = Path(f"{stage}.yml")
    path.write_text(yaml.safe_dump(options, sort_keys=False))
    if status := importlib.import_module(f"desra.{stage}.__main__").main(["-opt", str(path)]):
        raise RuntimeError(f"desra.{stage} ended with status {status} on the good files")


def make() -> None:
    """Write the good files into the working folder."""
    folder = Path()
    for number, stem in enumerate(STEMS):
        size = (SIZE[0] * SCALE, SIZE[1] * SCALE)
        save_png(folder / "lq" / f"{stem}.png", photograph(number, SIZE))
        save_png(folder / "gt" / f"{stem}.png", photograph(number, size))
        labels = np.zeros(size, np.uint8)
        labels[:, size[1] // 2 :] = 1
        save_png(folder / "labels" / f"{stem}.png", labels)
        save_png(folder / "masks" / f"{stem}.png", labels * 255)
    save_png(folder / "album" / "holiday.png", photograph(9, SIZE))
    (folder / "notes.txt").write_text("of nobody's business\n")
    (folder / "names.txt").write_text("grass\nsea\n")
    table = {"title": "Rounds", "columns": ["round", "regions"], "rows": [["before", 4], ["1", 2]]}
    (folder / "table.json").write_text(json.dumps(table))
    (folder / "pairs.txt").write_text("".join(f"{stem}.png (32,40,3)\n" for stem in STEMS))
    for name, seed in (("gan", 0), ("mse", 1), ("other", 2)):
        save_network(folder / f"{name}.pth", seed)
    for output, weights in (("before", "gan.pth"), ("after", "other.pth")):
        call("detect", OPTIONS["detect"] | {"output": output, "sr_gan": {"weights": weights}})
    call("evaluate", OPTIONS["evaluate"] | {"output": "scores", "sheet": None})
    root = {"experiments_root": "experiments", "pretrain_network_g": "gan.pth"}
    call("train", OPTIONS["train"] | {"path": root, "val": None})
    call("run", OPTIONS["run"] | {"output": "whole"})
    for path in folder.rglob("manifest.jsonl"):  # the same files each time: no times in them
        rows = [json.loads(line) | {"seconds": {"sr": 0.5}} for line in path.open()]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
