"""Ways to keep what is good, discriminators, schedules: what the options of a step do."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from desra.losses.texture_loss import local_std
from desra.models import DeSRAModel
from desra.options.loading import parse
from desra.options.train import TrainOptions
from desra.registry import ARCH_REGISTRY, CosineAnnealingRestartLR, MultiStepRestartLR, build
from desra.utils.errors import InputError
from helpers.small import change_step, save_compact, save_vgg, train_settings

SGD = {"type": "SGD", "lr": 0.1}
BEFORE = {"towards": "before", "inside": 0.0}
PERCEPTUAL = {"type": "PerceptualLoss", "layer_weights": {"conv1_1": 1}}


def settings_of(tmp_path: Path, gan: bool = False, **changes: Any) -> dict[str, Any]:
    settings = train_settings(tmp_path, tmp_path, gan)
    plain = {"warmup_iter": 0, "scheduler": None, "ema_decay": 0, "optim_g": SGD}
    change_step(settings, **{**plain, **changes})
    return settings


def make(settings: dict[str, Any]) -> DeSRAModel:
    torch.manual_seed(0)
    return DeSRAModel(parse(TrainOptions, settings, "test"))


def batch(size: int = 8, seed: int = 0) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return {
        "lq": torch.rand((2, 3, size, size), generator=draw),
        "gt": torch.rand((2, 3, 2 * size, 2 * size), generator=draw),
        "mask": (torch.rand((2, 1, 2 * size, 2 * size), generator=draw) > 0.5).float(),
    }


# ----------------------------------------------------------------------------------- losses


@pytest.mark.parametrize("name", ["MSELoss", "CharbonnierLoss"])
def test_other_pixel_losses(name: str, tmp_path: Path):
    pixel = {"type": name, "weight": 2.0, "inside": 3.0, "outside": 0.5}
    model, data = make(settings_of(tmp_path, losses={"pix": pixel})), batch()
    error = copy.deepcopy(model.net_g)(data["lq"]) - data["gt"]
    each = error**2 if name == "MSELoss" else (error**2 + 1e-12).sqrt()
    expected = 2 * (each * torch.where(data["mask"] > 0, 3.0, 0.5)).mean()
    assert model.optimize(data, 1)["l_g_pix"].item() == pytest.approx(expected.item(), rel=1e-5)


def gradient_of(model: DeSRAModel, name: str, data: dict[str, Tensor]) -> Tensor:
    """Of one loss, by the generator's output."""
    draw = torch.Generator().manual_seed(1)
    output = torch.rand(data["gt"].shape, generator=draw).requires_grad_()
    discriminator = model._discriminate if model.net_d is not None else None
    targets = model.objective.targets(data["gt"])
    losses = model.objective.generator(output, targets, data["mask"], discriminator)
    (gradient,) = torch.autograd.grad(losses[name], output)
    return gradient


@pytest.mark.parametrize("key", ["gan", "percep"])
def test_the_mask_weighs_what_reaches_a_pixel(key: str, tmp_path: Path):
    section = {
        "gan": {"type": "GANLoss", "gan_type": "vanilla"},
        "percep": {
            "type": "PerceptualLoss",
            "vgg_type": "vgg11",
            "layer_weights": {"conv2_1": 1.0},
            "vgg_weights": str(save_vgg(tmp_path / "vgg.pth")),
        },
    }[key]
    name = f"l_g_{key}"
    data, gan = batch(), key == "gan"
    masked = {**section, "inside": 0.0, "outside": 2.5}
    plain = make(settings_of(tmp_path, gan, losses={key: section}))
    weighed = make(settings_of(tmp_path, gan, losses={key: masked}))
    without, with_mask = (gradient_of(model, name, data) for model in (plain, weighed))
    assert without.abs().max() > 0
    torch.testing.assert_close(with_mask, 2.5 * (1 - data["mask"]) * without)


