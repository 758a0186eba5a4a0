"""What a user gets wrong: one clear sentence, status 2, nothing half-written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from desra import detect, train
from desra.options.detect import DetectOptions
from desra.options.train import TrainOptions
from helpers.paths import ROOT
from helpers.small import photograph, save_compact, save_png, train_settings


@pytest.fixture
def detect_file(tmp_path: Path) -> Path:
    """Options and input of a detect run that works."""
    for i in range(2):
        save_png(tmp_path / "lq" / f"p{i}.png", photograph(i, 20, 24))
    settings = {
        "input": {"lq": str(tmp_path / "lq")},
        "output": str(tmp_path / "out"),
        "scale": 2,
        "device": "cpu",
        "precision": "fp32",
        "sr_gan": {"weights": str(save_compact(tmp_path / "gan.pth", 2, seed=1))},
        "sr_mse": {"weights": str(save_compact(tmp_path / "mse.pth", 2, seed=2))},
    }
    return write_yaml(tmp_path / "detect.yml", settings)


def write_yaml(path: Path, content: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def sentence(status: int, captured: Any) -> str:
    """The one sentence of a refusal."""
    assert status == 2
    assert "Traceback" not in captured.err
    lines = [line for line in captured.err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, captured.err
    return captured.err


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_detect_works_here(detect_file: Path, tmp_path: Path):
    assert detect.main(["-opt", str(detect_file)]) == 0
    rows = [json.loads(line) for line in (tmp_path / "out/manifest.jsonl").open()]
    assert [row["stem"] for row in rows] == ["p0", "p1"]
    for kind in ("sr_gan", "sr_mse", "map", "mask", "overlay", "pseudo_gt"):
        assert (tmp_path / "out" / kind / "p1.png").is_file()


def missing_folder(root: Path) -> str:
    return f"input:lq={root / 'nowhere'}"


def empty_folder(root: Path) -> str:
    (root / "empty").mkdir()
    return f"input:lq={root / 'empty'}"


def text_named_png(root: Path) -> str:
    (root / "lq" / "p3.png").write_text("no picture")
    return "on_error=stop"


def only_text(root: Path) -> str:
    for path in (root / "lq").iterdir():
        path.write_text("no picture")
    return "on_error=skip"


def empty_png(root: Path) -> str:
    (root / "lq" / "p3.png").touch()
    return "on_error=stop"


def discriminator(root: Path) -> str:
    import torch

    from desra.registry import ARCH_REGISTRY, find

    net = find(ARCH_REGISTRY, "UNetDiscriminatorSN", "")(3, num_feat=4)
    torch.save({"params": net.state_dict()}, root / "net_d.pth")
    return f"sr_gan:weights={root / 'net_d.pth'}"


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda _: "mask:treshold=0.6", "mask.treshold: unknown key; did you mean 'threshold'?"),
        (lambda _: "mask:threshold=low", "mask.threshold: "),
        (missing_folder, "does not exist"),
        (empty_folder, "holds no images"),
        (text_named_png, "p3.png"),
        (empty_png, "p3.png"),
        (only_text, "p0.png"),
        (lambda _: "scale=4", "is an x2 network, but scale is 4"),
        (lambda _: "sr_gan:weights=none.pth", "none.pth does not exist"),
        (lambda _: "input:lq=embedded:nothing", "embedded:"),
        (lambda _: "device=gpu", "device: 'gpu' cannot be used here"),
        (lambda _: "precision=fp16", "fp16 is not for a CPU"),
        (lambda _: "import=[none_such_module]", "none_such_module"),
        (lambda _: "mask", "--force_yml: 'mask' must be written"),
        (discriminator, "net_d.pth"),
    ],
)
def test_detect_refuses(make: Any, reason: str, detect_file: Path, tmp_path: Path, capsys: Any):
    assignment = make(tmp_path)
    status = detect.main(["-opt", str(detect_file), "--force_yml", assignment])
    assert reason in sentence(status, capsys.readouterr())
    assert not (tmp_path / "out").exists()


def test_a_refusal_leaves_earlier_results(detect_file: Path, tmp_path: Path, capsys: Any):
    assert detect.main(["-opt", str(detect_file)]) == 0
    before = everything(tmp_path / "out")
    text_named_png(tmp_path)
    assert detect.main(["-opt", str(detect_file)]) == 2
    assert everything(tmp_path / "out") == before


def test_unreadable_images_are_skipped_if_wanted(detect_file: Path, tmp_path: Path, caplog: Any):
    text_named_png(tmp_path)
    assert detect.main(["-opt", str(detect_file), "--force_yml", "on_error=skip"]) == 0
    rows = [json.loads(line) for line in (tmp_path / "out/manifest.jsonl").open()]
    assert [row["stem"] for row in rows] == ["p0", "p1"]
    assert any("skipped" in r.message and "p3.png" in r.message for r in caplog.records)


@pytest.mark.parametrize(
    ("assignment", "reason"),
    [
        ("train:total_itr=3", "train.total_itr: unknown key; did you mean 'total_iter'?"),
        ("network_g:type=SRVGGNetCompat", "did you mean 'SRVGGNetCompact'"),
        ("network_g:num_fea=4", "network_g: SRVGGNetCompact does not take these options"),
        ("network_g:upscale=4", "network_g: SRVGGNetCompact is an x4 network, but scale is 2"),
        ("datasets:train:dataroot_gt=nowhere", "does not exist"),
        ("datasets:train:gt_sise=16", "datasets.train: DegradedDataset does not take"),
        ("datasets:train:gt_size=17", "gt_size 17"),
        ("path:pretrain_network_g=none.pth", "none.pth does not exist"),
        ("train:optim_g:type=Adamm", "Adamm"),
        ("train:optim_g:lrr=1", "train.optim_g: Adam does not take these options"),
        ("train:scheduler:type=LambdaLR", "train.scheduler.type: 'LambdaLR' is not one of"),
        ("train:pixel_opt:type=L1Los", "did you mean 'L1Loss'"),
        ("model_type=DeSRAModl", "did you mean 'DeSRAModel'"),
    ],
)
def test_train_refuses(
    assignment: str, reason: str, photographs: Path, tmp_path: Path, capsys: Any
):
    file = write_yaml(tmp_path / "train.yml", train_settings(tmp_path / "runs", photographs))
    status = train.main(["-opt", str(file), "--force_yml", assignment])
    assert reason in sentence(status, capsys.readouterr())
    assert not (tmp_path / "runs").exists()


def test_train_refuses_an_empty_folder_and_text_named_png(
    photographs: Path, tmp_path: Path, capsys: Any
):
    settings = train_settings(tmp_path / "runs", photographs)
    file = write_yaml(tmp_path / "train.yml", settings)
    (tmp_path / "empty").mkdir()
    status = train.main(
        ["-opt", str(file), "--force_yml", f"datasets:train:dataroot_gt={tmp_path / 'empty'}"]
    )
    assert "holds no images" in sentence(status, capsys.readouterr())
    (photographs / "notes.png").write_text("no picture")
    assert "notes.png" in sentence(train.main(["-opt", str(file)]), capsys.readouterr())
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("stage", ["detect", "train"])
def test_check_prints_what_loads_to_the_same(
    stage: str, detect_file: Path, photographs: Path, tmp_path: Path, capsys: Any
):
    from desra.options.loading import load

    model, main, file = {
        "detect": (DetectOptions, detect.main, detect_file),
        "train": (
            TrainOptions,
            train.main,
            write_yaml(tmp_path / "train.yml", train_settings(tmp_path / "runs", photographs)),
        ),
    }[stage]
    assert main(["-opt", str(file), "--check"]) == 0
    printed = capsys.readouterr().out
    again = tmp_path / "again.yml"
    again.write_text(printed)
    assert load(model, str(again)) == load(model, str(file))
    assert main(["-opt", str(again), "--check"]) == 0
    assert capsys.readouterr().out == printed
    assert not (tmp_path / "out").exists() and not (tmp_path / "runs").exists()


def test_the_status_reaches_the_shell(tmp_path: Path):
    command = [sys.executable, "-m", "desra.detect", "-opt", "options/detect.yml"]
    wrong = subprocess.run(
        [*command, "--force_yml", "ouput=x"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert wrong.returncode == 2
    assert "ouput: unknown key; did you mean 'output'?" in wrong.stderr
    assert "Traceback" not in wrong.stderr and wrong.stdout == ""
    assert list(tmp_path.iterdir()) == []
