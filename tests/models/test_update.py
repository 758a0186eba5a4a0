"""Accumulating, clipping, scaling losses, computing activations twice: against the plain step."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from desra.models import DeSRAModel, update
from desra.models.recompute import recompute_blocks
from desra.models.update import Update
from desra.options.loading import parse
from desra.options.train import TrainOptions
from desra.registry import ARCH_REGISTRY, find
from desra.utils.device import grad_scaler
from desra.utils.errors import InputError
from helpers.small import change_step, train_settings

SGD = {"type": "SGD", "lr": 0.1}


def model_of(tmp_path: Path, gan: bool = False, **changes: Any) -> DeSRAModel:
    settings = train_settings(tmp_path, tmp_path, gan)
    settings["network_d"] = gan and {"type": "UNetDiscriminatorSN", "num_in_ch": 3, "num_feat": 2}
    settings["network_d"] = settings["network_d"] or None
    plain = {"warmup_iter": 0, "scheduler": None, "optim_g": SGD, "optim_d": SGD if gan else None}
    change_step(settings, **{**plain, **changes})
    torch.manual_seed(0)
    return DeSRAModel(parse(TrainOptions, settings, "test"))


def batch(samples: int = 4, seed: int = 0) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return {
        "lq": torch.rand((samples, 3, 8, 8), generator=draw),
        "gt": torch.rand((samples, 3, 16, 16), generator=draw),
        "mask": (torch.rand((samples, 1, 16, 16), generator=draw) > 0.7).float(),
    }


def test_accumulated_batches_are_one_that_is_larger(tmp_path: Path):
    pixel = {"type": "L1Loss", "inside": 3.0, "outside": 0.5}
    one = model_of(tmp_path, losses={"pix": pixel})
    two = model_of(tmp_path, losses={"pix": pixel}, accumulate=2)
    apart = copy.deepcopy(two)
    for i in (1, 2, 3):
        data = batch(seed=i)
        first, second = one.optimize(data, i), two.optimize(data, i)
        assert first.keys() == second.keys()
        for name in first:
            assert second[name].item() == pytest.approx(first[name].item(), rel=1e-5), name
        apart.optimize({key: value[:2] for key, value in data.items()}, i)
    for a, b, other in zip(*(m.net_g.parameters() for m in (one, two, apart)), strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-4)
        assert not torch.allclose(a, other, atol=1e-6, rtol=1e-4)


def test_accumulated_discriminator(tmp_path: Path):
    """The generator is fixed while the discriminator sees both halves; one step of each."""
    data = batch()
    model = model_of(tmp_path, gan=True, accumulate=2)
    assert model.net_d is not None
    net_g, net_d = copy.deepcopy(model.net_g), copy.deepcopy(model.net_d)
    losses = model.optimize(data, 1)
    bce = nn.functional.binary_cross_entropy_with_logits
    fake = net_g(data["lq"]).detach()
    net_d(fake[:2]), net_d(fake[2:])  # the generator's look advances spectral normalisation
    expected = 0.0
    for half in (slice(2), slice(2, 4)):
        for images, truth in ((data["gt"][half], 1.0), (fake[half], 0.0)):
            logits = net_d(images)
            loss = bce(logits, torch.full_like(logits, truth)) / 2
            loss.backward()
            expected += loss.item()
    assert (losses["l_d_real"] + losses["l_d_fake"]).item() == pytest.approx(expected, rel=1e-5)
    for after, before in zip(model.net_d.parameters(), net_d.parameters(), strict=True):
        assert before.grad is not None
        torch.testing.assert_close(after, before - 0.1 * before.grad, atol=1e-7, rtol=1e-4)


def test_samples_that_cannot_be_shared_out(tmp_path: Path):
    with pytest.raises(InputError, match=r"train\.accumulate: 3 samples cannot be cut into 2"):
        model_of(tmp_path, accumulate=2).optimize(batch(3), 1)


@pytest.mark.parametrize("largest", [0.01, 1000.0])
def test_clipping(largest: float, tmp_path: Path):
    plain, clipped = model_of(tmp_path), model_of(tmp_path, clip_grad_norm=largest)
    before = [p.detach().clone() for p in plain.net_g.parameters()]
    for model in (plain, clipped):
        model.optimize(batch(), 1)

    def moved(model: DeSRAModel) -> Tensor:
        now = model.net_g.parameters()
        return torch.cat([(a - b).flatten() for a, b in zip(now, before, strict=True)]).detach()

    whole, short = moved(plain), moved(clipped)
    norm = whole.norm().item() / 0.1
    assert short.norm().item() / 0.1 == pytest.approx(min(norm, largest), rel=1e-3)
    torch.testing.assert_close(short / short.norm(), whole / whole.norm(), atol=1e-4, rtol=1e-3)


# ------------------------------------------------------------------------------ scaled losses


def scaled(monkeypatch: pytest.MonkeyPatch, scale: float) -> None:
    """As float16 on CUDA, where no CUDA is: torch's scaler, on the CPU."""
    make = lambda *_: torch.amp.GradScaler("cpu", init_scale=scale)  # noqa: E731
    monkeypatch.setattr(update, "grad_scaler", make)


def test_scaled_losses_make_the_same_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    plain = model_of(tmp_path, gan=True, clip_grad_norm=0.05)
    scaled(monkeypatch, 1024.0)
    model = model_of(tmp_path, gan=True, clip_grad_norm=0.05)
    assert model.state()["scalers"]["g"]["scale"] == 1024.0
    for i in (1, 2):
        plain.optimize(batch(seed=i), i)
        model.optimize(batch(seed=i), i)
    for key in ("net_g", "net_d"):
        for a, b in zip(*(getattr(m, key).parameters() for m in (plain, model)), strict=True):
            torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-4)


