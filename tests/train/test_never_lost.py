"""Runs that are killed, interrupted, terminated, cut off in a save: none of their work is lost."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from desra import train
from desra.io import lock
from desra.models import DeSRAModel
from desra.networks import checkpoints
from desra.options.loading import load
from desra.options.train import TrainOptions
from desra.train import run_folder, stage
from desra.train.loader import make_loader
from desra.train.validation import Validation
from desra.utils.errors import DiskFullError, InputError
from helpers.paths import HELPERS, TESTS
from helpers.small import photograph, save_compact, save_png, train_settings
from helpers.torchrun import torchrun
from helpers.training import opt_of, read, same

ENVIRONMENT = {
    **os.environ,
    "OMP_NUM_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "",
    "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)]),
}


def write_options(folder: Path, photographs: Path, **changes: Any) -> Path:
    """Sixty iterations, with all that has a state: EMA, Adam, a schedule, a discriminator."""
    settings = train_settings(folder / "runs", photographs)
    settings["train"]["total_iter"] = 60
    settings["logger"] = {"print_freq": 10, "save_checkpoint_freq": 2, "image_freq": 0}
    for path, value in changes.items():
        section, _, key = path.rpartition("__")
        (settings[section] if section else settings)[key] = value
    file = folder / "train.yml"
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump(settings))
    return file


def assert_same_runs(one: Path, two: Path) -> None:
    """All networks and the last state, bit for bit."""
    names = {path.name for path in (one / "models").iterdir()}
    assert names == {path.name for path in (two / "models").iterdir()} and len(names) > 1
    for name in names:
        assert same(read(one / "models" / name), read(two / "models" / name)), name
    states = [read(root / "training_states/latest.state") for root in (one, two)]
    assert same(*states)


def command(file: Path) -> list[str]:
    return [sys.executable, "-m", "desra.train", "-opt", str(file)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="lives are forked")
def test_killed_ten_times(photographs: Path, tmp_path: Path):
    whole = write_options(tmp_path / "whole", photographs)
    # With as many threads as the others: in which order sums are added depends on them.
    subprocess.run(command(whole), env=ENVIRONMENT, check=True, capture_output=True)
    parts = write_options(tmp_path / "parts", photographs)
    draw = random.Random(0)
    # Anywhere in two iterations, one of which saves; numbers of iterations rather than seconds, so
    # that a quick machine does not finish first.
    moments = [f"{5 * n + draw.randint(1, 5)}:{draw.uniform(0, 2):.3f}" for n in range(10)]
    ran = subprocess.run(
        [sys.executable, str(HELPERS / "killed_run.py"), str(parts), *moments],
        env=ENVIRONMENT,
        text=True,
        capture_output=True,
        timeout=120,
    )
    lives = ran.stdout.split()
    assert lives == 10 * ["killed"] + ["0"], ran.stdout + ran.stderr
    assert "resumed at iteration" in (tmp_path / "parts/runs/tiny/train.log").read_text()
    assert_same_runs(tmp_path / "whole/runs/tiny", tmp_path / "parts/runs/tiny")


def wait_for(done: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 60
    while not done():
        assert process.poll() is None and time.monotonic() < end, process.communicate()
        time.sleep(0.01)


def lines(log: Path, word: str) -> int:
    return log.read_text().count(word) if log.is_file() else 0


def reached(log: Path) -> int:
    """The last iteration that the log tells of."""
    found = re.findall(r" iter (\d+)/", log.read_text()) if log.is_file() else []
    return int(found[-1]) if found else 0


@pytest.mark.slow
def test_killed_five_times_as_a_command(photographs: Path, tmp_path: Path):
    """As `test_killed_ten_times`, by processes of their own with workers, at a slower pace."""
    changes = {
        "datasets__num_workers": 1,
        "datasets__batch_size": 4,
        "network_g": {"type": "SRVGGNetCompact", "num_feat": 64, "num_conv": 12, "upscale": 2},
        "datasets__train": {
            "type": "DegradedDataset",
            "dataroot_gt": str(photographs),
            "gt_size": 48,
            "crop_pad_size": 48,
        },
        "logger__print_freq": 1,
    }
    whole = write_options(tmp_path / "whole", photographs, **changes)
    subprocess.run(command(whole), env=ENVIRONMENT, check=True, capture_output=True)
    parts, log = write_options(tmp_path / "parts", photographs, **changes), "parts/runs/tiny"
    # Moments as iterations, so that a quick machine does not finish first; some lives end earlier,
    # in their start-up.
    draw = random.Random(1)
    for kill, iteration in enumerate(sorted(draw.sample(range(2, 50), 5))):
        process = subprocess.Popen(
            command(parts),
            env=ENVIRONMENT,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        patience = time.monotonic() + (draw.uniform(0, 4) if kill % 3 == 2 else 60)
        wait_for(
            lambda i=iteration, p=patience: (
                reached(tmp_path / log / "train.log") >= i or time.monotonic() > p
            ),
            process,
        )
        time.sleep(draw.uniform(0, 0.02))
        assert process.poll() is None, process.communicate()
        process.kill()
        process.communicate()
    assert "resumed at iteration" in (tmp_path / log / "train.log").read_text()
    subprocess.run(command(parts), env=ENVIRONMENT, check=True, capture_output=True)
    assert_same_runs(tmp_path / "whole/runs/tiny", tmp_path / log)


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "term"]
)
def test_a_signal_saves(number: signal.Signals, status: int, photographs: Path, tmp_path: Path):
    changes = {
        "datasets__num_workers": 1,
        "train__total_iter": 100000,
        "logger__save_checkpoint_freq": 100000,
    }
    file, root = write_options(tmp_path, photographs, **changes), tmp_path / "runs/tiny"
    process = subprocess.Popen(
        command(file),
        env=ENVIRONMENT,
        text=True,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    wait_for(lambda: lines(root / "train.log", "iter ") > 0, process)
    os.killpg(process.pid, number)  # as a terminal does: the workers get it too
    output, _ = process.communicate(timeout=60)
    assert process.returncode == status, output
    found = re.search(r"SIG\w+: saved at iteration (\d+) in (.*); give the same command", output)
    assert found and found[2] == str(root), output
    assert "Traceback" not in output
    state = read(root / "training_states/latest.state")
    assert state["iteration"] == int(found[1]) >= 10
    assert [p.name for p in (root / "models").iterdir()] == ["net_g_latest.pth"]


SWINIR = {
    "type": "SwinIR",
    "upscale": 2,
    "img_size": 8,
    "window_size": 8,
    "depths": [2, 2],
    "embed_dim": 6,
    "num_heads": [2, 2],
    "mlp_ratio": 1,
    "upsampler": "pixelshuffledirect",
    "drop_path_rate": 0.5,
}


@pytest.mark.parametrize(
    "changes",
    [{}, {"network_g": SWINIR}, {"train__accumulate": 2}, {"train__low_rank": 2}],
    ids=["compact", "random numbers", "accumulated", "low rank"],
)
def test_an_interrupted_run_goes_on_as_if_nothing_was(
    changes: dict[str, Any], photographs: Path, tmp_path: Path
):
    """Saved at an iteration at which it is not saved otherwise."""
    if "train__low_rank" in changes:
        changes = {**changes, "path__pretrain_network_g": str(save_compact(tmp_path / "g.pth"))}
    whole, parts = (opt_of(tmp_path / n, photographs, **changes) for n in ("whole", "parts"))
    train.train(whole)
    build = stage.build

    def interrupting(*arguments: Any, **named: Any) -> Any:
        model = build(*arguments, **named)
        step = model.optimize

        def interrupted(batch: Any, iteration: int) -> Any:
            if iteration == 5:
                signal.raise_signal(signal.SIGINT)  # in the middle of the step, which is finished
            return step(batch, iteration)

        model.optimize = interrupted
        return model

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage, "build", interrupting)
        with pytest.raises(KeyboardInterrupt):
            train.train(parts)
    assert read(tmp_path / "parts/tiny/training_states/latest.state")["iteration"] == 5
    train.train(parts)
    assert_same_runs(tmp_path / "whole/tiny", tmp_path / "parts/tiny")


@pytest.mark.parametrize("cut_off", [1, 2, 3, 4, 5, 6])
def test_a_crash_in_a_save_leaves_the_last_one(
    cut_off: int, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Two saves of three files each; the disk is full in the middle of one of them."""
    whole, parts = (opt_of(tmp_path / name, photographs) for name in ("whole", "parts"))
    train.train(whole)
    save, count = torch.save, 0

    def full(content: Any, file: Any) -> None:
        nonlocal count
        count += 1
        save(content, file)
        if count == cut_off:
            file.truncate(file.tell() // 2)
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints.torch, "save", full)
        with pytest.raises(DiskFullError, match="No space left on device; free space"):
            train.train(parts)
    for path in (tmp_path / "parts").rglob("*.pth"):
        read(path)  # whole
    train.train(parts)
    assert_same_runs(tmp_path / "whole/tiny", tmp_path / "parts/tiny")


