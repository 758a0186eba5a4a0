"""Plain values before validation: numbers, empty sections, the home folder, impossible texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from desra import detect, upscale
from desra.options.degradation import Degradation
from desra.options.detect import DetectOptions
from desra.options.loading import load, parse
from desra.options.run import RunOptions
from desra.options.train import TrainOptions
from desra.options.upscale import UpscaleOptions
from desra.utils.errors import InputError
from helpers.small import train_settings

DETECT: dict[str, Any] = {"input": {"lq": "a"}, "output": "b"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"mask": {"min_area": float("inf")}}, "mask.min_area: must be a finite number"),
        ({"mask": {"threshold": float("nan")}}, "mask.threshold: must be a finite number"),
        ({"mask": {"threshold": True}}, r"mask\.threshold: must be a number \(given: true\)"),
        ({"scale": True}, r"scale: must be a number \(given: true\)"),
        ({"sr_bits": True}, "sr_bits"),
        ({"tile": {"size": False}}, r"tile\.size: must be a number \(given: false\)"),
        ({"window": {"size": True}}, r"window\.size: must be a number"),
        ({"scale": 10**30}, "scale: must be a number of at most 18 digits"),
        ({"output": "a\0b"}, "output: must not hold the character NUL"),
        ({"output": "a" * 5000}, "output: must be a text of at most 4095 bytes"),
        ({"output": "~nobody_of_this_name/x"}, "output: there is no home folder"),
        ({3: 4}, "3: a key must be a text"),
        ({"mask": [1]}, "mask"),
        ({"input": "photos"}, "input"),
    ],
)
def test_refused(changes: dict[Any, Any], words: str):
    with pytest.raises(InputError, match=words):
        parse(DetectOptions, DETECT | changes, "file.yml")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("train.optim_g.lr", -1),
        ("train.optim_g.lr", True),
        ("train.optim_g.lr", float("nan")),
        ("train.scheduler.eta_min", -1e-7),
        ("train.losses.pix.weight", -1),
        ("train.losses.pix.weight", True),
        ("train.losses.pix.inside", float("inf")),
        ("train.losses.pix.style_weight", -1),
        ("train.losses.gan.loss_weight", -1),
        ("train.losses.pix.layer_weights", {"conv5_4": -1}),
        ("datasets.train.share", True),
        ("manual_seed", -1),
        ("manual_seed", 2**40),
        ("train", None),
        ("train.losses", [[1]]),
        ("train.losses.pix", 3),
        ("datasets", 3),
        ("path", []),
    ],
)
def test_refused_in_a_training(path: str, value: Any, tmp_path: Path):
    settings = train_settings(tmp_path, tmp_path)
    *parents, last = path.split(".")
    section = settings
    for key in parents:
        section = section[key]
    section[last] = value
    with pytest.raises(InputError, match=parents[0] if parents else last):
        parse(TrainOptions, settings, "file.yml")


def test_sections_with_their_keys_commented_out(tmp_path: Path):
    text = "input: {lq: a}\noutput: b\nmask:\ntile:\nimport:\nsr_mse:\n"
    (tmp_path / "o.yml").write_text(text)
    opt = load(DetectOptions, str(tmp_path / "o.yml"))
    plain = parse(DetectOptions, DETECT, "x")
    assert (opt.mask, opt.tile, opt.imports) == (plain.mask, plain.tile, [])
    assert opt.sr_mse is None  # null has a meaning of its own
    settings = train_settings(tmp_path, tmp_path) | {"val": None, "logger": None}
    assert parse(TrainOptions, settings, "x").val is None
    run = {"input": {"lq": "a"}, "output": "b", "detect": None, "train": None}
    assert parse(RunOptions, run, "x").detect == {}


def test_a_file_of_basicsr_with_an_empty_val(tmp_path: Path):
    text = (
        "name: x\nmodel_type: SRModel\nnum_gpu: 0\nscale: 2\n"
        "network_g: {type: SRVGGNetCompact, num_feat: 4, num_conv: 1, upscale: 2}\n"
        "datasets:\n  train: {type: DegradedDataset, dataroot_gt: g, gt_size: 16}\n  val:\n"
        "train: {total_iter: 6, optim_g: {type: Adam, lr: 1e-3}, pixel_opt: {type: L1Loss}}\n"
        "val:\n"
    )
    (tmp_path / "o.yml").write_text(text)
    assert load(TrainOptions, str(tmp_path / "o.yml")).val is None


def test_the_home_folder_in_every_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    content = {
        "input": {"lq": "~/photos"},
        "output": "~/out",
        "sr_gan": {"weights": "~/gan.pth"},
        "masks": "~",
    }
    opt = parse(DetectOptions, content, "x")
    assert opt.input.lq == f"{tmp_path}/photos"
    assert (opt.output, opt.masks) == (f"{tmp_path}/out", str(tmp_path))
    assert opt.sr_gan.weights == f"{tmp_path}/gan.pth"
    settings = train_settings(Path("~/runs"), Path("~/photos"))
    train = parse(TrainOptions, settings, "x")
    assert train.path.experiments_root == f"{tmp_path}/runs"
    assert train.datasets.train.spec()["dataroot_gt"] == f"{tmp_path}/photos"
    run = {"input": {"lq": "a", "add": ["~/b"]}, "output": "b"}
    assert parse(RunOptions, run, "x").input.add == [f"{tmp_path}/b"]
    (tmp_path / "o.yml").write_text("input: {lq: a}\noutput: b\n")
    assert load(DetectOptions, "~/o.yml", ["output=~/c"]).output == f"{tmp_path}/c"
    assert parse(DetectOptions, DETECT | {"output": "./~/x"}, "x").output == "./~/x"


@pytest.mark.parametrize("name", ["n" * 300, "a/" * 3000, "\0"])
def test_names_that_no_file_can_have(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    for argv in (
        ["-i", name, "-o", "out"],
        ["-i", "embedded:finetune", "-o", f"out/{name}"],
        ["-i", "embedded:finetune", "-o", "out", "--model", name],
        ["-opt", name],
    ):
        for stage in (detect, upscale):
            assert stage.main(argv) == 2
            assert "error: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("datasets.batch_size", 10**9),
        ("datasets.num_workers", 10**6),
        ("datasets.train.gt_size", 0),
        ("datasets.train.gt_size", -16),
        ("datasets.train.gt_size", 10**6),
        ("datasets.train.gt_size", "big"),
        ("datasets.train.crop_pad_size", 10**6),
        ("train.accumulate", 10**9),
        ("train.low_rank", 10**9),
        ("scale", 10**9),
    ],
)
def test_numbers_that_no_machine_can_hold(path: str, value: Any, tmp_path: Path):
    settings = train_settings(tmp_path, tmp_path)
    *parents, last = path.split(".")
    section = settings
    for key in parents:
        section = section[key]
    section[last] = value
    with pytest.raises(InputError, match=last):
        parse(TrainOptions, settings, "file.yml")


@pytest.mark.parametrize(
    ("model", "changes", "key"),
    [
        (DetectOptions, {"mask": {"kernel": 10**9 + 1}}, r"mask\.kernel"),
        (DetectOptions, {"mask": {"dilate": 10**9}}, r"mask\.dilate"),
        (DetectOptions, {"window": {"size": 10**9 + 1}}, r"window\.size"),
        (UpscaleOptions, {"input": "a", "outscale": 1e6}, "outscale"),
        (UpscaleOptions, {"input": "a", "outscale": True}, "outscale"),
        (Degradation, {"kernel_range": [7, 10**6]}, "kernel_range"),
        (Degradation, {"resize_range2": [1.5, 0.5]}, "resize_range2"),
        (Degradation, {"resize_prob": [-1, 1, 1]}, "resize_prob"),
        (Degradation, {"jpeg_range": [-5, 95]}, "jpeg_range"),
        (Degradation, {"noise_range": [True, 30]}, r"noise_range\.0: must be a number"),
    ],
)
def test_numbers_of_other_sections(model: Any, changes: dict[str, Any], key: str):
    plain = {} if model is Degradation else DETECT
    with pytest.raises(InputError, match=key):
        parse(model, plain | changes, "file.yml")