def test_preserving_is_towards_the_network_before(tmp_path: Path):
    settings = settings_of(
        tmp_path,
        losses={
            "pix": {"type": "L1Loss", "outside": 0.0},
            "keep": {"type": "L1Loss", "weight": 3.0, **BEFORE, "outside": 2.0},
        },
    )
    settings["path"]["pretrain_network_g"] = str(save_compact(tmp_path / "g.pth"))
    model = make(settings)
    before = copy.deepcopy(model.net_g)
    first = model.optimize(batch(), 1)
    assert first["l_g_keep"].item() == pytest.approx(0, abs=1e-7)  # nothing has changed yet
    data, now = batch(seed=5), copy.deepcopy(model.net_g)
    expected = (now(data["lq"]) - before(data["lq"])).abs() * 2.0 * (1 - data["mask"])
    found = model.optimize(data, 2)["l_g_keep"].item()
    assert found == pytest.approx(3.0 * expected.mean().item(), rel=1e-5) and found > 1e-6

    # A resumed run goes back to the same network before.
    again = make(settings)
    again.load_state(copy.deepcopy(model.state()))
    one, two = model.optimize(data, 3), again.optimize(data, 3)
    assert one["l_g_keep"].item() == two["l_g_keep"].item() > 0

    del settings["path"]["pretrain_network_g"]
    with pytest.raises(InputError, match=r"train\.losses\.keep needs path\.pretrain_network_g"):
        parse(TrainOptions, settings, "test")


def test_preserving_may_be_towards_another_network(tmp_path: Path):
    """In a second round: the one before the first. What is kept of the change is the round's."""
    settings = settings_of(tmp_path, losses={"keep": {"type": "MSELoss", "weight": 3.0, **BEFORE}})
    settings["train"]["strength"] = 0.5
    first, start = (save_compact(tmp_path / f"{i}.pth", seed=i) for i in (0, 1))
    settings["path"] |= {"pretrain_network_g": str(start), "preserve_network_g": str(first)}
    model, data = make(settings), batch()
    start_net, first_net = copy.deepcopy(model.net_g), copy.deepcopy(model.net_g)
    first_net.load_state_dict(torch.load(first, weights_only=True)["params"])
    change = (start_net(data["lq"]) - first_net(data["lq"])).square() * (1 - data["mask"])
    found = model.optimize(data, 1)["l_g_keep"].item()
    assert found == pytest.approx(3.0 * change.mean().item(), rel=1e-5) and found > 1e-6
    now, saved = model.net_g.state_dict(), model.weights()["params"]
    for name, weight in start_net.state_dict().items():
        torch.testing.assert_close(saved[name], (weight + now[name]) / 2)

    del settings["train"]["losses"]["keep"]
    with pytest.raises(InputError, match=r"path\.preserve_network_g is for train\.losses with"):
        parse(TrainOptions, settings, "test")


def test_preserving_texture_is_towards_that_of_the_network_before(tmp_path: Path):
    settings = settings_of(
        tmp_path,
        losses={
            "pix": {"type": "L1Loss", "outside": 0.0},
            "keep_tex": {"type": "LocalStdLoss", "weight": 3.0, **BEFORE},
        },
    )
    settings["path"]["pretrain_network_g"] = str(save_compact(tmp_path / "g.pth"))
    model = make(settings)
    before = copy.deepcopy(model.net_g)
    model.optimize(batch(), 1)
    data, now = batch(seed=5), copy.deepcopy(model.net_g)
    change = (local_std(now(data["lq"])) - local_std(before(data["lq"]))).abs()
    expected = 3.0 * (change * (1 - data["mask"])).mean().item()
    found = model.optimize(data, 2)["l_g_keep_tex"].item()
    assert found == pytest.approx(expected, rel=1e-4) and found > 1e-6

    del settings["path"]["pretrain_network_g"]
    with pytest.raises(InputError, match=r"train\.losses\.keep_tex needs path\.pretrain_netw"):
        parse(TrainOptions, settings, "test")


