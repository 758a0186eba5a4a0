"""The options of Real-ESRGAN, LDL and SwinIR: each finds and finetunes, with small networks."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from desra.artifacts import MaskRule, artifact_map, full_size_mask
from desra.detect import detect
from desra.io import manifest
from desra.io.images import write_image
from desra.io.results import read_result, similarity, whole_mask
from desra.models import DeSRAModel
from desra.networks.zoo import ZOO
from desra.options.detect import DetectOptions
from desra.options.loading import load
from desra.options.train import TrainOptions
from desra.registry import ARCH_REGISTRY, find
from desra.train import train
from desra.utils.errors import InputError
from helpers.small import photograph, save_png, save_vgg

SYSTEMS = ("realesrgan", "ldl", "swinir")
SMALL: dict[str, dict[str, Any]] = {
    "RRDBNet": {"num_feat": 8, "num_block": 1, "num_grow_ch": 4},
    "SwinIR": {"embed_dim": 12, "depths": [1, 1], "num_heads": [2, 2]},
}


def file_of(system: str, stage: str) -> str:
    return f"options/{system}/{stage}.yml"


def forced(section: str, values: dict[str, Any]) -> list[str]:
    return [f"{section}:{key}={value}" for key, value in values.items()]


def shrunken(system: str, results: Path, *more: str) -> TrainOptions:
    """The options as they ship, but for sizes and paths."""
    whole = load(TrainOptions, file_of(system, "finetune"))
    return load(
        TrainOptions,
        file_of(system, "finetune"),
        [
            *forced("network_g", SMALL[whole.network_g.type]),
            "network_d:num_feat=4",
            "path:pretrain_network_g=null",
            f"path:experiments_root={results / 'experiments'}",
            f"datasets:train:dataroot={results}",
            "datasets:train:gt_size=32",
            "datasets:batch_size=2",
            "datasets:num_workers=0",
            "train:total_iter=2",
            "device=cpu",
            "precision=fp32",
            *more,
        ],
    )


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """What detect would have written for one image with one artifact."""
    gt = photograph(0, 96, 128)
    lq = cv2.resize(gt, (32, 24), interpolation=cv2.INTER_AREA)
    mask = np.zeros((96, 128), bool)
    mask[20:60, 30:80] = True
    folder = tmp_path / "results"
    write_image(tmp_path / "lq/a.png", lq)
    write_image(manifest.result(folder, "pseudo_gt", "a"), gt)
    write_image(manifest.result(folder, "mask", "a"), mask)
    row = manifest.Row(
        stem="a",
        lq=str(tmp_path / "lq/a.png"),
        lq_size=(24, 32),
        sr_size=(96, 128),
        scale=4,
        mask_pixels=2000,
        regions=1,
        mean_D=0.9,
        seconds={},
        settings="x",
        notes=(),
    )
    manifest.write(folder, [row])
    return folder


# -------------------------------------------------------------------------------- finetuning


@pytest.mark.parametrize("system", SYSTEMS)
def test_finetuning(system: str, results: Path):
    opt = shrunken(system, results, "train:losses:percep=null")
    latest = train(opt)
    saved = torch.load(latest, weights_only=True)
    net = find(ARCH_REGISTRY, opt.network_g.type, "")(
        **{k: v for k, v in opt.network_g.spec().items() if k != "type"}
    )
    net.load_state_dict(saved["params_ema"])
    log = (latest.parents[1] / "train.log").read_text()
    assert "l_g_pix" in log and "l_g_gan" in log and "l_d_fake" in log
    assert ("l_g_ldl" in log) == (system == "ldl")


def test_with_the_perceptual_loss(results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The published layers of a VGG19; only its weights are random."""
    weights = save_vgg(tmp_path / "vgg.pth", "vgg19")
    key = f"train:losses:percep:vgg_weights={weights}"
    model = DeSRAModel(shrunken("realesrgan", results, key))
    draw = torch.Generator().manual_seed(0)
    batch = {
        "lq": torch.rand((1, 3, 8, 8), generator=draw),
        "gt": torch.rand((1, 3, 32, 32), generator=draw),
        "mask": torch.zeros((1, 1, 32, 32)),
    }
    loss = model.optimize(batch, 1)["l_g_percep"].item()
    assert math.isfinite(loss) and loss > 0

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "none"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"vgg19-dcbb9e9d\.pth .*train:losses:percep=null"):
        DeSRAModel(shrunken("realesrgan", results))


