"""Whole runs of few iterations with the embedded networks: rounds, lineage, resuming, refusing."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from scipy import ndimage

from desra import run
from desra.io.images import read_mask
from desra.io.labelme import write_labelme
from desra.networks.checkpoints import tensors_of
from desra.networks.load import network_g_of
from desra.options.loading import find_options_file, parse
from desra.options.run import RunOptions
from desra.run import stage
from desra.utils.errors import InputError
from helpers.small import photograph, run_settings, save_compact, save_png


def opt_of(lq: Path, output: Path, **changes: Any) -> RunOptions:
    return parse(RunOptions, run_settings(lq, output, **changes), "test")


def hash_of(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def stems(folder: Path) -> set[str]:
    return {file.stem for file in folder.iterdir()}


def without_seconds(content: dict[str, Any]) -> dict[str, Any]:
    rounds = [{k: v for k, v in r.items() if k != "seconds"} for r in content["rounds"]]
    return {**content, "rounds": rounds}


# ----------------------------------------------------------------------------------- a whole run


def test_what_a_run_leaves(lq: Path, tmp_path: Path, capsys: Any, caplog: Any):
    out = tmp_path / "out"
    with caplog.at_level("INFO", "desra"):
        content = run.run(opt_of(lq, out))
    assert content == json.loads((out / "lineage.json").read_text())

    # Each image on one side, copied as it is, and never the two together.
    heldout, finetuned = (content["images"][side] for side in ("heldout", "finetuned"))
    assert len(heldout) == 2 and len(finetuned) == 3
    for side, images in (("heldout", heldout), ("finetuned", finetuned)):
        for stem, entry in images.items():
            assert entry["sha256"] == hash_of(lq / f"{stem}.png")
            assert entry["sha256"] == hash_of(out / "images" / side / f"{stem}.png")
            assert entry["round"] == 1
        for name in ("original", "round_1", "round_2"):
            assert stems(out / name / side / "mask") == set(images)

    # From network to network.
    latest = [out / f"round_{n}/train/models/net_g_latest.pth" for n in (1, 2)]
    for record, before, after in zip(
        content["rounds"], ["embedded:gan", str(latest[0])], map(str, latest), strict=True
    ):
        assert record["network"]["before"]["weights"] == before
        assert record["network"]["after"] == {"weights": after, "sha256": hash_of(Path(after))}
        assert set(record["seconds"]) >= {"images", "train", "evaluate"}
        assert min(record["seconds"].values()) >= 0
    trained = [yaml.safe_load((out / f"round_{n}/train/options.yml").read_text()) for n in (1, 2)]
    assert trained[0]["path"]["pretrain_network_g"] == "embedded:gan"
    assert trained[0]["path"]["preserve_network_g"] is None
    assert trained[1]["path"]["pretrain_network_g"] == str(latest[0])
    assert trained[1]["path"]["preserve_network_g"] == "embedded:gan"
    roots = [options_["datasets"]["train"]["dataroot"] for options_ in trained]
    assert roots[0] == [str(out / "original/finetuned")]
    assert roots[1] == [*roots[0], str(out / "round_1/finetuned")]  # old samples are kept

    # The counts, by another labelling.
    def count(name: str) -> int:
        masks = [read_mask(file) for file in (out / name / "heldout/mask").iterdir()]
        return sum(ndimage.label(mask, np.ones((3, 3)))[1] for mask in masks)

    for number, record in enumerate(content["rounds"], 1):
        total = record["scores"]["heldout"]
        assert total["regions_before"] == count("original")
        assert total["regions_after"] == count(f"round_{number}")
        step = record["scores"].get("heldout_step")
        assert (step is None) == (number == 1)
        if step:
            assert step["regions_before"] == count(f"round_{number - 1}")

    kept = [record["round"] for record in content["rounds"] if record["kept"]]
    if kept:
        assert hash_of(out / "net_g.pth") == hash_of(latest[kept[-1] - 1])
        assert content["final"]["sha256"] == hash_of(out / "net_g.pth")
    said = capsys.readouterr().out
    assert "2 images held out:" in said and "3 images finetuned on:" in said
    table = json.loads((out / "rounds.json").read_text())
    assert {len(row) for row in table["rows"]} == {len(table["columns"])}
    left = table["columns"].index("regions left")
    by_round = {row[1]: row[left] for row in table["rows"] if row[0] == "held out"}
    assert by_round == {0: count("original"), 1: count("round_1"), 2: count("round_2")}
    (curve,) = (c for c in table["curves"] if c["title"] == "regions left")
    assert {"name": "held out", "x": [0, 1, 2], "y": list(by_round.values())} in curve["series"]
    assert "== Round 2 of at most 2: finetune" in caplog.text

    # Again: nothing is done, the table is there.
    files = [file for file in out.rglob("*.p*") if file.name != "net_g.pth"]
    times = {file: file.stat().st_mtime_ns for file in files}
    again = run.run(opt_of(lq, out))
    assert without_seconds(again) == without_seconds(content)
    assert capsys.readouterr().out == said
    assert times == {file: file.stat().st_mtime_ns for file in times}

    # More rounds, by the same command.
    third = run.run(opt_of(lq, out, max_rounds=3))
    assert len(third["rounds"]) == (3 if content["rounds"][1]["kept"] else 2)


def test_the_command_line_needs_no_file(lq: Path, tmp_path: Path, capsys: Any):
    assert run.main(["-i", str(lq), "-o", str(tmp_path / "out"), "--rounds", "5", "--check"]) == 0
    said = yaml.safe_load(capsys.readouterr().out)
    assert said["input"]["lq"] == str(lq) and said["max_rounds"] == 5
    assert said["sr_gan"]["weights"] == "embedded:gan"
    assert not (tmp_path / "out").exists()
    assert run.main(["-i", str(tmp_path / "none"), "-o", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert "none does not exist" in error and "Traceback" not in error


# -------------------------------------------------------------------------------------- resuming


class Cut(BaseException):
    """As if the process ended."""


def cut_at(monkeypatch: pytest.MonkeyPatch, call: int, after: bool) -> None:
    """End the process before or after the ``call``-th stage."""
    calls = 0

    def cutting(function: Callable[..., Any]) -> Callable[..., Any]:
        def work(*args: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == call and not after:
                raise Cut
            result = function(*args)
            if calls == call:
                raise Cut
            return result

        return work

    for name in ("detect", "train", "evaluate"):
        monkeypatch.setattr(stage, name, cutting(getattr(stage, name)))


@pytest.mark.slow
def test_cut_off_at_any_stage_it_goes_on_and_ends_the_same(
    lq: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    whole = run.run(opt_of(lq, out := tmp_path / "run"))
    weights = tensors_of(out / "round_2/train/models/net_g_latest.pth")
    out.rename(tmp_path / "whole")  # the same names in both, since options and lineage hold them
    for attempt in range(30):
        with monkeypatch.context() as patch:
            # Up to six stages further on: those that are done are not begun again.
            cut_at(patch, 2 + attempt % 5, after=attempt % 2 == 0)
            try:
                parts = run.run(opt_of(lq, out))
                break
            except Cut:
                continue
    else:
        pytest.fail("it never ends")
    assert attempt >= 4
    assert without_seconds(parts) == without_seconds(whole)
    again = tensors_of(out / "round_2/train/models/net_g_latest.pth")
    assert all(torch.equal(weights[name], again[name]) for name in weights)
    for name in ("rounds.json", "round_2/scores/heldout/scores.json"):
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.slow
def test_killed_it_goes_on_and_ends_the_same(lq: Path, tmp_path: Path):
    """By SIGKILL, at whatever it does then, in processes of its own."""
    out = tmp_path / "run"
    file = tmp_path / "run.yml"
    file.write_text(yaml.safe_dump(run_settings(lq, out)))
    command = [sys.executable, "-m", "desra.run", "-opt", str(file)]

    def work(until: Callable[[], bool] | None = None) -> int:
        process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        if until is None:
            _, said = process.communicate()
            assert process.returncode == 0, said.decode()
            return 0
        while process.poll() is None and not until():
            time.sleep(0.02)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        return process.returncode

    work()
    whole = json.loads((out / "lineage.json").read_text())
    out.rename(tmp_path / "whole")
    marks = [
        "original/finetuned/manifest.jsonl",
        "round_1/train/training_states/latest.state",
        "round_1/heldout/mask",
        "round_1/scores",
        "round_2/train/models",
        "round_2/scores/finetuned",
    ]
    killed = [work(lambda mark=mark: (out / mark).exists()) for mark in marks]
    assert killed.count(-signal.SIGKILL) >= 4
    work()
    assert without_seconds(json.loads((out / "lineage.json").read_text())) == without_seconds(whole)
    left = [p for p in out.rglob("*") if p.name.endswith(".tmp")]
    assert not left


# -------------------------------------------------------------------------------- images that join


def test_new_images_join_and_old_ones_stay(lq: Path, tmp_path: Path):
    out, more = tmp_path / "out", tmp_path / "more"
    save_png(more / "p0.png", photograph(10, 32, 40))  # a name that is taken, another content
    save_png(more / "twin.png", photograph(1, 32, 40))  # a content that is there
    run.run(opt_of(lq, out, max_rounds=1))
    first = json.loads((out / "lineage.json").read_text())
    save_png(lq / "later.png", photograph(11, 32, 40))
    changed = {"input": {"lq": str(lq), "add": [str(more)]}, "max_rounds": 2}
    content = run.run(opt_of(lq, out, **changed))

    sides = {s: set(content["images"][s]) for s in ("heldout", "finetuned")}
    for side in sides:
        assert set(first["images"][side]) <= sides[side]
    everything = set.union(*sides.values())
    renamed = f"p0_{hash_of(more / 'p0.png')[:6]}"
    assert everything == {"p0", "p1", "p2", "p3", "p4", "later"} | (everything & {renamed, "p0"})
    assert len(sides["heldout"]) + len(sides["finetuned"]) == 7
    hashes = [e["sha256"] for side in sides for e in content["images"][side].values()]
    assert len(set(hashes)) == 7
    joined = [e for s in sides for e in content["images"][s].values() if e["round"] == 2]
    assert {e["sha256"] for e in joined} == {hash_of(lq / "later.png"), hash_of(more / "p0.png")}
    for side, names in sides.items():  # what is compared holds the same images
        for name in ("original", "round_1", "round_2"):
            assert stems(out / name / side / "mask") == names


def test_new_images_wait_for_a_higher_limit(lq: Path, tmp_path: Path):
    run.run(opt_of(lq, tmp_path / "out", max_rounds=1))
    save_png(lq / "later.png", photograph(11, 32, 40))
    content = run.run(opt_of(lq, tmp_path / "out", max_rounds=1))
    assert "new images wait: 1" in content["stopped"] and "--rounds 2" in content["stopped"]


def test_results_among_the_inputs_are_refused(lq: Path, tmp_path: Path):
    with pytest.raises(InputError, match=r"output: .* lies in input\.lq"):
        run.run(opt_of(lq, lq / "results"))


def test_without_held_out_images_it_is_said(lq: Path, tmp_path: Path, capsys: Any):
    content = run.run(opt_of(lq, tmp_path / "out", holdout_share=0, max_rounds=1))
    assert content["images"]["heldout"] == {} and content["rounds"][0]["judge"] == "finetuned"
    assert "No image was held out" in capsys.readouterr().out
    assert "No image was held out" in json.loads((tmp_path / "out/rounds.json").read_text())["note"]


# ------------------------------------------------------------------------------------ how it stops


def test_nothing_found_trains_nothing_and_says_what_came_nearest(lq: Path, tmp_path: Path):
    mask = {"min_area": 100_000, "threshold": 0.85}
    content = run.run(opt_of(lq, tmp_path / "out", detect={"mask": mask}, sample_area=1.0))
    assert content["rounds"] == [] and content["final"] is None
    assert not (tmp_path / "out/round_1").exists() and not (tmp_path / "out/net_g.pth").exists()
    said = content["stopped"]
    assert "nothing was found in 3 images" in said and "desra.sweep" in said
    # By hand: the largest region that the mask rule leaves when any area counts.
    plan = opt_of(lq, tmp_path / "all", detect={"mask": {**mask, "min_area": 0}}, max_rounds=1)
    areas = {}
    stage.detect(
        plan.detect_options(
            tmp_path / "out/images/finetuned",
            tmp_path / "all",
            plan.sr_gan,
            stage.find_networks(plan).mse,
            4,
        )
    )
    for file in (tmp_path / "all/mask").iterdir():
        labels, _ = ndimage.label(read_mask(file), np.ones((3, 3)))
        areas[file.stem] = int(np.bincount(labels.ravel())[1:].max(initial=0))
    best = max(areas, key=lambda stem: areas[stem])
    named, _, rest = said.rpartition(" came nearest, with ")
    area = int(rest.split()[0])
    # The map on disk is in steps of 1/255.
    assert abs(areas[named.split()[-1]] - areas[best]) < 0.1 * areas[best]
    assert abs(area - areas[best]) < 0.1 * areas[best]
    assert run.run(opt_of(lq, tmp_path / "out", detect={"mask": mask}, sample_area=1.0)) == content


def test_a_round_that_makes_things_worse_is_given_up(
    lq: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
):
    real = stage.train

    def spoil(opt: Any) -> Path:
        """Noise in the weights, and so in the images."""
        latest = real(opt)
        weights = {k: v + 0.05 * torch.randn_like(v) for k, v in tensors_of(latest).items()}
        torch.save({"params": weights, "params_ema": weights}, latest)
        return latest

    torch.manual_seed(0)
    monkeypatch.setattr(stage, "train", spoil)
    content = run.run(opt_of(lq, tmp_path / "out"))
    (record,) = content["rounds"]
    total = record["scores"][record["judge"]]
    assert total["regions_added"] > total["regions_removed"]
    assert not record["kept"] and record["worse"] and "round 1 is given up" in content["stopped"]
    assert content["final"] is None and not (tmp_path / "out/net_g.pth").exists()
    assert "given up" in capsys.readouterr().out


def test_small_gains_stop_it(lq: Path, tmp_path: Path):
    content = run.run(opt_of(lq, tmp_path / "out", min_gain=1.0))
    assert len(content["rounds"]) == 1
    assert "less than min_gain, 1" in content["stopped"] or not content["rounds"][0]["kept"]


# ------------------------------------------------------------------------------------------ review


def test_a_human_corrects_the_masks(lq: Path, tmp_path: Path, caplog: Any):
    out = tmp_path / "out"
    opt = opt_of(lq, out, review=True, max_rounds=1)
    with caplog.at_level("INFO", "desra"):
        run.run(opt)
    exported = out / "original/finetuned/labelme"
    assert f"labelme {exported}" in caplog.text
    assert not (out / "round_1").exists()
    names = sorted(path.stem for path in exported.iterdir())
    assert len(names) == 3 and not (out / "original/heldout/labelme").exists()

    drawn = np.zeros((128, 160), bool)
    drawn[20:60, 30:90] = True
    write_labelme(exported / f"{names[0]}.json", drawn, exported)
    untouched = (out / "original/finetuned/pseudo_gt" / f"{names[1]}.png").stat().st_mtime_ns
    content = run.run(opt)
    assert (read_mask(out / f"original/finetuned/mask/{names[0]}.png") == drawn).all()
    pseudo_gt = out / "original/finetuned/pseudo_gt" / f"{names[1]}.png"
    assert pseudo_gt.stat().st_mtime_ns == untouched  # only what was changed is done again
    assert content["rounds"][0]["scores"] and (out / "round_1/train/models").is_dir()
    # The human is asked about the images finetuned on, and the held-out ones judge as they are.
    assert not (out / "round_1/heldout/labelme").exists()


# ----------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"detect": {"input": {"lq": "a"}}}, "detect.input: is set by the run; give input.lq"),
        ({"train": {"path": {"pretrain_network_g": "a"}}}, "give sr_gan.weights of the run"),
        ({"train": {"datasets": {"train": {"dataroot": "a"}}}}, "train.datasets.train.dataroot: "),
        ({"evaluate": {"before": "a"}}, "evaluate.before: is set by the run"),
        ({"detect": {"mask": {"treshold": 1}}}, "mask.treshold: unknown key; did you mean 'thr"),
        ({"train": {"train": {"total_itr": 1}}}, "train.total_itr: unknown key; did you mean"),
        ({"train": {"train": {"ema_decay": 2}}}, "train: train.ema_decay: "),
        ({"train": {"network_d": {"type": "UNetDiscriminatorSN"}}}, "network_d: not used without"),
        ({"train": {"train": {"net_d_iters": 9}}}, "train.net_d_iters: not used without"),
        ({"evaluate": {"metrics": "musiq"}}, "evaluate: metrics: "),
        ({"evaluate": {"bootstrap": {"resamples": 3}}}, "evaluate: bootstrap.resamples: "),
        ({"train": {"options": "none.yml"}}, "the options file none.yml does not exist"),
        ({"max_round": 3}, "max_round: unknown key; did you mean 'max_rounds'?"),
        ({"detect": {"options": "options/realesrgan/detect.yml"}}, "looks at RealESRGAN_x4plus"),
        ({"holdout_share": 2}, "holdout_share: "),
    ],
)
def test_wrong_options_are_said_before_any_work(
    changes: dict[str, Any], sentence: str, lq: Path, tmp_path: Path
):
    with pytest.raises(InputError) as caught:
        opt_of(lq, tmp_path / "out", **changes)
    assert sentence in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_section_may_ask_for_what_a_run_always_has(lq: Path, tmp_path: Path):
    """Weights to start from, folders to compare; its own keys are none of the section's."""
    sections = {
        "train": {"train": {"strength": 0.5, "low_rank": 2}},
        "evaluate": {"metrics": ["musiq"], "sheet_rows": 2},
    }
    assert opt_of(lq, tmp_path / "out", **sections).evaluate == sections["evaluate"]