def test_networks_that_do_not_learn_are_not_shaken(tmp_path: Path):
    """SwinIR drops whole layers by chance while it trains; what it is compared with must not."""
    swin = {
        "type": "SwinIR",
        "upscale": 2,
        "img_size": 8,
        "window_size": 8,
        "embed_dim": 12,
        "depths": [2],
        "num_heads": [2],
        "upsampler": "pixelshuffledirect",
        "drop_path_rate": 0.9,
    }
    settings = settings_of(
        tmp_path,
        losses={"ldl": {"type": "LDLLoss"}, "keep": {"type": "L1Loss", **BEFORE}},
        ema_decay=0.9,
    )
    settings["network_g"] = swin
    torch.save({"params": build(ARCH_REGISTRY, swin, "").state_dict()}, tmp_path / "g.pth")
    settings["path"]["pretrain_network_g"] = str(tmp_path / "g.pth")
    model, lq = make(settings), batch(16)["lq"]
    assert model.ema is not None and model.net_before is not None
    for net in (model.ema.module, model.net_before):
        assert torch.equal(model._fixed(net, lq), model._fixed(net, lq))
    assert not torch.equal(model._fixed(model.net_g, lq), model._fixed(model.net_g, lq))
    assert model.optimize(batch(8), 1)["l_g_keep"] > 0  # by the shaking alone


def test_ldl_needs_the_average(tmp_path: Path):
    settings = settings_of(tmp_path, losses={"ldl": {"type": "LDLLoss"}})
    with pytest.raises(InputError, match="ldl: LDLLoss needs the moving average: set ema_decay"):
        parse(TrainOptions, settings, "test")


def test_only_trainable_weights_change(tmp_path: Path):
    model = make(settings_of(tmp_path, trainable=[r"^body\.0\.", "bias$"]))
    before = copy.deepcopy(model.net_g.state_dict())
    model.optimize(batch(), 1)
    changed = {k for k, v in model.net_g.state_dict().items() if not torch.equal(v, before[k])}
    assert changed == {k for k in before if k.startswith("body.0.") or k.endswith("bias")}
    assert changed != set(before)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"trainable": ["nowhere"]}, r"train\.trainable: 'nowhere' is found in no name .*body\.0"),
        ({"trainable": ["("]}, r"trainable: '\(' is no regular expression"),
        ({"losses": {"pix": {"type": "L1Loss", "reduction": "sum"}}}, "reduction can only be mean"),
        (
            {"losses": {"pix": None}},
            "no loss is given .*; add one to losses, such as pix: {type: L1Loss}",
        ),
        (
            {"losses": {"percep": {**PERCEPTUAL, "criterion": "l2"}}},
            "train.losses.percep: .* criterion: l2 is broken in basicsr; use l1 or fro",
        ),
        (
            {"scheduler": {"type": "CosineAnnealingRestartLR", "periods": [5]}},
            r"periods: they end after 5 iterations, before total_iter, 6",
        ),
        (
            {"scheduler": {"type": "CosineAnnealingRestartLR", "periods": [3, 3]}},
            "periods and restart_weights must be equally long",
        ),
        (
            {"scheduler": {"type": "MultiStepRestartLR", "milestones": [3]}, "warmup_iter": 2},
            r"train\.warmup_iter: MultiStepRestartLR sets the rate anew",
        ),
        (
            {"scheduler": {"type": "Cosine"}},
            "is not one of .*MultiStepLR.*CosineAnnealingRestartLR",
        ),
    ],
)
def test_refusals(changes: dict[str, Any], words: str, tmp_path: Path):
    with pytest.raises(InputError, match=words):
        make(settings_of(tmp_path, **changes))


def test_sharpened_targets_of_the_dataset_are_taken(tmp_path: Path):
    data = batch(16)
    data["gt_usm"] = 1 - data["gt"]
    model = make(settings_of(tmp_path, losses={"pix": {"type": "L1Loss", "towards": "gt_usm"}}))
    expected = (copy.deepcopy(model.net_g)(data["lq"]) - data["gt_usm"]).abs().mean().item()
    assert model.optimize(data, 1)["l_g_pix"].item() == pytest.approx(expected, rel=1e-5)
    unasked = make(settings_of(tmp_path))
    expected = (copy.deepcopy(unasked.net_g)(data["lq"]) - data["gt"]).abs().mean().item()
    assert unasked.optimize(data, 1)["l_g_pix"].item() == pytest.approx(expected, rel=1e-5)


