"""Write folders.zip with desra 0.1.0, as `tests/test_written_by_0_1_0.py` reads it.

    git worktree add ../desra-0.1.0 5753d42
    PYTHONPATH=../desra-0.1.0:../desra-0.1.0/tests python tests/written_by_0_1_0/make.py

All paths in the options are relative, so that it can be unpacked and read anywhere from within:

    lq, sr_gan, sr_mse, gt, gan.pth, mse.pth   what went in
    detect.yml, results                        options, and the folder that detect wrote
    train.yml, experiments/tiny                a training of six iterations, ended after three
    expected.pth                               the network that 0.1.0 itself makes of it in six
    run.yml, run                               a run of two rounds, ended after the first
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import torch
import yaml
from conftest import photograph, save_compact, save_png, train_settings

from desra import detect, options, run, train
from desra.options import DetectOptions, RunOptions, TrainOptions

ARCHIVE = Path(__file__).resolve().with_name("folders.zip")


def write_inputs() -> None:
    """Write small photographs and two tiny networks of scale 2."""
    for i in range(4):
        save_png(Path("lq") / f"p{i}.png", photograph(i, 16, 20))
    for i in range(2):
        save_png(Path("gt") / f"g{i}.png", photograph(10 + i, 48, 56))
    save_compact(Path("gan.pth"), seed=1)
    save_compact(Path("mse.pth"), seed=2)


def network(name: str) -> dict[str, str]:
    return {"weights": name}


def write_detect() -> None:
    content = {
        "input": {"lq": "lq"},
        "output": "results",
        "device": "cpu",
        "precision": "fp32",
        "scale": 2,
        "sr_gan": network("gan.pth"),
        "sr_mse": network("mse.pth"),
        "detector": {"type": "relative_local_variance"},
        "mask": {"threshold": 0.99, "min_area": 4, "min_area_unit": "px"},
    }
    Path("detect.yml").write_text(yaml.safe_dump(content, sort_keys=False))
    detect.detect(options.load(DetectOptions, "detect.yml"))


def write_train() -> None:
    content = train_settings(Path("experiments"), Path("gt"))
    content["path"]["pretrain_network_g"] = "gan.pth"
    content["datasets"]["train"] |= {"gt_size": 28, "crop_pad_size": 40}
    step = content["train"]
    step["pixel_opt"] = {"type": "L1Loss", "loss_weight": 2.0, "inside": 1.0, "outside": 0.5}
    step["texture_opt"] = {"type": "LocalStdLoss", "loss_weight": 0.5}
    step["preserve_opt"] = {"type": "L1Loss", "loss_weight": 1.0}
    step["l1_gt_usm"] = True
    step["net_d_init_iters"] = 0
    step["scheduler"] = {"type": "MultiStepLR", "milestones": [5], "gamma": 0.5}
    content["logger"] = {"print_freq": 1, "save_checkpoint_freq": 3, "image_freq": 0}
    Path("train.yml").write_text(yaml.safe_dump(content, sort_keys=False))
    train.train(options.load(TrainOptions, "train.yml", ["train:total_iter=3"]))
    whole = options.load(TrainOptions, "train.yml", ["path:experiments_root=whole"])
    train.train(whole)
    shutil.copy("whole/tiny/models/net_g_latest.pth", "expected.pth")
    shutil.rmtree("whole")


def write_run() -> None:
    content = {
        "input": {"lq": "lq"},
        "output": "run",
        "device": "cpu",
        "precision": "fp32",
        "sr_gan": network("gan.pth"),
        "sr_mse": network("mse.pth"),
        "holdout_share": 0.4,
        "max_rounds": 2,
        "min_gain": 0,
        "min_detail": 0,
        "sample_area": 0.5,
        "detect": {
            "detector": {"type": "relative_local_variance"},
            "mask": {"min_area": 8, "threshold": 0.99},
        },
        "train": {
            "datasets": {
                "train": {"gt_size": 16},
                "batch_size": 2,
                "num_workers": 0,
            },
            "train": {"total_iter": 2, "warmup_iter": 0, "pixel_opt": {"loss_weight": 3.0}},
            "logger": {"save_checkpoint_freq": 2, "image_freq": 0},
        },
        "evaluate": {"sheet_rows": 1},
    }
    Path("run.yml").write_text(yaml.safe_dump(content, sort_keys=False))
    run.run(options.load(RunOptions, "run.yml", ["max_rounds=1"]))


def main() -> None:
    """Write everything anew, in a folder of its own, and pack it."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        write_inputs()
        write_detect()
        write_train()
        write_run()
        for pattern in ("*.tfevents.*", "sheet.png"):  # large, and nothing reads them
            for file in Path().rglob(pattern):
                file.unlink()
        shutil.make_archive(str(ARCHIVE.with_suffix("")), "zip", folder)
        os.chdir(ARCHIVE.parent)


if __name__ == "__main__":
    main()
