"""Whole runs of six iterations: checkpoints, resuming, refusing, stopping."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from desra import train
from desra.models import DeSRAModel
from desra.networks.sr_network import SRNetwork
from desra.options.loading import load
from desra.options.train import TrainOptions
from desra.utils.errors import InputError
from helpers.training import opt_of, read, same


def test_what_a_run_leaves(photographs: Path, tmp_path: Path):
    opt = opt_of(tmp_path / "runs", photographs)
    latest = train.train(opt)
    root = tmp_path / "runs/tiny"
    assert latest == root / "models/net_g_latest.pth"
    assert {p.name for p in (root / "models").iterdir()} == {
        "net_g_3.pth",
        "net_g_6.pth",
        "net_g_latest.pth",
    }
    content = read(latest)
    assert set(content) == {"params", "params_ema"}
    assert not same(content["params"], content["params_ema"])
    assert same(content, read(root / "models/net_g_6.pth"))
    assert read(root / "training_states/latest.state")["iteration"] == 6
    log = (root / "train.log").read_text()
    assert re.search(r"iter 4/6 eta 0:00:\d\d data \d+\.\d% lr 0\.000251 l_g_pix 0\.\d+", log)
    assert "finished (6 iterations): " in log
    assert load(TrainOptions, str(root / "options.yml")) == opt
    assert SRNetwork.from_checkpoint(latest, scale=2, device="cpu").scale == 2

    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(root / "tb"))
    events.Reload()
    assert [e.step for e in events.Scalars("losses/l_g_pix")] == [2, 3, 4, 6]
    assert {"losses/l_g_gan", "losses/l_d_real", "lr"} <= set(events.Tags()["scalars"])


def test_the_same_seed_gives_the_same_weights(photographs: Path, tmp_path: Path):
    runs = [
        read(train.train(opt_of(tmp_path / name, photographs, **changes)))
        for name, changes in {
            "a": {},
            "b": {},
            "worker": {"datasets__num_workers": 1},
            "seed": {"manual_seed": 4},
        }.items()
    ]
    assert same(runs[0], runs[1])
    assert same(runs[0], runs[2])
    assert not same(runs[0], runs[3])


def interrupt_at(iteration: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if Ctrl-C came in the middle of a step."""
    optimize = DeSRAModel.optimize

    def interrupted(self: DeSRAModel, batch: Any, number: int) -> Any:
        if number == iteration:
            raise KeyboardInterrupt
        return optimize(self, batch, number)

    monkeypatch.setattr(DeSRAModel, "optimize", interrupted)


@pytest.mark.parametrize("gan", [True, False])
def test_a_resumed_run_equals_an_uninterrupted_one(
    gan: bool, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
):
    whole = opt_of(tmp_path / "whole", photographs, gan)
    train.train(whole)

    parts = opt_of(tmp_path / "parts", photographs, gan)
    with monkeypatch.context() as patch:
        interrupt_at(5, patch)  # iteration 4 is done, not saved, and must be repeated
        with pytest.raises(KeyboardInterrupt):
            train.train(parts)
    root = tmp_path / "parts/tiny"
    assert read(root / "training_states/latest.state")["iteration"] == 3
    torch.rand(5)  # whatever happened to the global generator in between
    with caplog.at_level("INFO", "desra"):
        train.train(parts)
    assert "resumed at iteration 3" in caplog.text

    for name in ("models/net_g_3.pth", "models/net_g_6.pth", "models/net_g_latest.pth"):
        assert same(read(tmp_path / "whole/tiny" / name), read(root / name)), name
    last = "tiny/training_states/latest.state"
    one, two = (read(tmp_path / name / last) for name in ("whole", "parts"))
    assert same(one, two)


def test_a_finished_run_is_left_alone(photographs: Path, tmp_path: Path):
    opt = opt_of(tmp_path, photographs)
    latest = train.train(opt)
    before = latest.stat().st_mtime_ns
    assert train.train(opt) == latest
    assert latest.stat().st_mtime_ns == before


def test_a_gan_that_is_turned_off_is_said(photographs: Path, tmp_path: Path, caplog: Any):
    """And what it leaves idle changes nothing."""
    changes = {"train__losses__gan": None, "train__net_d_init_iters": 500, "train__net_d_iters": 4}
    with caplog.at_level("WARNING", "desra"):
        off = read(train.train(opt_of(tmp_path / "off", photographs, **changes)))
    words = "network_d, train.optim_d, train.net_d_iters, train.net_d_init_iters: not used without"
    assert [message for message in caplog.messages if message.startswith(words)]
    never = read(train.train(opt_of(tmp_path / "never", photographs, gan=False)))
    assert same(off, never)