def test_a_section_goes_over_its_file(lq: Path, tmp_path: Path):
    file = tmp_path / "mine.yml"
    text = Path(find_options_file("options/finetune.yml")).read_text()
    file.write_text(text.replace("total_iter: 200", "total_iter: 77"))
    train = {"options": str(file), "train": {"low_rank": 2}, "datasets": {"batch_size": 3}}
    opt = opt_of(lq, tmp_path / "out", train=train, manual_seed=5)
    spec = {"type": "SRVGGNetCompact", "num_feat": 4}
    plan = opt.train_options(tmp_path, [tmp_path / "a"], spec, 4, "w.pth", "embedded:gan")
    assert (plan.train.total_iter, plan.train.low_rank, plan.datasets.batch_size) == (77, 2, 3)
    assert plan.train.losses["art"] and plan.manual_seed == 5
    assert plan.path.preserve_network_g == "embedded:gan"
    previous = opt.model_copy(update={"preserve": "previous"})
    plan = previous.train_options(tmp_path, [], spec, 4, "w.pth", "embedded:gan")
    assert plan.path.preserve_network_g is None


def test_another_run_in_the_folder(lq: Path, tmp_path: Path):
    out = tmp_path / "out"
    run.run(opt_of(lq, out, max_rounds=1))
    kept = hash_of(out / "lineage.json")
    other = opt_of(lq, out, max_rounds=1, detect={"mask": {"min_area": 60, "threshold": 0.9}})
    with pytest.raises(InputError, match=r"detect\.mask\.threshold: 0\.85 -> 0\.9.*--overwrite"):
        run.run(other)
    assert hash_of(out / "lineage.json") == kept
    assert run.run(other, overwrite=True)["rounds"]
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious/file").write_text("mine")
    with pytest.raises(InputError, match="so nothing in it is deleted"):
        run.run(opt_of(lq, tmp_path / "precious"), overwrite=True)
    assert (tmp_path / "precious/file").read_text() == "mine"


