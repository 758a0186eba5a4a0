"""Losses by name: a user's own beside the others, several of a kind, what each is called with."""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from desra.models import DeSRAModel
from desra.options.loading import load, parse
from desra.options.train import TrainOptions
from desra.registry import LOSS_REGISTRY, import_modules
from desra.train import train
from desra.utils.errors import InputError
from helpers.model_batch import batch
from helpers.small import change_step, save_vgg, train_settings

OWN = '''
import torch
from torch import nn
from desra.losses.gan_loss import AdversarialLoss
from desra.registry import LOSS_REGISTRY


@LOSS_REGISTRY.register()
class OwnPixelLoss(nn.Module):
    """A value a pixel, raised to a power of one's choice."""

    def __init__(self, power=2.0, reduction="mean"):
        super().__init__()
        self.power, self.reduction = power, reduction

    def forward(self, sr, gt):
        each = (sr - gt).abs() ** self.power
        return each if self.reduction == "none" else each.mean()


@LOSS_REGISTRY.register()
def own_brightness_loss(loss_weight=1.0):
    """A function that makes a loss of one value a batch."""
    return lambda sr, gt: loss_weight * (sr.mean() - gt.mean()).square()


@LOSS_REGISTRY.register()
class OwnAverageLoss:
    needs = {"average"}

    def __call__(self, sr, gt, average):
        return (sr - average).square().mean()


@LOSS_REGISTRY.register()
class OwnGANLoss(AdversarialLoss):
    def __init__(self, real=1.0):
        def criterion(logits, is_real, is_disc):
            return (logits - (real if is_real else 0.0)).square().mean()
        super().__init__(criterion)


@LOSS_REGISTRY.register()
class OwnCritic:
    needs = {"discriminator"}


@LOSS_REGISTRY.register()
class OwnPlainGANLoss:
    pass


@LOSS_REGISTRY.register()
class OwnGreedyLoss:
    needs = {"everything"}


@LOSS_REGISTRY.register()
class OwnScalarLoss:
    def __init__(self, reduction="mean"):
        pass

    def __call__(self, sr, gt):
        return (sr - gt).abs().mean()
'''


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a user's module in the working folder, imported once for all tests."""
    if "my_own_losses" not in sys.modules:
        (tmp_path / "my_own_losses.py").write_text(OWN)
        monkeypatch.syspath_prepend(tmp_path)
        import_modules(["my_own_losses"])
    return "my_own_losses"


def settings_of(tmp_path: Path, gan: bool = False, **changes: Any) -> dict[str, Any]:
    settings = train_settings(tmp_path, tmp_path, gan)
    plain = {"warmup_iter": 0, "scheduler": None, "optim_g": {"type": "SGD", "lr": 0.1}}
    change_step(settings, **plain, **changes)
    return settings


def model_of(tmp_path: Path, gan: bool = False, **changes: Any) -> DeSRAModel:
    torch.manual_seed(0)
    return DeSRAModel(parse(TrainOptions, settings_of(tmp_path, gan, **changes), "test"))


def test_an_own_loss_by_an_own_name(photographs: Path, tmp_path: Path, own: str):
    """Named by import, changed by force_yml, logged beside the others."""
    settings = train_settings(tmp_path / "runs", photographs) | {"import": [own]}
    change_step(settings, losses={"mine": {"type": "OwnPixelLoss", "power": 3.0, "inside": 0.5}})
    file = tmp_path / "o.yml"
    file.write_text(yaml.safe_dump(settings))
    opt = load(TrainOptions, str(file), ["train:losses:mine:weight=4", "train:losses:mine:power=2"])
    section = opt.train.active["mine"]
    assert (section.weight, section.inside) == (4.0, 0.5)
    assert section.spec() == {"type": "OwnPixelLoss", "power": 2}
    latest = train(opt)
    log = (latest.parents[1] / "train.log").read_text()
    assert all(f"l_g_{name} " in log for name in ("pix", "mine", "gan"))
    off = load(TrainOptions, str(file), ["train:losses:mine=null", "name=without"])
    log = (train(off).parents[1] / "train.log").read_text()
    assert "l_g_mine" not in log and "l_g_pix" in log