def test_other_options_are_refused_without_overwrite(photographs: Path, tmp_path: Path):
    train.train(opt_of(tmp_path, photographs))
    root = tmp_path / "tiny"
    before = {p: p.read_bytes() for p in root.rglob("*") if p.is_file()}
    other = opt_of(tmp_path, photographs, train__optim_g__lr=2e-3)
    changed = r"other options \(train.optim_g.lr: 0.001 -> 0.002\); .* --overwrite"
    with pytest.raises(InputError, match=changed):
        train.train(other)
    assert {p: p.read_bytes() for p in root.rglob("*") if p.is_file()} == before

    (root / "models/net_g_99.pth").write_bytes(b"of another")
    with pytest.raises(InputError, match=r"did not write \(models/net_g_99.pth\)"):
        train.train(other, overwrite=True)
    (root / "models/net_g_99.pth").unlink()
    train.train(other, overwrite=True)
    assert read(root / "training_states/latest.state")["iteration"] == 6


def test_a_loss_that_is_not_finite_stops_the_run(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    optimize = DeSRAModel.optimize

    def poisoned(self: DeSRAModel, batch: Any, number: int) -> Any:
        if number == 5:  # between two prints
            batch["gt"] = batch["gt"] * float("nan")
        return optimize(self, batch, number)

    monkeypatch.setattr(DeSRAModel, "optimize", poisoned)
    words = r"l_g_pix.* not finite at iteration 5 \(samples: p\d, p\d\); lower the learning"
    with pytest.raises(FloatingPointError, match=words):
        train.train(opt_of(tmp_path, photographs))
    root = tmp_path / "tiny"
    assert {p.name for p in (root / "models").iterdir()} == {"net_g_3.pth", "net_g_latest.pth"}
    content = read(root / "models/net_g_latest.pth")
    assert all(v.isfinite().all() for net in content.values() for v in net.values())
    assert read(root / "training_states/latest.state")["iteration"] == 3


def test_weights_that_are_not_finite_are_never_saved(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """All losses are finite; the step that the last of them makes is not."""
    optimize = DeSRAModel.optimize

    def too_long(self: DeSRAModel, batch: Any, number: int) -> Any:
        losses = optimize(self, batch, number)
        if number == 6:
            next(self.net_g.parameters()).data[0] = float("inf")
        return losses

    monkeypatch.setattr(DeSRAModel, "optimize", too_long)
    with pytest.raises(FloatingPointError, match="weights not finite at iteration 6"):
        train.train(opt_of(tmp_path, photographs, gan=False))
    root = tmp_path / "tiny"
    assert {p.name for p in (root / "models").iterdir()} == {"net_g_3.pth", "net_g_latest.pth"}
    assert read(root / "training_states/latest.state")["iteration"] == 3


def test_the_loss_goes_down_on_one_crop(photographs: Path, tmp_path: Path):
    for path in sorted(photographs.iterdir())[1:]:
        path.unlink()
    opt = opt_of(
        tmp_path,
        photographs,
        gan=False,
        datasets__train={
            "type": "DegradedDataset",
            "dataroot_gt": str(photographs),
            "gt_size": 48,
            "crop_pad_size": 48,
            "use_hflip": False,
            "use_rot": False,
            "degradation": {
                "noise_range": [0, 1],
                "noise_range2": [0, 1],
                "sinc_prob": 0,
                "gaussian_noise_prob": 1,
                "gaussian_noise_prob2": 1,
                "blur_sigma": [0.2, 0.4],
                "second_blur_prob": 0,
                "final_sinc_prob": 0,
                "resize_prob": [0, 0, 1],
                "resize_prob2": [0, 0, 1],
                "jpeg_range": [95, 96],
                "jpeg_range2": [95, 96],
            },
        },
        train__total_iter=150,
        train__optim_g__lr=5e-3,
        logger={"print_freq": 15, "save_checkpoint_freq": 1000},
    )
    train.train(opt)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "tiny/tb"))
    events.Reload()
    losses = [e.value for e in events.Scalars("losses/l_g_pix")]
    assert losses[-1] < 0.7 * losses[0]