def test_an_overflow_is_passed_over_and_the_scale_is_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    scaled(monkeypatch, 1e38)  # the first gradients are infinite
    model = model_of(tmp_path, losses={"pix": {"type": "L1Loss", "weight": 1e4}})
    before = copy.deepcopy(model.net_g.state_dict())
    losses = model.optimize(batch(), 1)
    assert losses["l_g_pix"].isfinite()
    assert all(torch.equal(v, before[k]) for k, v in model.net_g.state_dict().items())
    state = model.state()
    assert state["scalers"]["g"]["scale"] == pytest.approx(5e37)
    scaled(monkeypatch, 1.0)
    other = model_of(tmp_path)
    other.load_state(state)
    assert other.state()["scalers"] == state["scalers"]


def test_only_float16_is_scaled_and_only_on_cuda():
    cpu = torch.device("cpu")
    for dtype in (torch.float32, torch.bfloat16):
        assert not grad_scaler(cpu, dtype).is_enabled()
    for device in ("cpu", "mps"):
        with pytest.raises(InputError, match=f"fp16 is not for training on {device} .*use auto"):
            grad_scaler(torch.device(device), torch.float16)


def test_a_step_forgets_the_last_one():
    weight = nn.Parameter(torch.zeros(1))
    steps = Update(torch.optim.SGD([weight], lr=1.0), torch.device("cpu"), torch.float32, clip=None)
    for _ in range(2):
        steps.begin()
        steps.add(weight.sum())
        steps.add(2 * weight.sum())
        steps.step()
    assert weight.item() == -6.0


# --------------------------------------------------------------------- activation checkpointing

NETWORKS: list[tuple[str, dict[str, Any], int]] = [
    (
        "RRDBNet",
        {
            "num_in_ch": 3,
            "num_out_ch": 3,
            "scale": 2,
            "num_feat": 4,
            "num_block": 3,
            "num_grow_ch": 2,
        },
        3,
    ),
    ("MSRResNet", {"num_feat": 4, "num_block": 2, "upscale": 2}, 2),
    ("SRVGGNetCompact", {"num_feat": 4, "num_conv": 2, "upscale": 2}, 1),
    (
        "SwinIR",
        {
            "upscale": 2,
            "img_size": 8,
            "window_size": 8,
            "depths": [2, 2],
            "embed_dim": 6,
            "num_heads": [2, 2],
            "mlp_ratio": 1,
            "upsampler": "pixelshuffledirect",
        },
        2,
    ),
]


@pytest.mark.parametrize(("name", "arguments", "count"), NETWORKS, ids=[n[0] for n in NETWORKS])
def test_computing_twice_gives_the_same_gradients(name: str, arguments: dict[str, Any], count: int):
    torch.manual_seed(0)
    net = find(ARCH_REGISTRY, name, "")(**arguments).eval()  # SwinIR drops paths in training
    twice = copy.deepcopy(net)
    assert recompute_blocks(twice) == count
    assert list(twice.state_dict()) == list(net.state_dict())
    lq = torch.rand(1, 3, 8, 8)
    calls = 0

    def counted(*_: Any) -> None:
        nonlocal calls
        calls += 1

    for module in twice.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(counted)
    for each in (net, twice):
        each(lq).square().sum().backward()
    layers = sum(isinstance(module, nn.Conv2d | nn.Linear) for module in twice.modules())
    assert calls > layers  # else nothing was computed twice
    for a, b in zip(net.parameters(), twice.parameters(), strict=True):
        if a.grad is None:
            assert b.grad is None
        else:
            torch.testing.assert_close(a.grad, b.grad)
    other = copy.deepcopy(twice)
    with torch.no_grad():
        assert torch.equal(net(lq), other(lq))
        for parameter in twice.parameters():
            parameter.zero_()
        assert torch.equal(net(lq), other(lq))  # a copy computes with its own weights


def test_the_option(tmp_path: Path):
    plain, twice = model_of(tmp_path), model_of(tmp_path, checkpoint_activations=True)
    for i in (1, 2):
        a, b = plain.optimize(batch(seed=i), i), twice.optimize(batch(seed=i), i)
        assert a["l_g_pix"].item() == b["l_g_pix"].item()
    one, two = plain.averaged().state_dict(), twice.averaged().state_dict()
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_the_average_is_a_copy_with_the_weights_that_are_saved(tmp_path: Path):
    for decay in (0.5, 0):
        model = model_of(tmp_path, ema_decay=decay)
        model.optimize(batch(), 1)
        net = model.averaged()
        saved = model.weights()["params_ema"]
        assert all(torch.equal(v, saved[k]) for k, v in net.state_dict().items())
        assert not net.training
        for parameter in net.parameters():
            parameter.data.zero_()
        assert model.net_g.training
        assert all(torch.equal(v, saved[k]) for k, v in model.weights()["params_ema"].items())


def test_schedules_count_iterations_and_say_nothing_of_it(tmp_path: Path):
    """torch would warn of a generator's schedule while only the discriminator learns."""
    schedule = {"type": "StepLR", "step_size": 1, "gamma": 0.5}
    model = model_of(tmp_path, gan=True, net_d_init_iters=2, scheduler=schedule)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for i in (1, 2, 3):
            model.optimize(batch(seed=i), i)
    assert model.optimizers["g"].param_groups[0]["lr"] == pytest.approx(0.1 / 8)