def test_its_values_are_weighed_by_the_mask_and_by_weight(tmp_path: Path):
    section = {"type": "OwnPixelLoss", "weight": 4.0, "inside": 0.5, "outside": 2.0}
    model, data = model_of(tmp_path, losses={"mine": section}), batch()
    error = copy.deepcopy(model.net_g)(data["lq"]) - data["gt"]
    expected = 4 * (error**2 * torch.where(data["mask"] > 0, 0.5, 2.0)).mean().item()
    assert model.optimize(data, 1)["l_g_mine"].item() == pytest.approx(expected, rel=1e-5)


def test_a_loss_of_one_value_that_takes_its_weight_itself(tmp_path: Path):
    section = {"type": "own_brightness_loss", "weight": 4.0}
    model, data = model_of(tmp_path, losses={"bright": section}), batch()
    output = copy.deepcopy(model.net_g)(data["lq"])
    expected = 4 * (output.mean() - data["gt"].mean()).square().item()
    assert model.optimize(data, 1)["l_g_bright"].item() == pytest.approx(expected, rel=1e-4)


def test_two_pixel_losses_add_up(tmp_path: Path):
    """Two of a kind, each with its own weights, make the step of their sum."""
    sections = {
        "pix": {"type": "L1Loss", "weight": 2.0, "outside": 0.0},
        "second": {"type": "MSELoss", "weight": 3.0, "inside": 0.25},
    }
    model, data = model_of(tmp_path, losses=sections), batch()
    twin = copy.deepcopy(model.net_g)
    losses = model.optimize(data, 1)
    error = twin(data["lq"]) - data["gt"]
    one = 2.0 * (error.abs() * data["mask"]).mean()
    two = 3.0 * (error**2 * torch.where(data["mask"] > 0, 0.25, 1.0)).mean()
    assert list(losses) == ["l_g_pix", "l_g_second"]
    assert losses["l_g_pix"].item() == pytest.approx(one.item(), rel=1e-5)
    assert losses["l_g_second"].item() == pytest.approx(two.item(), rel=1e-5)
    (one + two).backward()
    for after, before in zip(model.net_g.parameters(), twin.parameters(), strict=True):
        assert before.grad is not None
        torch.testing.assert_close(after, before - 0.1 * before.grad, atol=1e-7, rtol=1e-5)


def test_two_perceptual_losses_have_names_of_their_own(tmp_path: Path):
    section = {
        "type": "PerceptualLoss",
        "vgg_type": "vgg11",
        "layer_weights": {"conv1_1": 1},
        "style_weight": 1.0,
        "vgg_weights": str(save_vgg(tmp_path / "vgg.pth")),
    }
    sections = {"percep": section, "fine": {**section, "weight": 2.0}}
    losses = model_of(tmp_path, losses=sections).optimize(batch(), 1)
    names = ["pix", "percep", "style", "fine", "fine_style"]
    assert list(losses) == [f"l_g_{name}" for name in names]
    for part, twice in (("percep", "fine"), ("style", "fine_style")):
        expected = 2 * losses[f"l_g_{part}"].item()
        assert losses[f"l_g_{twice}"].item() == pytest.approx(expected)


def test_a_loss_gets_the_average_that_it_needs(tmp_path: Path):
    model = model_of(tmp_path, losses={"calm": {"type": "OwnAverageLoss"}}, ema_decay=0.9)
    assert model.optimize(batch(), 1)["l_g_calm"].item() == 0
    model.optimize(batch(2), 2)  # the first step is the average's beginning
    data = batch(3)
    assert model.ema is not None
    now, average = (copy.deepcopy(net)(data["lq"]) for net in (model.net_g, model.ema.module))
    found = model.optimize(data, 3)["l_g_calm"].item()
    assert found == pytest.approx((now - average).square().mean().item(), rel=1e-4) and found > 0


