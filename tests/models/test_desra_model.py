"""One training step against the same step written out."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from desra.losses.artifact_map_loss import relative_map
from desra.losses.texture_loss import local_std
from desra.models import DeSRAModel
from desra.options.loading import parse
from desra.options.train import TrainOptions
from desra.utils.errors import InputError
from helpers.model_batch import batch
from helpers.small import change_step, save_compact, train_settings


def model_of(tmp_path: Path, gan: bool = False, **changes: Any) -> DeSRAModel:
    """A model of the tiny options; ``changes`` are keys of the section ``train``."""
    settings = train_settings(tmp_path, tmp_path, gan)
    change_step(settings, **{"warmup_iter": 0, "scheduler": None, **changes})
    torch.manual_seed(0)
    return DeSRAModel(parse(TrainOptions, settings, "test"))


def weights(net: torch.nn.Module) -> list[Tensor]:
    return [p.detach().clone() for p in net.parameters()]


SGD = {"optim_g": {"type": "SGD", "lr": 0.1}}


@pytest.mark.parametrize(("inside", "outside"), [(1.0, 1.0), (4.0, 0.5), (0.0, 1.0)])
def test_a_step_with_the_pixel_loss(inside: float, outside: float, tmp_path: Path):
    pixel = {"type": "L1Loss", "weight": 2.0, "inside": inside, "outside": outside}
    model, data = model_of(tmp_path, **SGD, losses={"pix": pixel}), batch()
    twin = copy.deepcopy(model.net_g)
    losses = model.optimize(data, 1)

    error = (twin(data["lq"]) - data["gt"]).abs()
    factor = torch.where(data["mask"] > 0, inside, outside)
    loss = 2.0 * (error * factor).mean()
    loss.backward()
    assert losses["l_g_pix"].item() == pytest.approx(loss.item(), rel=1e-5)
    for after, before in zip(model.net_g.parameters(), twin.parameters(), strict=True):
        assert before.grad is not None
        torch.testing.assert_close(after, before - 0.1 * before.grad, atol=1e-7, rtol=1e-5)


def test_the_truth_under_a_factor_of_zero_does_not_matter(tmp_path: Path):
    pixel = {"type": "L1Loss", "inside": 0.0}
    one, two = (model_of(tmp_path, losses={"pix": pixel}) for _ in range(2))
    data = batch()
    one.optimize(data, 1)
    two.optimize({**data, "gt": torch.where(data["mask"] > 0, 0.5, data["gt"])}, 1)
    assert all(map(torch.equal, weights(one.net_g), weights(two.net_g)))


def test_a_step_with_the_adversarial_loss(tmp_path: Path):
    changes = {**SGD, "optim_d": {"type": "SGD", "lr": 0.1}, "losses": {"pix": None}}
    model, data = model_of(tmp_path, gan=True, **changes), batch()
    assert model.net_d is not None
    net_g, net_d = copy.deepcopy(model.net_g), copy.deepcopy(model.net_d)
    losses = model.optimize(data, 1)

    bce = torch.nn.functional.binary_cross_entropy_with_logits
    fake = net_g(data["lq"])
    logits = net_d(fake)
    loss = 0.1 * bce(logits, torch.ones_like(logits))
    loss.backward()
    assert losses["l_g_gan"].item() == pytest.approx(loss.item(), rel=1e-5)
    for after, before in zip(model.net_g.parameters(), net_g.parameters(), strict=True):
        assert before.grad is not None
        torch.testing.assert_close(after, before - 0.1 * before.grad, atol=1e-7, rtol=1e-4)

    net_d.zero_grad()
    real, made = net_d(data["gt"]), net_d(fake.detach())
    (bce(real, torch.ones_like(real)) + bce(made, torch.zeros_like(made))).backward()
    for after, before in zip(model.net_d.parameters(), net_d.parameters(), strict=True):
        assert before.grad is not None
        torch.testing.assert_close(after, before - 0.1 * before.grad, atol=1e-6, rtol=1e-4)


def test_ema_is_the_moving_average(tmp_path: Path):
    model = model_of(tmp_path, ema_decay=0.75)
    states = []
    for i in (1, 2, 3):
        model.optimize(batch(i), i)
        states.append(weights(model.net_g))
    saved = model.weights()
    assert set(saved) == {"params", "params_ema"}
    for ema, one, two, three in zip(saved["params_ema"].values(), *states, strict=True):
        expected = 0.75 * (0.75 * one + 0.25 * two) + 0.25 * three
        torch.testing.assert_close(ema, expected)
    for now, three in zip(saved["params"].values(), states[-1], strict=True):
        assert torch.equal(now, three)


def test_without_ema_both_keys_hold_the_weights(tmp_path: Path):
    saved = model_of(tmp_path, ema_decay=0).weights()
    assert all(torch.equal(saved["params"][k], saved["params_ema"][k]) for k in saved["params"])


def test_the_discriminator_learns_first(tmp_path: Path):
    model = model_of(tmp_path, gan=True, net_d_init_iters=2, net_d_iters=2)
    assert model.net_d is not None
    changed = []
    for i in range(1, 7):
        g, d = weights(model.net_g), weights(model.net_d)
        losses = model.optimize(batch(i), i)
        assert not all(map(torch.equal, d, weights(model.net_d)))
        moved = not all(map(torch.equal, g, weights(model.net_g)))
        assert moved == ("l_g_gan" in losses)
        changed.append(moved)
    assert changed == [False, False, False, True, False, True]


@pytest.mark.parametrize("warmup", [0, 1, 5])
def test_the_rate_rises_and_then_follows_its_schedule(warmup: int, tmp_path: Path):
    total, lr, low = 40, 1e-3, 1e-6
    model = model_of(
        tmp_path,
        total_iter=total,
        warmup_iter=warmup,
        optim_g={"type": "SGD", "lr": lr},
        scheduler={"type": "CosineAnnealingLR", "eta_min": low},
    )
    data = batch()
    for i in range(total):
        cosine = low + (lr - low) * (1 + math.cos(math.pi * i / total)) / 2
        expected = cosine * min(1.0, (i + 1) / warmup) if warmup else cosine
        assert model.optimizers["g"].param_groups[0]["lr"] == pytest.approx(expected, rel=0.01)
        model.optimize(data, i + 1)


def test_pretrained_weights_and_scale(tmp_path: Path):
    settings = train_settings(tmp_path, tmp_path, gan=False)
    path = save_compact(tmp_path / "n.pth", seed=7)
    settings["path"]["pretrain_network_g"] = str(path)
    model = DeSRAModel(parse(TrainOptions, settings, "test"))
    stored = torch.load(path, weights_only=True)["params"]
    assert all(torch.equal(v, stored[k]) for k, v in model.net_g.state_dict().items())
    assert model.net_g.training

    settings["scale"] = 4
    with pytest.raises(InputError, match=r"network_g: .* is an x2 network, but scale is 4"):
        DeSRAModel(parse(TrainOptions, settings, "test"))


def test_all_of_a_run_is_in_its_state(tmp_path: Path):
    one = model_of(tmp_path, gan=True, warmup_iter=2, scheduler={"type": "StepLR", "step_size": 3})
    for i in (1, 2, 3):
        one.optimize(batch(i), i)
    two = model_of(tmp_path, gan=True, warmup_iter=2, scheduler={"type": "StepLR", "step_size": 3})
    two.load_state(copy.deepcopy(one.state()))
    for i in (4, 5):
        first, second = one.optimize(batch(i), i), two.optimize(batch(i), i)
        assert {k: v.item() for k, v in first.items()} == {k: v.item() for k, v in second.items()}
    for key in ("params", "params_ema"):
        a, b = one.weights()[key], two.weights()[key]
        assert all(torch.equal(a[k], b[k]) for k in a)


def test_the_texture_loss_is_weighed_by_the_mask(tmp_path: Path):
    texture = {"type": "LocalStdLoss", "inside": 0.0, "outside": 4.0}
    model, data = model_of(tmp_path, **SGD, losses={"tex": texture}), batch()
    twin = copy.deepcopy(model.net_g)
    found = model.optimize(data, 1)["l_g_tex"].item()
    error = (local_std(twin(data["lq"])) - local_std(data["gt"])).abs()
    assert found == pytest.approx((4.0 * error * (1 - data["mask"])).mean().item(), rel=1e-5)


def test_the_artifact_loss_is_weighed_by_the_mask(tmp_path: Path):
    artifact = {"type": "ArtifactMapLoss", "target": 0.99, "inside": 3.0, "outside": 0.5}
    model, data = model_of(tmp_path, **SGD, losses={"pix": None, "art": artifact}), batch()
    twin = copy.deepcopy(model.net_g)
    found = model.optimize(data, 1)["l_g_art"].item()
    short = (0.99 - relative_map(twin(data["lq"]), data["gt"])).clamp(min=0)
    assert 0.1 < (short > 0).float().mean() < 0.9
    weight = torch.where(data["mask"] > 0, 3.0, 0.5)
    assert found == pytest.approx((weight * short).mean().item(), rel=1e-5)


def test_strength_keeps_a_share_of_the_change(tmp_path: Path):
    """What is saved lies between the weights before and after; training itself is unchanged."""
    checkpoint = save_compact(tmp_path / "g.pth", scale=2)
    settings = train_settings(tmp_path, tmp_path)
    settings["path"] = {**settings.get("path", {}), "pretrain_network_g": str(checkpoint)}
    settings["train"]["strength"] = 0.25
    model = DeSRAModel(parse(TrainOptions, settings, "test"))
    before = [p.clone() for p in model.net_g.state_dict().values()]
    for iteration in (1, 2):
        model.optimize(batch(), iteration)
    now = model.net_g.state_dict().values()
    for saved, old, new in zip(model.weights()["params"].values(), before, now, strict=True):
        torch.testing.assert_close(saved, old + 0.25 * (new - old))
    assert any((a != b).any() for a, b in zip(before, now, strict=True))

    del settings["path"]["pretrain_network_g"]
    with pytest.raises(InputError, match="strength"):
        parse(TrainOptions, settings, "test")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"optim_g": {"type": "Adam", "lr": -1.0}},
            "train.optim_g: lr must be a number, 0 or more",
        ),
        (
            {"losses": {"gan": {"type": "GANLoss", "gan_type": "nan"}}},
            "train.losses.gan: GANLoss .*nan",
        ),
    ],
)
def test_values_that_a_class_refuses_are_said_with_their_key(
    changes: dict[str, Any], words: str, tmp_path: Path
):
    with pytest.raises(InputError, match=words):
        model_of(tmp_path, gan=True, **changes)