def test_what_exists_is_checked_before_it_is_trusted(lq: Path, tmp_path: Path, caplog: Any):
    out = tmp_path / "out"
    run.run(opt_of(lq, out))
    lineage = json.loads((out / "lineage.json").read_bytes())
    assert [record["kept"] for record in lineage["rounds"]] == [True, True]
    final = hash_of(out / "net_g.pth")
    latest = out / "round_2/train/models/net_g_latest.pth"
    latest.write_bytes(b"x")
    run.run(opt_of(lq, out))
    assert "is not what the run wrote" in caplog.text
    assert hash_of(out / "net_g.pth") == hash_of(latest) == final
    shutil.rmtree(out / "round_2")
    shutil.rmtree(out / "original/heldout")
    run.run(opt_of(lq, out))
    assert hash_of(out / "net_g.pth") == hash_of(latest) == final
    shutil.rmtree(out / "round_1")
    with pytest.raises(
        InputError, match=r"round_1/.*net_g_latest\.pth is missing, and later rounds"
    ):
        run.run(opt_of(lq, out))
    assert hash_of(out / "net_g.pth") == final


def test_results_of_detect_are_looked_at_before_a_run_goes_on(
    lq: Path, tmp_path: Path, caplog: Any
):
    out = tmp_path / "out"
    run.run(opt_of(lq, out, max_rounds=1))
    mask, pseudo_gt = (
        next((out / f"original/finetuned/{kind}").iterdir()) for kind in ("mask", "pseudo_gt")
    )
    save_png(mask, np.zeros((128, 160), np.uint8))  # by hand
    content = mask.read_bytes()
    run.run(opt_of(lq, out, max_rounds=1))
    assert f"kept as they are: {mask}" in caplog.text
    pseudo_gt.unlink()
    mask.unlink()
    run.run(opt_of(lq, out, max_rounds=1))
    assert mask.is_file() and pseudo_gt.is_file() and mask.read_bytes() != content