def test_an_adversarial_loss_of_ones_own(tmp_path: Path):
    section = {"type": "OwnGANLoss", "real": 0.9, "weight": 0.5}
    model, data = model_of(tmp_path, gan=True, losses={"gan": section}), batch()
    assert model.net_d is not None
    output, net_d = copy.deepcopy(model.net_g)(data["lq"]), copy.deepcopy(model.net_d)
    losses = model.optimize(data, 1)
    expected = 0.5 * (net_d(output) - 0.9).square().mean().item()
    assert losses["l_g_gan"].item() == pytest.approx(expected, rel=1e-5)
    real, fake = net_d(data["gt"]), net_d(output)  # its weight is the generator's alone
    assert losses["l_d_real"].item() == pytest.approx((real - 0.9).square().mean().item(), rel=1e-4)
    assert losses["l_d_fake"].item() == pytest.approx(fake.square().mean().item(), rel=1e-4)


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("x", "OwnCritic", r"train\.losses\.x: OwnCritic needs the discriminator.*end in GANLoss"),
        ("gan", "OwnPlainGANLoss", r"train\.losses\.gan: .* must be a subclass of .*Adversarial"),
        ("x", "OwnGreedyLoss", r"train\.losses\.x: OwnGreedyLoss: needs names everything"),
        ("x", "OwnAverageLoss", r"train\.losses\.x: .* needs the moving average: set ema_decay"),
        ("x", "Nothing", r"train\.losses\.x\.type: 'Nothing' is not registered"),
        ("x", "OwnScalarLoss", r"train\.losses\.x: .* must give a value a pixel, .*64, 64.* not"),
    ],
)
def test_refusals(name: str, kind: str, words: str, tmp_path: Path):
    with pytest.raises(InputError, match=words):
        model = model_of(tmp_path, gan=name == "gan", losses={name: {"type": kind}}, ema_decay=0)
        model.optimize(batch(), 1)


def test_ours_take_the_place_of_basicsrs():
    from desra.registry import find

    for name in ("GANLoss", "PerceptualLoss"):
        assert find(LOSS_REGISTRY, name, "").__module__.startswith("desra.")
    with pytest.raises(InputError) as caught:
        find(LOSS_REGISTRY, "zzz", "k")
    assert "_desra" not in str(caught.value)


MISUSED = """
import torch
from desra.registry import LOSS_REGISTRY


@LOSS_REGISTRY.register()
class OwnFloatLoss:
    def __call__(self, sr, gt):
        return 1.0


@LOSS_REGISTRY.register()
class OwnPixelsWithoutReductionLoss:
    def __call__(self, sr, gt):
        return (sr - gt).abs()


@LOSS_REGISTRY.register()
class OwnDetachedLoss:
    def __call__(self, sr, gt):
        return (sr - gt).detach().abs().mean()


@LOSS_REGISTRY.register()
class OwnBrokenLoss:
    def __init__(self, power=2):
        self.power = power

    def __call__(self, sr, gt):
        return ((sr - gt) ** self.powr).mean()


@LOSS_REGISTRY.register()
class OwnOneArgumentLoss:
    def __call__(self, sr):
        return sr.mean()
"""


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("OwnFloatLoss", "must give one value a batch, a scalar tensor, not float"),
        ("OwnPixelsWithoutReductionLoss", r"takes no reduction.*not \(1, 3, 64, 64\)"),
        ("OwnDetachedLoss", "gives no gradient to the output"),
        ("OwnBrokenLoss", "AttributeError.*powr"),
        ("OwnOneArgumentLoss", "TypeError"),
        ("WeightedTVLoss", "a value a pixel"),
    ],
)
def test_a_loss_that_would_fail_is_said_before_the_first_step(
    kind: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    if "my_misused_losses" not in sys.modules:
        (tmp_path / "my_misused_losses.py").write_text(MISUSED)
        monkeypatch.chdir(tmp_path)
        import_modules(["my_misused_losses"])
    with pytest.raises(InputError, match=rf"^train\.losses\.x: (?s:.*){words}"):
        model_of(tmp_path, losses={"x": {"type": kind, "inside": 2.0}})


def test_trying_a_loss_leaves_it_and_the_random_numbers_as_they_were(tmp_path: Path):
    model_of(tmp_path)
    first = torch.rand(3)
    model_of(tmp_path, losses={"map": {"type": "ArtifactMapLoss"}})
    assert torch.equal(torch.rand(3), first)