def test_the_gentle_recipe(results: Path, tmp_path: Path):
    """From weights of its own, by deltas whose share is kept, without a discriminator."""
    file = "options/realesrgan/finetune_gentle.yml"
    whole = load(TrainOptions, file)
    assert whole.path == load(TrainOptions, file_of("realesrgan", "finetune")).path
    spec = {**whole.network_g.spec(), **SMALL["RRDBNet"]}
    before = find(ARCH_REGISTRY, spec.pop("type"), "")(**spec).state_dict()
    torch.save({"params": before}, tmp_path / "before.pth")
    small = [
        *forced("network_g", SMALL["RRDBNet"]),
        f"path:pretrain_network_g={tmp_path / 'before.pth'}",
        f"path:experiments_root={tmp_path}",
        f"datasets:train:dataroot={results}",
        "datasets:train:gt_size=32",
        "datasets:batch_size=2",
        "datasets:num_workers=0",
        "train:total_iter=3",
        "train:warmup_iter=1",
        "train:losses:art:target=0.99",
        "device=cpu",
        "precision=fp32",
    ]
    latest = train(load(TrainOptions, file, small))
    saved = torch.load(latest, weights_only=True)["params_ema"]
    assert saved.keys() == before.keys()
    change = saved["body.0.rdb1.conv1.weight"] - before["body.0.rdb1.conv1.weight"]
    values = torch.linalg.svdvals(change.flatten(1))
    assert values[0] > 0 and len(values) == 4  # as many as the rank: of a growth of 4
    log = (latest.parents[1] / "train.log").read_text()
    assert "l_g_art" in log and "l_g_keep" in log and "l_g_pix" not in log


def test_windows_need_crops_of_their_multiples(results: Path):
    opt = shrunken("swinir", results, "datasets:train:gt_size=36", "train:losses:percep=null")
    with pytest.raises(InputError, match=r"gt_size: 36 / 4 must be a multiple of .*SwinIR, 8"):
        DeSRAModel(opt)


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_published_settings(system: str):
    opt = load(TrainOptions, file_of(system, "finetune"))
    step = opt.train
    for section in (step.optim_g, step.optim_d):
        assert section is not None
        spec = section.spec()
        assert (section.type, spec["lr"], spec["betas"]) == ("Adam", 1e-4, [0.9, 0.99])
    assert step.active["pix"].type == "L1Loss"
    assert step.active["pix"].weight == (0.01 if system == "ldl" else 1.0)
    spec = step.active["percep"].spec()
    assert (spec["vgg_type"], spec["perceptual_weight"]) == ("vgg19", 1.0)
    assert spec["layer_weights"] == {
        "conv1_2": 0.1,
        "conv2_2": 0.1,
        "conv3_4": 1,
        "conv4_4": 1,
        "conv5_4": 1,
    }
    assert step.active["gan"].weight == 0.1
    assert step.active["gan"].spec()["gan_type"] == "vanilla"
    assert step.ema_decay == 0.999
    assert opt.datasets.train.spec()["gt_size"] == 256
    assert opt.datasets.train.spec().get("use_rot", True) == (system == "swinir")
    assert opt.network_d and opt.network_d.spec()["num_feat"] == 64
    assert ("ldl" in step.losses) == (system == "ldl")
    assert opt.discriminator_first == 200
    assert {section.towards for section in step.active.values()} == {"gt"}