def test_a_checkpoint_is_on_the_disk_before_it_replaces_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Else a file system may do the two in the other order, and a power cut leave an empty file."""
    done: list[tuple[str, int]] = []
    sync, replace = os.fsync, os.replace

    def synced(file: int) -> None:
        done.append(("sync", os.fstat(file).st_size))
        sync(file)

    def replaced(old: Path, new: Path) -> None:
        done.append(("replace", old.stat().st_size))
        replace(old, new)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    checkpoints.save_atomically({"a": torch.zeros(1000)}, tmp_path / "a.pth")
    size = (tmp_path / "a.pth").stat().st_size
    assert done == [("sync", size), ("replace", size)] and size > 4000


def test_what_may_change_on_the_way(
    photographs: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    """A longer run of other logging in another place is the same run."""
    changes = {"train__scheduler": {"type": "MultiStepLR", "milestones": [4]}}
    whole = opt_of(tmp_path / "whole", photographs, **changes, train__total_iter=8)
    train.train(whole)
    train.train(opt_of(tmp_path / "short", photographs, **changes, train__total_iter=5))
    (tmp_path / "short").rename(tmp_path / "moved")
    longer = opt_of(
        tmp_path / "moved",
        photographs,
        **changes,
        train__total_iter=8,
        logger__print_freq=1,
        datasets__num_workers=1,
    )
    with caplog.at_level("INFO", "desra"):
        train.train(longer)
    assert "resumed at iteration 5 of 8" in caplog.text
    latest = "tiny/models/net_g_latest.pth"
    assert same(read(tmp_path / "whole" / latest), read(tmp_path / "moved" / latest))


def test_a_cosine_schedule_cannot_be_extended(photographs: Path, tmp_path: Path):
    train.train(opt_of(tmp_path, photographs))
    words = r"train\.scheduler\.T_max: 6 -> 8\) \(T_max is total_iter unless it is given\); .*over"
    with pytest.raises(InputError, match=words):
        train.train(opt_of(tmp_path, photographs, train__total_iter=8))


@pytest.mark.parametrize("change", ["added", "replaced", "of an earlier desra"])
def test_other_photographs_are_refused(change: str, photographs: Path, tmp_path: Path):
    latest = train.train(opt_of(tmp_path, photographs))
    kept = latest.read_bytes()
    if change == "of an earlier desra":  # which knew nothing of the photographs
        file = tmp_path / "tiny/training_states/latest.state"
        state = read(file)
        assert all(state["data"])
        torch.save({**state, "data": [None]}, file)
        (tmp_path / "tiny" / run_folder.KIND.ledger).unlink()
    else:
        name = "p9.png" if change == "added" else "p1.png"
        save_png(photographs / name, photograph(77, 50, 60))
    words = r"holds a run with other data \(.*added, removed or replaced.*earlier desra.*--over"
    with pytest.raises(InputError, match=words):
        train.train(opt_of(tmp_path, photographs))
    assert latest.read_bytes() == kept


def test_networks_of_something_else_are_left_alone(photographs: Path, tmp_path: Path):
    models = tmp_path / "tiny/models"
    models.mkdir(parents=True)
    (models / "net_g_latest.pth").write_bytes(b"mine")
    with pytest.raises(InputError, match=r"holds networks of something else; choose another name$"):
        train.train(opt_of(tmp_path, photographs))
    with pytest.raises(InputError, match=r"tiny is not marked as written by desra\.train"):
        train.train(opt_of(tmp_path, photographs), overwrite=True)
    assert (models / "net_g_latest.pth").read_bytes() == b"mine"


@pytest.mark.parametrize("workers", [0, 1])
def test_a_file_that_goes_away_is_one_sentence(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
):
    def remove_and_make(*arguments: Any) -> Any:
        for path in photographs.glob("*.png"):
            path.unlink()
        return make_loader(*arguments)

    monkeypatch.setattr(stage, "make_loader", remove_and_make)
    with pytest.raises(InputError, match=r"^[^\n]*\.png[^\n]*$") as told:
        train.train(opt_of(tmp_path, photographs, datasets__num_workers=workers))
    assert "Traceback" not in str(told.value)


@pytest.mark.parametrize("damage", ["missing", "damaged", "other"])
def test_a_finished_run_has_its_result(photographs: Path, tmp_path: Path, damage: str):
    opt = opt_of(tmp_path, photographs)
    latest = train.train(opt)
    whole = latest.read_bytes()
    if damage == "missing":
        latest.unlink()
    elif damage == "damaged":
        latest.write_bytes(b"x")
    else:
        latest.write_bytes(other := (latest.parent / "net_g_3.pth").read_bytes())
        with pytest.raises(
            InputError, match=r"net_g_latest\.pth holds other weights than this run"
        ):
            train.train(opt)
        assert latest.read_bytes() == other
        return
    train.train(opt)
    assert latest.read_bytes() == whole


def files_in(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != lock.LOCK
    }


def _of_detect(folder: Path) -> None:
    save_png(folder / "sr_gan/a.png", photograph(1, 8, 8))
    (folder / "manifest.jsonl").write_text("")
    (folder / "options.yml").write_text("input: {}\noutput: x\n")


def _of_run(folder: Path) -> None:
    (folder / "lineage.json").write_text("{}")
    (folder / "options.yml").write_text("output: x\n")
    (folder / "net_g.pth").write_bytes(b"weights")


def _of_a_stranger(folder: Path) -> None:
    """Of basicsr, say: its options have the same sections, and its states the same folder."""
    (folder / "options.yml").write_text(
        "name: x\nnetwork_g: {}\ndatasets: {}\npath: {}\ntrain: {}\nlogger: {}\n"
    )
    for name in ("models/net_g_5.pth", "training_states/5.state", "thesis.tex"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"mine")


@pytest.mark.parametrize("fill", [_of_detect, _of_run, _of_a_stranger])
def test_overwrite_empties_no_folder_of_others(
    photographs: Path, tmp_path: Path, fill: Callable[[Path], None]
):
    folder = tmp_path / "tiny"
    folder.mkdir()
    fill(folder)
    before = files_in(folder)
    with pytest.raises(InputError, match="so nothing in it is deleted"):
        train.train(opt_of(tmp_path, photographs), overwrite=True)
    with pytest.raises(InputError):  # nor are options of others replaced
        train.train(opt_of(tmp_path, photographs))
    assert files_in(folder) == before


def test_overwrite_does_not_delete_what_it_reads(photographs: Path, tmp_path: Path):
    train.train(opt_of(tmp_path, photographs))
    models = tmp_path / "tiny/models"
    before = files_in(tmp_path / "tiny")
    opt = opt_of(tmp_path, photographs, path__pretrain_network_g=str(models / "net_g_3.pth"))
    with pytest.raises(InputError, match=r"path\.pretrain_network_g \(.*net_g_3\.pth\) lies in"):
        train.train(opt, overwrite=True)
    assert files_in(tmp_path / "tiny") == before
    save_png(tmp_path / "tiny/hr/a.png", photograph(1, 64, 64))
    opt = opt_of(tmp_path, tmp_path / "tiny/hr")
    with pytest.raises(InputError, match=r"did not write \(hr/a\.png\)"):
        train.train(opt, overwrite=True)
    assert (tmp_path / "tiny/hr/a.png").exists()


def test_a_folder_of_before_there_was_a_ledger_is_known(photographs: Path, tmp_path: Path):
    train.train(opt_of(tmp_path, photographs))
    (tmp_path / "tiny" / run_folder.KIND.ledger).unlink()
    train.train(opt_of(tmp_path, photographs, train__optim_g__lr=2e-3), overwrite=True)
    assert (tmp_path / "tiny/models/net_g_latest.pth").is_file()


def test_two_runs_in_one_folder(photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lock, "LOCK_SECONDS", 0.05)
    opt = opt_of(tmp_path, photographs)
    first = run_folder.RunFolder(opt)
    first.open(overwrite=False)
    with pytest.raises(InputError, match=r"name: another process is at work in .*tiny; "):
        run_folder.RunFolder(opt).open(overwrite=True)
    first.close()
    run_folder.RunFolder(opt).open(overwrite=False)


@pytest.mark.slow
def test_the_number_of_processes_may_change(photographs: Path, tmp_path: Path):
    for i in range(3):  # three images for two processes
        save_png(tmp_path / f"val/gt/{i}.png", gt := photograph(i, 40, 48 + 2 * i))
        save_png(tmp_path / f"val/lq/{i}.png", gt[::2, ::2])
    val = {"dataroot_lq": str(tmp_path / "val/lq"), "dataroot_gt": str(tmp_path / "val/gt")}
    network_d = {"type": "UNetDiscriminatorSN", "num_in_ch": 3, "num_feat": 2}
    changes = {
        "train__scheduler": None,
        "train__total_iter": 4,
        "val": val,
        "network_d": network_d,  # without BatchNorm, which CPUs do not share
    }
    file, root = write_options(tmp_path, photographs, **changes), tmp_path / "runs/tiny"
    ran = torchrun(2, "-m", "desra.train", "-opt", file)
    assert ran.returncode == 0, ran.stderr[-3000:]
    state = read(root / "training_states/latest.state")
    assert (state["iteration"], state["samples"], state["processes"]) == (4, 16, 2)
    assert len(state["rng"]) == 2
    assert "2 processes" in (root / "train.log").read_text()
    opt = load(TrainOptions, str(file))
    model = DeSRAModel(opt)
    model.load_state(state)
    assert state["best"]["value"] == pytest.approx(Validation(opt)(model)["psnr"], abs=1e-9)

    longer = ["--auto_resume", "--force_yml", "train:total_iter=6"]
    assert train.main(["-opt", str(file), *longer]) == 0
    assert "the run had 2 processes and has 1: a step takes 2 samples now" in (
        (root / "train.log").read_text()
    )
    state = read(root / "training_states/latest.state")
    assert (state["iteration"], state["samples"], state["processes"]) == (6, 20, 1)
