"""A step of ours against a step of basicsr's own models, on the same networks and tensors."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from desra.losses.usm import usm_sharp
from desra.models import DeSRAModel
from desra.options.loading import parse
from desra.options.train import TrainOptions
from desra.registry import MODEL_REGISTRY, find, vgg_from
from helpers.small import save_vgg, train_settings

# isort: split
from basicsr.losses.basic_loss import L1Loss, PerceptualLoss
from basicsr.losses.gan_loss import GANLoss

PERCEPTUAL: dict[str, Any] = {
    "vgg_type": "vgg11",
    "layer_weights": {"conv1_1": 0.1, "conv3_1": 1},
    "perceptual_weight": 2.0,
    "style_weight": 10.0,
}
LOSSES: dict[str, dict[str, Any]] = {
    "pix": {"type": "L1Loss", "weight": 0.5},
    "ldl": {"type": "LDLLoss", "criterion": "L1Loss", "weight": 3.0},
    "percep": {"type": "PerceptualLoss", **PERCEPTUAL},
    "gan": {"type": "GANLoss", "gan_type": "vanilla", "weight": 0.1},
}


def batch(seed: int = 0) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return {
        "lq": torch.rand((2, 3, 16, 16), generator=draw),
        "gt": torch.rand((2, 3, 32, 32), generator=draw),
        "mask": torch.zeros((2, 1, 32, 32)),
    }


def ours(tmp_path: Path, **changes: Any) -> DeSRAModel:
    settings = train_settings(tmp_path, tmp_path)
    settings["train"].update(
        {
            "warmup_iter": 0,
            "scheduler": None,
            "ema_decay": 0.9,
            "optim_g": {"type": "SGD", "lr": 0.1},
            "optim_d": {"type": "SGD", "lr": 0.1},
            "losses": copy.deepcopy(LOSSES),
        }
    )
    losses = settings["train"]["losses"]
    for name, section in changes.items():
        losses[name] = section and {**losses[name], **section}
    losses["percep"]["vgg_weights"] = str(save_vgg(tmp_path / "vgg.pth"))
    torch.manual_seed(0)
    return DeSRAModel(parse(TrainOptions, settings, "test"))


def theirs(name: str, mine: DeSRAModel, opt: dict[str, Any]) -> Any:
    """basicsr's model around copies of the same networks, without its set-up, which needs CUDA."""
    cls = find(MODEL_REGISTRY, name, "")
    model = cls.__new__(cls)
    model.opt = {"dist": False, **opt}
    model.net_g, model.net_d = copy.deepcopy(mine.net_g), copy.deepcopy(mine.net_d)
    assert mine.ema is not None
    model.net_g_ema = copy.deepcopy(mine.ema.module)
    features = copy.deepcopy(mine.objective.loss("percep").vgg.vgg_net)

    model.cri_pix, model.cri_ldl = L1Loss(loss_weight=0.5), L1Loss(loss_weight=3.0)
    with vgg_from(lambda _: features):
        model.cri_perceptual = PerceptualLoss(**PERCEPTUAL)
    model.cri_gan = GANLoss("vanilla", loss_weight=0.1)
    model.optimizer_g = torch.optim.SGD(model.net_g.parameters(), 0.1)
    model.optimizer_d = torch.optim.SGD(model.net_d.parameters(), 0.1)
    model.net_d_iters, model.net_d_init_iters, model.ema_decay = 1, 0, 0
    return model


def agree(mine: DeSRAModel, other: Any, data: dict[str, Tensor], iterations: int = 2) -> None:
    assert mine.net_d is not None
    for i in range(1, iterations + 1):
        losses = mine.optimize(data, i)
        other.lq, other.gt, other.gt_usm = data["lq"], data["gt"], usm_sharp(data["gt"])
        if mine.ema is not None:
            other.optimize_parameters(i)
            other.net_g_ema.load_state_dict(mine.ema.module.state_dict())
        assert set(losses) == set(other.log_dict)
        for name, value in losses.items():
            assert value.item() == pytest.approx(other.log_dict[name], rel=1e-4, abs=1e-7), name
    for net, twin in ((mine.net_g, other.net_g), (mine.net_d, other.net_d)):
        for a, b in zip(net.parameters(), twin.parameters(), strict=True):
            torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("usm", [(False, False, False), (True, True, False), (False, False, True)])
def test_real_esrgan_with_ldl(usm: tuple[bool, bool, bool], tmp_path: Path):
    flags = dict(zip(("l1_gt_usm", "percep_gt_usm", "gan_gt_usm"), usm, strict=True))
    towards = [{"towards": "gt_usm" if sharp else "gt"} for sharp in usm]
    mine = ours(tmp_path, **dict(zip(("pix", "percep", "gan"), towards, strict=True)))
    agree(mine, theirs("RealESRGANModel", mine, flags), batch())


def test_esrgan(tmp_path: Path):
    mine = ours(tmp_path, ldl=None, gan={"relativistic": True})
    agree(mine, theirs("ESRGANModel", mine, {}), batch())


def test_srgan(tmp_path: Path):
    mine = ours(tmp_path, ldl=None)
    agree(mine, theirs("SRGANModel", mine, {}), batch())