@pytest.mark.parametrize("place", ["images/finetuned/photo.png", "photo.png", "round_1/thesis.tex"])
def test_overwrite_deletes_no_file_of_others(lq: Path, tmp_path: Path, place: str):
    out = tmp_path / "out"
    with pytest.raises(InputError, match="not marked as written"):
        out.mkdir()
        (out / "lineage.json").write_text("{}")
        run.run(opt_of(lq, out, max_rounds=1), overwrite=True)
    assert (out / "lineage.json").read_text() == "{}"
    (out / "lineage.json").unlink()
    run.run(opt_of(lq, out, max_rounds=1))
    (out / place).write_bytes(next(lq.glob("*.png")).read_bytes())
    before = hash_of(out / "lineage.json")
    with pytest.raises(
        InputError, match=rf"did not write \({place}\), so nothing in it is deleted"
    ):
        run.run(opt_of(lq, out, max_rounds=1), overwrite=True)
    assert hash_of(out / "lineage.json") == before and (out / place).exists()
    if place.startswith("images"):  # nor is it taken for one of the run's, or deleted
        with pytest.raises(InputError, match=r"did not write.*photo\.png; move them away"):
            run.run(opt_of(lq, out, max_rounds=1))
        assert (out / place).exists()


def everything_in(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_overwrite_deletes_nothing_that_a_person_made_or_changed(lq: Path, tmp_path: Path):
    out = tmp_path / "out"
    opt = opt_of(lq, out, review=True, max_rounds=1)
    run.run(opt)
    labelme = out / "original/finetuned/labelme"
    first, second = sorted(labelme.iterdir())[:2]
    as_written = first.read_bytes()
    drawn = np.zeros((128, 160), bool)
    drawn[20:60, 30:90] = True
    write_labelme(first, drawn, labelme)
    reviewed = labelme.with_name("reviewed") / first.name

    def refused(*paths: Path) -> None:
        before = everything_in(out)
        with pytest.raises(InputError, match="so nothing in it is deleted") as told:
            run.run(opt, overwrite=True)
        for path in paths:
            assert str(path.relative_to(out)) in str(told.value)
        assert everything_in(out) == before

    refused(first)
    run.run(opt)
    refused(first, reviewed)
    first.write_bytes(as_written)
    refused(reviewed)  # the only copy of what was drawn
    reviewed.rename(tmp_path / "mine.json")
    mask = out / "original/finetuned/mask" / f"{second.stem}.png"
    page = out / "report/finetuned/index.html"
    network = out / "round_1/train/models/net_g_latest.pth"
    scores = out / "round_1/scores/finetuned/scores.json"
    for path in (mask, page, network, scores):
        content = path.read_bytes()
        path.write_bytes(content + b"\n")
        refused(path)
        path.write_bytes(content)
    added = second.with_name("added.json")
    added.write_bytes(as_written)
    refused(added)
    added.unlink()
    run.run(opt, overwrite=True)
    assert not reviewed.exists() and not (out / "round_1").exists()


def test_a_mask_among_the_reviewed_ones_is_not_replaced(lq: Path, tmp_path: Path):
    out = tmp_path / "out"
    opt = opt_of(lq, out, review=True, max_rounds=1)
    run.run(opt)
    labelme = out / "original/finetuned/labelme"
    corrected = next(labelme.iterdir())
    write_labelme(corrected, np.ones((128, 160), bool), labelme)
    mine = labelme.with_name("reviewed") / corrected.name
    mine.parent.mkdir()
    mine.write_text("mine")
    with pytest.raises(InputError, match=rf"reviewed/{corrected.name}; move them away"):
        run.run(opt)
    assert mine.read_text() == "mine"


def test_the_recipe_follows_the_network(lq: Path, tmp_path: Path):
    opt = parse(RunOptions, {"input": {"lq": str(lq)}, "output": str(tmp_path / "out")}, "test")
    arguments = ([], 4, "a.pth", "a.pth")
    dense = {"type": "RRDBNet", "num_in_ch": 3, "num_out_ch": 3}
    plan = opt.train_options(tmp_path, arguments[0], dense, *arguments[1:])
    assert plan.train.strength == 0.4  # options/realesrgan/finetune_gentle.yml
    assert plan.network_g.spec() == dense
    compact = network_g_of("embedded:gan")
    plan = opt.train_options(tmp_path, arguments[0], compact, *arguments[1:])
    assert plan.train.strength == 0.7  # options/finetune.yml


@pytest.mark.parametrize(
    ("architecture", "given", "detector", "min_area"),
    [
        ("RRDBNet", {}, "relative_local_variance", 4000),
        ("RRDBNet", {"mask": {"min_area": 9}}, "relative_local_variance", 9),
        ("RRDBNet", {"options": "options/detect.yml"}, "evidence", 1000),
        ("SRVGGNetCompact", {}, "evidence", 1000),
    ],
)
def test_the_detection_follows_the_recipe(
    lq: Path, tmp_path: Path, architecture: str, given: dict, detector: str, min_area: int
):
    content = {
        "input": {"lq": str(lq)},
        "output": str(tmp_path / "out"),
        "detect": given,
        "sr_gan": {"weights": "mine.pth"},
    }
    opt = parse(RunOptions, content, "test").for_network(architecture)
    plan = opt.detect_options(lq, tmp_path, opt.sr_gan, None, 4)
    assert plan.detector.type == detector and plan.mask.min_area == min_area
    assert plan.sr_gan.weights == "mine.pth"


def test_an_own_network_of_another_scale(lq: Path, tmp_path: Path):
    """Weights are given once; scale and architecture are found."""
    gan, mse = (save_compact(tmp_path / f"{i}.pth", scale=2, seed=i) for i in (1, 2))
    opt = opt_of(
        lq,
        tmp_path / "out",
        sr_gan={"weights": str(gan)},
        sr_mse={"weights": str(mse)},
        max_rounds=1,
        detect={"mask": {"min_area": 20, "threshold": 0.95}},
    )
    content = run.run(opt)
    assert content["original"]["sha256"] == hash_of(gan)
    assert len(content["rounds"]) == 1
    trained = yaml.safe_load((tmp_path / "out/round_1/train/options.yml").read_text())
    assert trained["scale"] == 2 and trained["network_g"]["num_feat"] == 4
