"""Low-rank deltas: what learns, what is saved, and that it is of that rank."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from desra.models import DeSRAModel
from desra.options.loading import parse
from desra.options.train import TrainOptions
from desra.registry import ARCH_REGISTRY, build
from desra.utils.errors import InputError
from helpers.model_batch import batch
from helpers.small import save_compact, train_settings


def make(tmp_path: Path, **changes: Any) -> DeSRAModel:
    """A model that starts from a checkpoint; ``changes`` are keys of the section ``train``."""
    settings = train_settings(tmp_path, tmp_path, gan=False)
    settings["path"]["pretrain_network_g"] = str(save_compact(tmp_path / "g.pth"))
    settings["train"].update({"warmup_iter": 0, "scheduler": None, "low_rank": 2, **changes})
    torch.manual_seed(0)
    return DeSRAModel(parse(TrainOptions, settings, "test"))


def before(tmp_path: Path) -> dict[str, torch.Tensor]:
    return torch.load(tmp_path / "g.pth", weights_only=True)["params"]


def test_nothing_has_changed_before_the_first_step(tmp_path: Path):
    model = make(tmp_path)
    for tensors in model.weights().values():
        assert tensors.keys() == before(tmp_path).keys()
        assert all(torch.equal(tensors[k], v) for k, v in before(tmp_path).items())


def test_the_change_is_of_that_rank(tmp_path: Path):
    """By singular values; nothing but the weights of convolutions changes."""
    model = make(tmp_path, optim_g={"type": "SGD", "lr": 1.0})
    for i in range(1, 5):
        model.optimize(batch(i), i)
    for tensors in model.weights().values():
        for name, old in before(tmp_path).items():
            change = (tensors[name] - old).double()
            if old.ndim != 4:  # biases and slopes
                assert not change.any(), name
                continue
            values = torch.linalg.svdvals(change.flatten(1))
            assert values[1] > 1e-5 and values[2] < 1e-5 * values[0] + 1e-7, name


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_what_is_saved_is_what_runs(strength: float, tmp_path: Path):
    """The saved weights in a plain network give the image of `averaged`, and of the training
    network where nothing is drawn back."""
    model = make(tmp_path, optim_g={"type": "Adam", "lr": 0.01}, strength=strength)
    for i in (1, 2, 3):
        model.optimize(batch(i), i)
    plain = build(ARCH_REGISTRY, model.opt.network_g.spec(), "network_g")
    plain.load_state_dict(model.weights()["params_ema"])
    lq = batch(9)["lq"]
    with torch.no_grad():
        expected = plain(lq)
        torch.testing.assert_close(model.averaged()(lq), expected)
        difference = (model.preview(lq) - expected).abs().max()
    assert difference < 1e-6 if strength == 1 else difference > 1e-4


def test_the_first_step_is_that_of_the_thin_matrices(tmp_path: Path):
    """With B = 0 only B has a gradient: that of the whole weight times A transposed."""
    model, whole = make(tmp_path), make(tmp_path, low_rank=None)
    for one in (model, whole):
        for group in one.optimizers["g"].param_groups:
            group["lr"] = 0.0
        one.optimize(batch(), 1)
    delta = model.net_g.body[0].parametrizations.weight[0]  # pyright: ignore
    gradient = whole.net_g.body[0].weight.grad.flatten(1)  # pyright: ignore
    torch.testing.assert_close(delta.B.grad, gradient @ delta.A.detach().T)
    assert not delta.A.grad.any()


def test_deltas_of_some_weights(tmp_path: Path):
    model = make(tmp_path, trainable=[r"^body\.2\."], optim_g={"type": "SGD", "lr": 1.0})
    model.optimize(batch(), 1)
    saved = model.weights()["params"]
    changed = [k for k, v in before(tmp_path).items() if not torch.equal(saved[k], v)]
    assert changed == ["body.2.weight"]
    with pytest.raises(InputError, match=r"train.low_rank: no convolution .* among .*bias"):
        make(tmp_path, trainable=["bias$"])


def test_deltas_need_weights_to_be_added_to(tmp_path: Path):
    settings = train_settings(tmp_path, tmp_path)
    settings["train"]["low_rank"] = 4
    with pytest.raises(InputError, match="low_rank needs path.pretrain_network_g"):
        parse(TrainOptions, settings, "test")


def test_recomputed_blocks_learn_the_same(tmp_path: Path):
    models = [make(tmp_path, checkpoint_activations=recompute) for recompute in (False, True)]
    for model in models:
        for i in (1, 2, 3):
            model.optimize(batch(i), i)
    one, two = (model.weights()["params"] for model in models)
    assert all(torch.equal(one[k], two[k]) for k in one)