# ------------------------------------------------------------------------- discriminators


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", ["UNetDiscriminatorSN", "VGGStyleDiscriminator"])
def test_basicsrs_discriminators_learn(name: str, precision: str, tmp_path: Path):
    settings = settings_of(tmp_path, gan=True) | {"precision": precision}
    settings["network_d"] = {"type": name, "num_in_ch": 3, "num_feat": 2}
    settings["datasets"]["train"].update({"gt_size": 128, "crop_pad_size": 128})
    model = make(settings)
    assert model.net_d is not None
    before = copy.deepcopy(model.net_d.state_dict())
    for i in (1, 2):
        losses = model.optimize(batch(64), i)
        assert all(value.isfinite() for value in losses.values())
    assert {"l_g_gan", "l_d_real", "l_d_fake", "out_d_real", "out_d_fake"} <= set(losses)
    parameters = dict(model.net_d.named_parameters())
    assert all(not torch.equal(parameters[name], before[name]) for name in parameters)


def test_a_discriminator_of_one_size(tmp_path: Path):
    settings = settings_of(tmp_path, gan=True)
    settings["network_d"] = {"type": "VGGStyleDiscriminator", "num_in_ch": 3, "num_feat": 2}
    with pytest.raises(InputError, match="judges crops of 128 pixels, but datasets.train"):
        make(settings)


@pytest.mark.parametrize(
    ("path", "given", "total", "expected"),
    [
        ({}, None, 5000, 0),  # both networks are fresh: they learn together
        ({"pretrain_network_g": "g"}, None, 5000, 200),
        ({"pretrain_network_g": "g"}, None, 400, 80),
        ({"pretrain_network_g": "g", "pretrain_network_d": "d"}, None, 5000, 0),
        ({"pretrain_network_g": "g"}, 0, 5000, 0),
        ({}, 7, 5000, 7),
    ],
)
def test_a_fresh_discriminator_learns_first(
    path: dict[str, str], given: int | None, total: int, expected: int, tmp_path: Path
):
    settings = settings_of(tmp_path, gan=True, net_d_init_iters=given, total_iter=total)
    settings["path"] = path
    assert parse(TrainOptions, settings, "test").discriminator_first == expected
    settings["train"]["losses"]["gan"] = None
    alone = parse(TrainOptions, settings, "test")
    assert alone.discriminator_first == 0 and alone.updates_generator(1)


def test_relativistic_hinge_is_refused(tmp_path: Path):
    """basicsr's hinge loss does not ask the generator to make real images look fake."""
    gan = {"type": "GANLoss", "gan_type": "hinge", "relativistic": True}
    settings = settings_of(tmp_path, gan=True, losses={"gan": gan})
    with pytest.raises(InputError, match="relativistic does not go with gan_type hinge"):
        make(settings)


# ------------------------------------------------------------------------------ schedules


@pytest.mark.parametrize(
    ("spec", "theirs"),
    [
        (
            {
                "type": "CosineAnnealingRestartLR",
                "periods": [4, 6],
                "restart_weights": [1, 0.5],
                "eta_min": 1e-3,
            },
            CosineAnnealingRestartLR,
        ),
        (
            {
                "type": "MultiStepRestartLR",
                "milestones": [2, 7],
                "gamma": 0.5,
                "restarts": [0, 5],
                "restart_weights": [1, 0.8],
            },
            MultiStepRestartLR,
        ),
    ],
)
def test_basicsrs_schedules_with_restarts(spec: dict[str, Any], theirs: Any, tmp_path: Path):
    model = make(settings_of(tmp_path, total_iter=10, scheduler=spec))
    other = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    schedule = theirs(other, **{k: v for k, v in spec.items() if k != "type"})
    rates = []
    for i in range(1, 11):
        rates.append(model.optimizers["g"].param_groups[0]["lr"])
        assert rates[-1] == pytest.approx(other.param_groups[0]["lr"])
        model.optimize(batch(), i)
        other.step()
        schedule.step()
    assert len(set(rates)) > 3