@pytest.mark.parametrize("system", SYSTEMS)
def test_networks_are_those_of_the_zoo(system: str):
    opt = load(TrainOptions, file_of(system, "finetune"))
    found = load(DetectOptions, file_of(system, "detect"))
    weights = opt.path.pretrain_network_g
    assert weights and weights == found.sr_gan.weights
    entry = ZOO[weights]
    assert found.sr_mse and found.sr_mse.weights == entry.partner
    assert entry.kind == "GAN" and opt.scale == found.scale == entry.scale
    cls = find(ARCH_REGISTRY, opt.network_g.type, "")
    given, published = (
        cls(**{k: v for k, v in spec.items() if k != "type"}).state_dict()
        for spec in (opt.network_g.spec(), entry.network_g)
    )
    assert {k: v.shape for k, v in given.items()} == {k: v.shape for k, v in published.items()}
    assert opt.datasets.train.spec()["dataroot"] == found.output


# ---------------------------------------------------------------------------------- detection


@pytest.mark.parametrize("system", SYSTEMS)
def test_detection(system: str, tmp_path: Path):
    """On an image whose sides are no multiples of SwinIR's window: each network's own output, and
    the paper's map and mask of the two."""
    entry = ZOO[load(DetectOptions, file_of(system, "detect")).sr_gan.weights]
    spec = {**entry.network_g, **SMALL[entry.network_g["type"]]}
    cls = find(ARCH_REGISTRY, spec.pop("type"), "")
    lq = np.random.default_rng(0).integers(0, 256, (21, 27, 3), np.uint8)
    save_png(tmp_path / "lq/a.png", lq)
    # SwinIR's own script mirrors to multiples of 8 at the bottom and on the right.
    grown = np.pad(lq, ((0, 3), (0, 5), (0, 0)), mode="reflect") if system == "swinir" else lq
    expected: dict[str, np.ndarray] = {}
    for name, seed, contrast in (("gan", 0, 0.3), ("mse", 1, 0.02)):
        torch.manual_seed(seed)
        net = cls(**spec).eval()
        x = torch.tensor(grown).permute(2, 0, 1)[None] / 255
        with torch.no_grad():  # weights at random make one colour: give them contrast around gray
            net.conv_last.weight.mul_(contrast / net(x).std())
            net.conv_last.bias.sub_(net(x).mean() - 0.5)
            out = net(x)[0]
        torch.save({"params_ema": net.state_dict()}, tmp_path / f"{name}.pth")
        pixels = (out.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
        expected[f"sr_{name}"] = pixels[:84, :108]
    opt = load(
        DetectOptions,
        file_of(system, "detect"),
        [
            f"input:lq={tmp_path / 'lq'}",
            f"output={tmp_path / 'out'}",
            "device=cpu",
            f"sr_gan:weights={tmp_path / 'gan.pth'}",
            f"sr_mse:weights={tmp_path / 'mse.pth'}",
            "precision=fp32",
        ],
    )
    detect(opt)
    (row,) = manifest.read_results(str(tmp_path / "out"), "").values()
    assert row.sr_size == (84, 108) and (row.mask_pixels > 0) == (row.regions > 0)
    found = {kind: read_result(tmp_path / "out", kind, row) for kind in expected}
    for kind, pixels in expected.items():
        assert pixels.std() > 3
        np.testing.assert_allclose(found[kind].astype(int), pixels, atol=1, err_msg=kind)
    D = artifact_map(found["sr_mse"], found["sr_gan"])
    np.testing.assert_allclose(similarity(tmp_path / "out", row), D, atol=0.5 / 255 + 1e-9)
    assert row.mean_D == pytest.approx(D.mean())
    assert opt.mask.min_area == 4000 and opt.mask.threshold == 0.7
    mask = full_size_mask(D, row.sr_size, MaskRule())
    assert mask.any()
    np.testing.assert_array_equal(whole_mask(tmp_path / "out", row), mask)
