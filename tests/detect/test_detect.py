"""Detection as a whole: what it writes, what it does not do twice, and what it takes."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from PIL import Image
from safetensors.numpy import load_file, save_file

from desra import detect
from desra.artifacts import (
    DeletionSpec,
    MaskRule,
    WindowSpec,
    apply_class_weights,
    artifact_map,
    artifact_mask,
    class_weight,
    delete_artifacts,
    find_regions,
    seam_step,
)
from desra.detect import stage
from desra.detectors import (
    DETECTOR_REGISTRY,
    Images,
    bicubic_reference,
    evidence_network,
    find_detector,
    register,
)
from desra.io import manifest
from desra.io.coco import write_coco
from desra.io.images import read_image, write_image
from desra.io.labelme import write_labelme
from desra.options.detect import DetectOptions
from desra.options.loading import fingerprint, load, parse, resolved
from desra.utils.errors import InputError
from helpers.paths import ROOT
from helpers.small import photograph, save_compact, save_png

RULE = MaskRule(min_area=50)
SIZE = (72, 88)


# ----------------------------------------------------------------------------- inputs and options


def sr_pair(seed: int, artifact: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """(sr_mse, sr_gan) with invented texture in a part of the smooth half, if wanted."""
    mse = photograph(seed, *SIZE)
    gan = mse.copy()
    if artifact:
        spot = gan[40:60, 10 : 26 + 4 * seed]
        noise = np.random.default_rng(seed).normal(0, 40, spot.shape)
        spot[...] = (spot + noise).clip(0, 255).round()
    return mse, gan


def save_pair(root: Path, stem: str, mse: np.ndarray, gan: np.ndarray, *alpha: np.ndarray) -> None:
    write_image(root / "sr_mse" / f"{stem}.png", mse)
    write_image(root / "sr_gan" / f"{stem}.png", gan, *alpha)


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """A folder of finished pairs: two with an artifact (one in a sub-folder), one without."""
    for i, stem in enumerate(("a", "sub/b", "c")):
        save_pair(tmp_path, stem, *sr_pair(i, artifact=stem != "c"))
    return tmp_path


def options(root: Path, **changed: Any) -> DetectOptions:
    """Options for the finished pairs under ``root``."""
    settings: dict[str, Any] = {
        "input": {"sr_gan": str(root / "sr_gan"), "sr_mse": str(root / "sr_mse")},
        "output": str(root / "out"),
        "scale": 2,
        "device": "cpu",
        "precision": "fp32",
        "mask": {"min_area": RULE.min_area},
        "detector": {"type": "relative_local_variance"},
    }
    return parse(DetectOptions, {**settings, **changed}, "test")


def network_options(root: Path, **changed: Any) -> DetectOptions:
    """Options for the LR images in ``root/lq`` and two tiny networks."""
    networks = {
        "sr_gan": {"weights": str(save_compact(root / "gan.pth", 2, seed=1))},
        "sr_mse": {"weights": str(save_compact(root / "mse.pth", 2, seed=2))},
    }
    return options(root, input={"lq": str(root / "lq")}, **{**networks, **changed})


def result(root: Path, kind: str, stem: str) -> np.ndarray:
    """A written image, RGB or gray, by another reader than desra's own."""
    image = cv2.imread(str(root / "out" / kind / f"{stem}.png"), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return image if image.ndim == 2 else image[..., [2, 1, 0, 3][: image.shape[2]]]


def rows_of(root: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (root / "out/manifest.jsonl").read_text().splitlines()]


def without_seconds(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


def contents(folder: Path) -> dict[str, bytes]:
    """All files, hidden ones too, but for the manifest, whose times differ, and the options, which
    name the folder."""
    apart = (manifest.FILE, manifest.OPTIONS)
    files = (
        p for p in folder.rglob("*") if p.is_file() and p.name not in apart and p.name[0] != "."
    )
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


def times(out: Path, stem: str) -> dict[str, int]:
    return {kind: manifest.result(out, kind, stem).stat().st_mtime_ns for kind in manifest.KINDS}


# ------------------------------------------------------------------------------ what it writes


def assert_files_agree(root: Path, row: Mapping[str, Any]) -> None:
    """The six files of a row are what their names say, computed here from the two SR images."""
    of = {kind: result(root, kind, row["stem"]) for kind in manifest.KINDS}
    mse, gan, mask = of["sr_mse"], of["sr_gan"], of["mask"]
    D = artifact_map(mse, gan)
    np.testing.assert_array_equal(of["map"], np.round(D * 255))
    assert set(np.unique(mask)) <= {0, 255} and mask.shape == gan.shape[:2]
    inside = mask == 255
    np.testing.assert_array_equal(inside, artifact_mask(D, RULE, border=5))
    np.testing.assert_array_equal(of["pseudo_gt"], np.where(inside[..., None], mse, gan))
    near = cv2.dilate(mask, np.ones((7, 7), np.uint8)) > 0
    changed = (of["overlay"] != gan).any(axis=2)
    assert not changed[~near].any()
    assert changed[inside].sum() > 0.9 * inside.sum() or not inside.any()
    assert row["mask_pixels"] == inside.sum() and row["regions"] == find_regions(inside).count
    assert row["mean_D"] == pytest.approx(D.mean(), abs=1e-12)
    assert tuple(row["sr_size"]) == gan.shape[:2]


def test_finished_pairs_give_all_files_and_rows(pairs: Path):
    rows = detect.detect(options(pairs))
    written = rows_of(pairs)
    assert [row["stem"] for row in written] == ["a", "c", "sub/b"] == [row.stem for row in rows]
    assert {row["stem"]: row["regions"] > 0 for row in written} == {
        "a": True,
        "c": False,
        "sub/b": True,
    }
    for row in written:
        assert_files_agree(pairs, row)
        assert row["lq"] is None and row["lq_size"] is None
        for kind in ("sr_gan", "sr_mse"):
            image = read_image(pairs / kind / f"{row['stem']}.png").rgb
            np.testing.assert_array_equal(result(pairs, kind, row["stem"]), image)
    assert len(contents(pairs / "out")) == 3 * len(manifest.KINDS)


def test_networks_give_all_files_and_rows(tmp_path: Path):
    for i in range(2):
        save_png(tmp_path / "lq" / f"p{i}.png", photograph(i, 30, 26 + i))
    detect.detect(network_options(tmp_path))
    written = rows_of(tmp_path)
    assert [row["lq_size"] for row in written] == [[30, 26], [30, 27]]
    for row in written:
        assert_files_agree(tmp_path, row)
        assert row["sr_size"] == [2 * n for n in row["lq_size"]]
        assert set(row["seconds"]) == {"read", "sr", "map", "mask", "write"}


def test_an_image_smaller_than_the_window_has_an_empty_mask(tmp_path: Path):
    save_pair(tmp_path, "tiny", *(image[:8, :9] for image in sr_pair(0)))
    (row,) = detect.detect(options(tmp_path))
    assert row.mean_D is None and row.regions == 0
    np.testing.assert_array_equal(result(tmp_path, "mask", "tiny"), np.zeros((8, 9)))


def test_the_table_at_the_end_is_worst_first(tmp_path: Path, caplog: Any):
    for i, stem in enumerate(("small", "clean", "large")):
        save_pair(tmp_path, stem, *sr_pair(i, artifact=stem != "clean"))
    caplog.set_level(logging.INFO, "desra")
    rows = {row.stem: row for row in detect.detect(options(tmp_path))}
    head, _, *table = [r.getMessage() for r in caplog.records][:4]
    assert head == "artifacts in 2 of 3 images, 2 regions"
    assert [line.split()[-1] for line in table] == ["large", "small"]
    for line in table:
        row = rows[line.split()[-1]]
        share = f"{100 * row.mask_pixels / (SIZE[0] * SIZE[1]):.2f}%"
        assert line.split()[:3] == [share, str(row.regions), f"{row.mean_D:.3f}"]


# ------------------------------------------------------------------------------- doing it again


def test_a_second_run_does_nothing_and_a_missing_file_is_made_again(pairs: Path):
    detect.detect(options(pairs))
    before, rows = contents(pairs / "out"), rows_of(pairs)
    stamps = {stem: times(pairs / "out", stem) for stem in ("a", "c", "sub/b")}
    detect.detect(options(pairs))
    assert {stem: times(pairs / "out", stem) for stem in stamps} == stamps
    assert rows_of(pairs) == rows

    (pairs / "out/map/c.png").unlink()
    detect.detect(options(pairs))
    assert contents(pairs / "out") == before
    assert [times(pairs / "out", stem) == stamps[stem] for stem in stamps] == [True, False, True]
    assert without_seconds(rows_of(pairs)) == without_seconds(rows)


def test_changed_settings_replace_all(pairs: Path):
    detect.detect(options(pairs))
    old = rows_of(pairs)
    changed = {"mask": {"min_area": 50, "threshold": 0.5}}
    detect.detect(options(pairs, **changed))
    detect.detect(options(pairs, **changed, output=str(pairs / "fresh")))
    assert contents(pairs / "out") == contents(pairs / "fresh")
    new = rows_of(pairs)
    assert {r["settings"] for r in new}.isdisjoint(r["settings"] for r in old)
    assert new[0]["mask_pixels"] < old[0]["mask_pixels"]


@pytest.mark.parametrize(
    "changed",
    [{"window": {"size": 9}}, {"protocol": "released"}, {"detector": {"type": "local_ssim"}}],
)
def test_every_setting_that_matters_is_in_the_hash(pairs: Path, changed: dict[str, Any]):
    old, new = detect.detect(options(pairs)), detect.detect(options(pairs, **changed))
    assert all(a.settings != b.settings for a, b in zip(old, new, strict=True))


def test_networks_and_device_are_no_settings_of_finished_pairs(pairs: Path):
    detect.detect(options(pairs))
    stamps = times(pairs / "out", "a")
    detect.detect(options(pairs, precision="auto", tile={"size": 96}, on_error="skip"))
    assert times(pairs / "out", "a") == stamps


def test_other_weights_under_the_same_name_are_noticed(tmp_path: Path):
    save_png(tmp_path / "lq/p.png", photograph(0, 24, 24))
    (old,) = detect.detect(network_options(tmp_path))
    opt = network_options(tmp_path)
    save_compact(tmp_path / "gan.pth", 2, seed=9)
    before = contents(tmp_path / "out")
    (new,) = detect.detect(opt)
    after = contents(tmp_path / "out")
    assert new.settings != old.settings
    assert after["sr_gan/p.png"] != before["sr_gan/p.png"]
    assert after["sr_mse/p.png"] == before["sr_mse/p.png"]


def test_a_detector_fitted_anew_is_noticed(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    by_evidence = options(pairs, detector={"type": "evidence"})
    old = detect.detect(by_evidence)
    papers = detect.detect(options(pairs, output=str(tmp_path / "papers")))
    before = contents(pairs / "out")
    weights = {k: 1.5 * v for k, v in load_file(evidence_network.WEIGHTS).items()}
    save_file(weights, tmp_path / "fitted.safetensors")
    monkeypatch.setattr(evidence_network, "WEIGHTS", tmp_path / "fitted.safetensors")
    evidence_network._layers.cache_clear()
    try:
        new = detect.detect(by_evidence)
        again = detect.detect(options(pairs, output=str(tmp_path / "papers")))
    finally:
        evidence_network._layers.cache_clear()
    assert all(a.settings != b.settings for a, b in zip(old, new, strict=True))
    assert contents(pairs / "out")["map/a.png"] != before["map/a.png"]
    assert again == papers  # the seconds too: nothing was done


def test_a_detector_of_ones_own_says_when_it_changed(pairs: Path):
    def mine(images: Images, window: WindowSpec) -> np.ndarray:
        return np.ones(window.map_size(images.gan.shape))

    settings = []
    try:
        for version in ("", "", "2", lambda: "3"):
            register("mse", fingerprint=version)(mine)
            (row, *_) = detect.detect(options(pairs, detector={"type": "mine"}))
            settings.append(row.settings)
            del DETECTOR_REGISTRY._obj_map["mine"]
    finally:
        DETECTOR_REGISTRY._obj_map.pop("mine", None)
    assert settings[0] == settings[1] and len(set(settings)) == 3


def test_the_options_are_kept_and_make_nothing_stale(pairs: Path):
    opt = options(pairs, mask={"threshold": 0.65, "min_area": 50}, protocol="released")
    detect.detect(opt)
    file = pairs / "out" / manifest.OPTIONS
    assert load(DetectOptions, str(file)) == opt
    stamps = times(pairs / "out", "a")
    file.unlink()  # as in a folder of before it was kept
    detect.detect(opt)
    assert load(DetectOptions, str(file)) == opt
    file.write_text("tile: {size: 96}\n")
    detect.detect(opt)
    assert times(pairs / "out", "a") == stamps
    assert load(DetectOptions, str(file)) == opt


def test_check_leaves_the_kept_options_alone(pairs: Path, capsys: Any):
    detect.detect(options(pairs))
    file = pairs / "out" / manifest.OPTIONS
    before = file.read_bytes()
    command = ["-opt", str(file), "--force_yml", "mask:threshold=0.5", "--check"]
    assert detect.main(command) == 0
    assert "threshold: 0.5" in capsys.readouterr().out
    assert file.read_bytes() == before


def test_a_changed_input_is_noticed_and_a_removed_one_leaves_the_manifest(pairs: Path):
    detect.detect(options(pairs))
    stamps = times(pairs / "out", "a")
    save_pair(pairs, "c", *sr_pair(7))
    for kind in ("sr_gan", "sr_mse"):
        (pairs / kind / "sub/b.png").unlink()
    detect.detect(options(pairs))
    a, c = rows_of(pairs)
    assert (a["stem"], c["stem"]) == ("a", "c") and c["regions"] == 1
    assert times(pairs / "out", "a") == stamps
    assert_files_agree(pairs, c)


def test_a_line_that_was_cut_off_is_passed_over(pairs: Path):
    stem = "größe\u2028"  # what splits lines, and what a cut may split
    save_pair(pairs, stem, *sr_pair(3))
    detect.detect(options(pairs))
    file = pairs / "out" / manifest.FILE
    whole, rows = file.read_bytes(), without_seconds(rows_of(pairs))
    assert manifest.read(pairs / "out").keys() == {"a", "c", "sub/b", stem}
    stamps = times(pairs / "out", "a")
    start = whole.index(b"\n", whole.index(b'"stem": "c"'))
    for cut in range(start, start + 60):
        file.write_bytes(whole[:cut])
        assert len(manifest.read(pairs / "out")) == (2 if cut > start else 1)
    detect.detect(options(pairs))
    assert without_seconds(rows_of(pairs)) == rows
    assert times(pairs / "out", "a") == stamps


def test_a_whole_line_that_is_no_row_is_refused(pairs: Path):
    """What the sentence says to do loses nothing that was done by hand."""
    detect.detect(options(pairs))
    path = pairs / "out" / manifest.FILE
    lines = path.read_text().splitlines(keepends=True)
    corrected = manifest.result(pairs / "out", "mask", json.loads(lines[0])["stem"])
    corrected.write_bytes(b"by hand")
    path.write_text("".join([lines[0], '{"stem": "x"}\n', *lines[2:]]))
    with pytest.raises(InputError, match="manifest.jsonl, line 2: is no row .*; delete this line"):
        detect.detect(options(pairs))
    path.write_text("".join([lines[0], *lines[2:]]))
    detect.detect(options(pairs))
    assert len(manifest.read(pairs / "out")) == len(lines)
    assert corrected.read_bytes() == b"by hand"


# Runs detect in children of a process that has loaded everything once. Each child is killed at
# another moment: before or after its n-th file takes its place, or within its n-th row. The first
# file to take its place is the manifest, then come the options, then six for each image.
MOMENTS = (
    "before:1",
    "after:4",
    "before:9",
    "after:8",
    "within:2",
    "after:20",
    "before:21",
    "before:4,after:7,within:1,before:10",
)
KILLED = """
import os, signal, sys
from pathlib import Path
from desra.detect import stage
from desra.io import manifest
from desra.options.detect import DetectOptions
from desra.options.loading import load

replace, to_line = os.replace, manifest.to_line
count = 0

def is_the_moment(n):
    global count
    count += 1
    return count == n

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def die_before(n, *paths):
    is_the_moment(n) and die()
    replace(*paths)

def die_after(n, *paths):
    replace(*paths)
    is_the_moment(n) and die()

def die_within(n, row):
    line = to_line(row)
    if is_the_moment(n):
        with open(Path(output, manifest.FILE), "a") as file:
            file.write(line[:len(line) // 2])
        die()
    return line

settings, folder, *scenarios = sys.argv[1:]
for output, moment in ((f"{folder}/{s}", m) for s in scenarios for m in s.split(",")):
    opt = load(DetectOptions, settings, [f"output={output!r}"])
    kind, n = moment.split(":")
    child = os.fork()
    if child == 0:
        if kind == "within":
            manifest.to_line = lambda row: die_within(int(n), row)
        else:
            how = {"before": die_before, "after": die_after}[kind]
            os.replace = lambda *paths: how(int(n), *paths)
        stage.detect(opt)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, (moment, status)
"""


@pytest.mark.slow
def test_killed_anywhere_and_started_again(pairs: Path):
    rows = [row.__dict__ for row in detect.detect(options(pairs))]
    settings = pairs / "detect.yml"
    settings.write_text(options(pairs).model_dump_json(by_alias=True))
    subprocess.run(
        [sys.executable, "-c", KILLED, str(settings), str(pairs / "killed"), *MOMENTS],
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    finished = []
    for moments in MOMENTS:
        out = pairs / "killed" / moments
        done = manifest.read(out)
        stamps = {stem: times(out, stem) for stem in done}
        again = [row.__dict__ for row in detect.detect(options(pairs, output=str(out)))]
        assert contents(out) == contents(pairs / "out"), moments
        assert without_seconds(again) == without_seconds(rows), moments
        assert list(manifest.read(out).values()) == [manifest.Row(**row) for row in again]
        assert {stem: times(out, stem) for stem in done} == stamps, moments
        assert all(row in again for row in (r.__dict__ for r in done.values())), moments
        finished.append(len(done))
    assert finished == [0, 0, 1, 0, 1, 2, 3, 1]  # the moments were different ones


# ---------------------------------------------------------------------------------- bad inputs


def test_partners_that_are_missing_are_listed_before_any_work(pairs: Path):
    (pairs / "sr_mse/sub/b.png").rename(pairs / "sr_mse/d.png")
    with pytest.raises(InputError) as refusal:
        detect.detect(options(pairs, on_error="skip"))
    assert "1 only in input.sr_gan: sub/b" in str(refusal.value)
    assert "1 only in input.sr_mse: d" in str(refusal.value)
    assert not (pairs / "out").exists()


def test_partners_of_unequal_size_are_listed_before_any_work(pairs: Path):
    for stem in ("a", "c"):
        save_png(pairs / "sr_mse" / f"{stem}.png", photograph(0, 40, 40))
    with pytest.raises(InputError) as refusal:
        detect.detect(options(pairs))
    for stem in ("a", "c"):
        assert f"sr_mse/{stem}.png differ in size: (72, 88) and (40, 40)" in str(refusal.value)
    assert not (pairs / "out").exists()


def test_a_detector_that_looks_at_lr_images_misses_them(pairs: Path, caplog: Any):
    """Without them the default marks more that is none: 2 regions became 38 on one picture."""
    words = "evidence does without lq"
    detect.detect(options(pairs))
    assert words not in caplog.text  # the paper's does not look at them
    detect.detect(options(pairs, detector={"type": "evidence"}))
    assert caplog.text.count(words) == 1 and "give the LR images too" in caplog.text
    caplog.clear()
    for stem in ("a", "sub/b", "c"):
        save_png(pairs / "lq" / f"{stem}.png", photograph(0, SIZE[0] // 2, SIZE[1] // 2))
    finished = {kind: str(pairs / kind) for kind in ("lq", "sr_gan", "sr_mse")}
    detect.detect(options(pairs, detector={"type": "evidence"}, input=finished))
    assert words not in caplog.text


def test_lr_images_of_finished_pairs_must_fit_them(pairs: Path):
    for stem, size in (("a", (36, 44)), ("sub/b", (36, 44)), ("c", (36, 45))):
        save_png(pairs / "lq" / f"{stem}.png", photograph(0, *size))
    given = {kind: str(pairs / kind) for kind in ("lq", "sr_gan", "sr_mse")}
    with pytest.raises(InputError, match=r"c.png is \(72, 88\), not 2 times .*c.png"):
        detect.detect(options(pairs, input=given))
    assert not (pairs / "out").exists()


@pytest.mark.parametrize("inside", ["sr_gan", "sr_gan/results/x"])
def test_results_must_not_lie_among_the_inputs(pairs: Path, inside: str):
    before = contents(pairs)
    with pytest.raises(InputError, match=r"output: .* lies in input.sr_gan"):
        detect.detect(options(pairs, output=str(pairs / inside)))
    assert contents(pairs) == before


def test_an_output_that_cannot_be_written_is_said_in_a_sentence(pairs: Path):
    (pairs / "file").touch()
    with pytest.raises(InputError, match="choose an output folder that can be written"):
        detect.detect(options(pairs, output=str(pairs / "file/out")))


@pytest.fixture
def damaged(pairs: Path) -> Path:
    """The pairs, of which a's has no header that can be read and c's ends in its pixels."""
    (pairs / "sr_mse/a.png").write_text("no picture")
    file = pairs / "sr_gan/c.png"
    file.write_bytes(file.read_bytes()[:2000])
    return pairs


def test_damaged_images_are_skipped_and_summed_up(damaged: Path, caplog: Any):
    rows = detect.detect(options(damaged, on_error="skip"))
    assert [row.stem for row in rows] == ["sub/b"] == [row["stem"] for row in rows_of(damaged)]
    messages = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert [m.startswith("skipped: ") for m in messages] == [True, True, False]
    assert messages[-1].startswith("skipped 2 images:")
    assert "sr_mse/a.png is not an image" in messages[-1]
    assert "sr_gan/c.png is damaged or truncated" in messages[-1]
    assert not list((damaged / "out").rglob("c.png"))


def test_damaged_images_stop_the_work_with_one_sentence(damaged: Path, tmp_path: Path, capsys: Any):
    settings = tmp_path / "detect.yml"
    settings.write_text(options(damaged).model_dump_json(by_alias=True))
    assert detect.main(["-opt", str(settings)]) == 2
    assert "a.png is not an image" in capsys.readouterr().err
    assert not (damaged / "out").exists()

    save_pair(damaged, "a", *sr_pair(0))  # then only the one that looks whole from outside
    assert detect.main(["-opt", str(settings)]) == 2
    error = capsys.readouterr().err
    assert error.count("error: ") == 1 and "c.png is damaged or truncated" in error
    assert "Traceback" not in error
    assert [row["stem"] for row in rows_of(damaged)] == ["a"]  # what was done stays done
    stamps = times(damaged / "out", "a")

    save_pair(damaged, "c", *sr_pair(2))
    assert detect.main(["-opt", str(settings)]) == 0
    assert times(damaged / "out", "a") == stamps and len(rows_of(damaged)) == 3


def test_nothing_but_damaged_images_is_an_error(pairs: Path):
    for file in (pairs / "sr_gan").rglob("*.png"):
        file.write_bytes(file.read_bytes()[:2000])
    with pytest.raises(InputError, match=r"no image could be used(.*\n.*damaged or truncated){3}"):
        detect.detect(options(pairs, on_error="skip"))


def test_what_is_cut_short_mixes_no_settings(pairs: Path):
    detect.detect(options(pairs))
    (pairs / "sr_gan/c.png").write_bytes((pairs / "sr_gan/c.png").read_bytes()[:2000])
    with pytest.raises(InputError, match="c.png is damaged"):
        detect.detect(options(pairs, mask={"threshold": 0.5}))
    assert [row["stem"] for row in rows_of(pairs)] == ["a"]  # not b's, which is of the old ones


def test_an_image_that_became_unreadable_loses_its_row(pairs: Path):
    detect.detect(options(pairs))
    (pairs / "sr_gan/a.png").write_bytes((pairs / "sr_gan/a.png").read_bytes()[:2000])
    detect.detect(options(pairs, on_error="skip"))
    assert [row["stem"] for row in rows_of(pairs)] == ["c", "sub/b"]


# ------------------------------------------------------------------- protocol, detectors, classes


def test_the_released_protocol_leaves_the_border_out(pairs: Path):
    rows = detect.detect(options(pairs, protocol="released", export=["labelme", "coco"]))
    for row in rows:
        mse, gan = (result(pairs, kind, row.stem) for kind in ("sr_mse", "sr_gan"))
        mask = result(pairs, "mask", row.stem)
        assert mask.shape == (SIZE[0] - 10, SIZE[1] - 10)
        np.testing.assert_array_equal(mask == 255, artifact_mask(artifact_map(mse, gan), RULE))
        assert row.mask_pixels == (mask == 255).sum() and row.sr_size == SIZE
    # What a human corrects is drawn on the whole image, so it comes back in that size.
    for source in ("labelme", "coco.json"):
        opt = options(pairs, masks=str(pairs / "out" / source), output=str(pairs / source[:4]))
        assert [r.mask_pixels for r in detect.detect(opt)] == [r.mask_pixels for r in rows]


def test_the_released_protocol_crops_files_not_counts(tmp_path: Path):
    save_pair(tmp_path, "p", *sr_pair(0))
    mask = np.zeros(SIZE, np.bool_)
    mask[:8] = True  # five rows of it, and both ends, lie in the border
    write_image(tmp_path / "by_hand/p.png", mask)
    (row,) = detect.detect(options(tmp_path, protocol="released", masks=str(tmp_path / "by_hand")))
    assert (result(tmp_path, "mask", "p") == 255).sum() == 3 * (SIZE[1] - 10)
    assert row.mask_pixels == mask.sum() and row.mask_share == 8 / SIZE[0]


def test_the_scale_of_finished_pairs_reaches_the_detector(pairs: Path):
    detect.detect(options(pairs, detector={"type": "evidence"}))
    mse, gan = (result(pairs, kind, "a") for kind in ("sr_mse", "sr_gan"))
    by_evidence = find_detector("evidence", ["mse"])
    D = {n: np.round(255 * by_evidence(Images(gan, mse, scale=n))) for n in (2, 4)}
    np.testing.assert_array_equal(result(pairs, "map", "a"), D[2])
    assert (D[2] != D[4]).any()


@pytest.mark.parametrize("name", ["absolute_local_variance", "local_ssim"])
def test_detectors_by_name(pairs: Path, name: str):
    detect.detect(options(pairs, detector={"type": name}))
    mse, gan = (result(pairs, kind, "a") for kind in ("sr_mse", "sr_gan"))
    D = find_detector(name, ["mse"])(Images(gan, mse))
    np.testing.assert_array_equal(result(pairs, "map", "a"), np.round(255 * D))
    assert (result(pairs, "map", "a") != np.round(255 * artifact_map(mse, gan))).any()


def test_bicubic_reference_needs_no_mse_network(tmp_path: Path):
    save_png(tmp_path / "lq/p.png", photograph(0, 30, 26))
    opt = network_options(tmp_path, sr_mse=None, detector={"type": "bicubic_reference"})
    detect.detect(opt)
    lq = read_image(tmp_path / "lq/p.png").rgb8
    gan, mse = (result(tmp_path, kind, "p") for kind in ("sr_gan", "sr_mse"))
    np.testing.assert_array_equal(
        result(tmp_path, "map", "p"), np.round(255 * bicubic_reference(Images(gan, lq=lq)))
    )
    bicubic = cv2.resize(lq.astype(np.float32), None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    np.testing.assert_array_equal(mse, bicubic.round().clip(0, 255))

    with pytest.raises(InputError, match="'relative_local_variance' needs the MSE-SR image"):
        detect.detect(network_options(tmp_path, sr_mse=None))
    with pytest.raises(InputError, match="'ldl' needs the true HR image"):
        detect.detect(network_options(tmp_path, detector={"type": "ldl"}))


def test_class_weights_change_the_mask(pairs: Path):
    plain = {row.stem: row for row in detect.detect(options(pairs))}
    rng = np.random.default_rng(0)
    labels = {stem: rng.integers(0, 2, (9, 11)).astype(np.uint8) for stem in plain}
    labels = {stem: ids.repeat(8, axis=0).repeat(8, axis=1) for stem, ids in labels.items()}
    for stem, ids in labels.items():
        write_image(pairs / "labels" / f"{stem}.png", ids)
    table = pairs / "table.yml"
    table.write_text("classes: {grass: 10, wall: 0}")
    segment = {
        "type": "labels",
        "labels": str(pairs / "labels"),
        "names": ["wall", "grass"],
        "table": str(table),
    }
    rows = {row.stem: row for row in detect.detect(options(pairs, segment=segment))}
    for stem, row in rows.items():
        D = artifact_map(*(result(pairs, kind, stem) for kind in ("sr_mse", "sr_gan")))
        D = apply_class_weights(D, labels[stem], np.array([1, class_weight(10)]))
        np.testing.assert_array_equal(result(pairs, "map", stem), np.round(255 * D))
        mask = result(pairs, "mask", stem) == 255
        np.testing.assert_array_equal(mask, artifact_mask(D, RULE, border=5))
        assert row.settings != plain[stem].settings
    assert rows["a"].mask_pixels < plain["a"].mask_pixels

    stamps = times(pairs / "out", "a"), times(pairs / "out", "c")
    write_image(pairs / "labels/a.png", 1 - labels["a"])
    detect.detect(options(pairs, segment=segment))
    assert times(pairs / "out", "a") != stamps[0] and times(pairs / "out", "c") == stamps[1]


@pytest.mark.parametrize(
    ("unit", "area"), [("px", 100), ("px_at_x4", 25), ("px_per_megapixel", 200)]
)
def test_units_of_the_area(unit: Any, area: int):
    # 100 px; at scale 2 a quarter of that at 4; an image of 2 megapixels: twice
    rule = MaskRule(min_area=100, min_area_unit=unit)
    assert rule.resolve((1000, 2000), scale=2) == MaskRule(min_area=area)


def test_the_area_follows_the_image(tmp_path: Path):
    save_pair(tmp_path, "a", *sr_pair(0))
    (row,) = detect.detect(options(tmp_path))
    per_megapixel = row.mask_pixels / (SIZE[0] * SIZE[1]) * 1e6
    for factor, regions_kept in ((0.99, 1), (1.01, 0)):
        area = {"min_area": factor * per_megapixel, "min_area_unit": "px_per_megapixel"}
        (row,) = detect.detect(options(tmp_path, mask=area))
        assert row.regions == regions_kept


# -------------------------------------------------------------------------------- human masks


def hand_drawn() -> np.ndarray:
    mask = np.zeros(SIZE, np.bool_)
    mask[3:9, 70:88] = mask[60:72, 0:5] = True
    mask[5, 75] = False
    return mask


@pytest.mark.parametrize("kind", ["labelme", "coco", "images"])
def test_human_masks_take_the_place_of_detected_ones(pairs: Path, kind: str):
    plain = {row.stem: row for row in detect.detect(options(pairs))}
    mask, source = hand_drawn(), pairs / "by_hand"
    if kind == "labelme":
        write_labelme(source / "sub/b.json", mask, pairs / "sr_gan/sub/b.png")
    elif kind == "coco":
        source = pairs / "by_hand.json"
        write_coco(source, [("sub/b.png", mask)])
    else:
        write_image(source / "sub/b.png", mask)
    rows = {row.stem: row for row in detect.detect(options(pairs, masks=str(source)))}
    np.testing.assert_array_equal(result(pairs, "mask", "sub/b") == 255, mask)
    mse, gan = (result(pairs, kind, "sub/b") for kind in ("sr_mse", "sr_gan"))
    np.testing.assert_array_equal(
        result(pairs, "pseudo_gt", "sub/b"), np.where(mask[..., None], mse, gan)
    )
    assert "mask: by a human" in rows["sub/b"].notes and rows["sub/b"].regions == 2
    assert rows["a"].notes == () and rows["a"] == plain["a"]  # not even done again


def test_a_human_mask_on_an_image_without_a_map_is_listed(tmp_path: Path, caplog: Any):
    save_pair(tmp_path, "tiny", *(image[:8, :9] for image in sr_pair(0)))
    red = np.full((8, 9, 3), (255, 0, 0), np.uint8)  # in white it could be an empty page
    write_image(tmp_path / "by_hand/tiny.png", red)
    caplog.set_level(logging.INFO, "desra")
    (row,) = detect.detect(options(tmp_path, masks=str(tmp_path / "by_hand")))
    assert row.mask_pixels == 72
    assert ["100.00%", "1", "nan", "tiny"] in [r.getMessage().split() for r in caplog.records]


@pytest.mark.parametrize("source", ["labelme", "coco.json"])
def test_exported_masks_come_back_unchanged(pairs: Path, source: str):
    detect.detect(options(pairs, export=["labelme", "coco"]))
    again = options(pairs, masks=str(pairs / "out" / source), output=str(pairs / "again"))
    rows = detect.detect(again)
    assert [row.notes for row in rows] == [("mask: by a human",)] * 3
    first, second = contents(pairs / "out"), contents(pairs / "again")
    assert second == {name: first[name] for name in second}  # all but the exports


@pytest.mark.parametrize("source", ["coco_polygons.json", "labelme_polygons"])
def test_exported_polygons_come_back(pairs: Path, source: str):
    """Those of COCO pixel by pixel, those of LabelMe to a pixel at the outline."""
    export = [source.removesuffix(".json")]
    assert any(row.mask_pixels for row in detect.detect(options(pairs, export=export)))
    assert not (pairs / "out/labelme").exists() and not (pairs / "out/coco.json").exists()
    again = options(pairs, masks=str(pairs / "out" / source), output=str(pairs / "again"))
    for row in detect.detect(again):
        assert row.notes == ("mask: by a human",)
        first, second = (
            np.asarray(Image.open(pairs / folder / "mask" / f"{row.stem}.png"))
            for folder in ("out", "again")
        )
        slack = np.ones((1, 1) if source.endswith(".json") else (3, 3), np.uint8)
        assert (second >= cv2.erode(first, slack)).all()
        assert (second <= cv2.dilate(first, slack)).all()
    detect.detect(options(pairs, export=export))  # its own files are no stranger's


def test_a_corrected_file_is_kept(pairs: Path, caplog: Any):
    detect.detect(options(pairs, export=["labelme"]))
    corrected = pairs / "out/labelme/a.json"
    write_labelme(corrected, hand_drawn(), pairs / "out/sr_gan/a.png")
    drawn = corrected.read_bytes()
    detect.detect(options(pairs, export=["labelme"], masks=str(pairs / "out/labelme")))
    assert corrected.read_bytes() == drawn
    assert any(str(corrected) in record.getMessage() for record in caplog.records)
    np.testing.assert_array_equal(result(pairs, "mask", "a") == 255, hand_drawn())


# ------------------------------------------------------------------------------------ deletion


def deleted(root: Path, stem: str, **spec: float) -> np.ndarray:
    """What deletion makes of the files of an image."""
    mse, gan, mask = (result(root, kind, stem) for kind in ("sr_mse", "sr_gan", "mask"))
    return delete_artifacts(mse[..., :3], gan[..., :3], mask == 255, DeletionSpec(**spec))


def test_deletion_writes_one_more_file(pairs: Path):
    plain = {row.stem: row for row in detect.detect(options(pairs))}
    without = contents(pairs / "out")
    spec = {"strength": 0.9, "feather": 3.0}
    rows = detect.detect(options(pairs, deletion=spec))
    for row in rows:
        made = result(pairs, "deleted", row.stem)
        np.testing.assert_array_equal(made, deleted(pairs, row.stem, **spec))
        mse, gan, mask = (result(pairs, k, row.stem) for k in ("sr_mse", "sr_gan", "mask"))
        assert row.seam == seam_step(mse, gan, mask == 255, DeletionSpec(**spec))
        assert (row.seam is not None) == (row.regions > 0) == bool((made != gan).any())
        assert row.settings != plain[row.stem].settings
    after = contents(pairs / "out")
    assert {name: after[name] for name in without} == without
    assert len(after) == len(without) + 3
    assert list(manifest.read(pairs / "out").values()) == rows

    stamps = {stem: times(pairs / "out", stem) for stem in plain}
    (pairs / "out/deleted/a.png").unlink()
    detect.detect(options(pairs, deletion=spec))
    assert contents(pairs / "out") == after
    assert [times(pairs / "out", s) == stamps[s] for s in ("a", "c", "sub/b")] == [0, 1, 1]

    detect.detect(options(pairs))  # what is of other settings must not stay beside the rest
    assert contents(pairs / "out") == without


def test_deletion_left_out_leaves_older_folders_valid(pairs: Path):
    detect.detect(options(pairs))
    file = pairs / "out" / manifest.FILE
    rows = rows_of(pairs)
    for row in rows:
        assert row.pop("seam") is None  # as it was before there was such a key
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    stamps = times(pairs / "out", "a")
    detect.detect(options(pairs, deletion=None))
    assert times(pairs / "out", "a") == stamps


def test_the_hash_does_not_hold_a_deletion_that_is_off(pairs: Path):
    opt = options(pairs)
    settings = resolved(opt)
    for key in (
        "input",
        "output",
        "on_error",
        "segment",
        "masks",
        "export",
        "max_pixels",
        "verify",
        "deletion",
        "sr_gan",
        "sr_mse",
        "tile",
        "device",
        "precision",
    ):
        del settings[key]
    found = stage._settings_hash(opt, find_detector(opt.detector.type, ["mse"]))
    assert found == fingerprint(settings)


def test_deletion_keeps_alpha_and_uses_the_whole_mask(tmp_path: Path):
    alpha = photograph(5, *SIZE)[..., 0]
    save_pair(tmp_path, "a", *sr_pair(0), alpha)
    mask = np.zeros(SIZE, np.bool_)
    mask[:30] = True  # into the border, which protocol: released leaves out of the file
    write_image(tmp_path / "by_hand/a.png", mask)
    by_hand = str(tmp_path / "by_hand")
    opt = options(tmp_path, masks=by_hand, protocol="released", deletion={"feather": 0})
    detect.detect(opt)
    made, mse, gan = (result(tmp_path, kind, "a") for kind in ("deleted", "sr_mse", "sr_gan"))
    np.testing.assert_array_equal(made[..., 3], alpha)
    np.testing.assert_array_equal(
        made[:30], mse[:30] if mse.shape[2] == 4 else np.dstack([mse, alpha])[:30]
    )
    np.testing.assert_array_equal(made[30:], gan[30:])


def test_deletion_in_16_bits(tmp_path: Path):
    lq = photograph(0, 60, 52).astype(np.uint16) * 257 + np.uint16(60)
    write_image(tmp_path / "lq/p.png", lq)
    wide = {"mask": {"min_area": 50, "threshold": 0.95}, "sr_bits": 16, "deletion": {}}
    (row,) = detect.detect(network_options(tmp_path, **wide))
    made = result(tmp_path, "deleted", "p")
    assert made.dtype == np.uint16 and row.mask_pixels > 0
    np.testing.assert_array_equal(made, deleted(tmp_path, "p"))


def test_the_step_at_the_seams_is_said(pairs: Path, caplog: Any):
    caplog.set_level(logging.INFO, "desra")
    rows = detect.detect(options(pairs, deletion={"feather": 2}))
    steps = [row.seam for row in rows if row.seam is not None]
    text = f"mean {np.mean(steps):.1f}, worst {max(steps):.1f}"
    said = [m for m in (r.getMessage() for r in caplog.records) if m.startswith("deleted in")]
    assert len(said) == 1 and said[0].startswith("deleted in 2 of 3 images") and text in said[0]


# ------------------------------------------------------------------------------ kinds of files


def test_alpha_is_carried_and_stays_out_of_the_map(pairs: Path):
    detect.detect(options(pairs))
    plain = contents(pairs / "out")
    alpha = photograph(5, *SIZE)[..., 0]
    save_pair(pairs, "a", *sr_pair(0), alpha)
    (row, *_) = detect.detect(options(pairs))
    for kind in ("sr_gan", "sr_mse", "pseudo_gt"):
        np.testing.assert_array_equal(result(pairs, kind, "a")[..., 3], alpha)
    after = contents(pairs / "out")
    for kind in ("map", "mask", "overlay"):
        assert after[f"{kind}/a.png"] == plain[f"{kind}/a.png"]
    assert row.notes == ("sr_gan: alpha split off",)


def test_alpha_of_an_lr_image_is_upscaled(tmp_path: Path):
    lq = photograph(0, 30, 26)
    save_png(tmp_path / "lq/p.png", lq)
    detect.detect(network_options(tmp_path))
    plain = contents(tmp_path / "out")
    alpha = np.full((30, 26), 200, np.uint8)
    alpha[:10] = 0
    write_image(tmp_path / "lq/p.png", lq, alpha)
    detect.detect(network_options(tmp_path))
    after = contents(tmp_path / "out")
    assert after["map/p.png"] == plain["map/p.png"] and after["mask/p.png"] == plain["mask/p.png"]
    large = result(tmp_path, "pseudo_gt", "p")[..., 3]
    assert large.shape == (60, 52) and not large[:14].any() and (large[26:] == 200).all()


@pytest.mark.parametrize("bits", [8, 16])
def test_16_bits_in_and_on_request_out(tmp_path: Path, bits: int):
    lq = photograph(0, 30, 26).astype(np.uint16) * 257 + np.uint16(60)
    lq[lq < 60] = 65535
    write_image(tmp_path / "lq/p.png", lq)
    (row,) = detect.detect(network_options(tmp_path, sr_bits=bits))
    of = {kind: result(tmp_path, kind, "p") for kind in manifest.KINDS}
    for kind in ("sr_gan", "sr_mse", "pseudo_gt"):
        assert of[kind].dtype == (np.uint16 if bits == 16 else np.uint8)
    for kind in ("map", "mask", "overlay"):
        assert of[kind].dtype == np.uint8
    if bits == 16:
        assert len(np.unique(of["sr_gan"])) > 256
        of = {
            k: (v / 257).round().astype(np.uint8) if v.dtype != np.uint8 else v
            for k, v in of.items()
        }
    D = artifact_map(of["sr_mse"], of["sr_gan"])
    np.testing.assert_array_equal(of["map"], np.round(255 * D))
    np.testing.assert_array_equal(of["mask"] == 255, artifact_mask(D, RULE, border=5))
    assert row.notes == ("16-bit",)


def test_partners_of_unequal_depth_meet_at_8_bits(tmp_path: Path):
    mse, gan = sr_pair(0)
    alpha = np.full(SIZE, 65535, np.uint16)
    save_pair(tmp_path, "a", mse, gan.astype(np.uint16) * 257, alpha)
    (row,) = detect.detect(options(tmp_path))
    np.testing.assert_array_equal(result(tmp_path, "sr_gan", "a")[..., :3], gan)
    assert result(tmp_path, "pseudo_gt", "a").dtype == np.uint8
    assert row.regions == 1 and "rounded to 8 bits, as the partner is" in row.notes


def test_files_of_all_kinds_in_one_folder(tmp_path: Path):
    folder = tmp_path / "lq"
    folder.mkdir()
    rgb = Image.fromarray(photograph(0, 30, 26))
    rgb.convert("L").save(folder / "gray.png")
    rgb.convert("CMYK").save(folder / "cmyk.jpg")
    rgb.quantize(16).save(folder / "palette.png")
    exif = Image.Exif()
    exif[274] = 6
    rgb.save(folder / "turned.jpg", exif=exif)
    rgb.save(folder / "größe 大.webp", lossless=True)
    os_name = b"latin-\xe9.png"  # a name that is no UTF-8, as old archives hold
    rgb.save(os.fsdecode(os.path.join(os.fsencode(folder), os_name)))
    rows = {row.stem: row for row in detect.detect(network_options(tmp_path))}
    assert {stem: row.notes for stem, row in rows.items()} == {
        "gray": ("gray to RGB",),
        "cmyk": ("CMYK to RGB",),
        "palette": ("palette to RGB",),
        "turned": ("EXIF rotation applied",),
        "größe 大": (),
        os.fsdecode(b"latin-\xe9"): (),
    }
    assert rows["turned"].lq_size == (26, 30) and rows["turned"].sr_size == (52, 60)
    assert manifest.read(tmp_path / "out") == rows
    assert (tmp_path / "out/mask/größe 大.png").is_file()
    np.testing.assert_array_equal(
        read_image(tmp_path / "out/sr_gan/größe 大.png").rgb,
        read_image(os.fsdecode(os.path.join(os.fsencode(tmp_path / "out/sr_gan"), os_name))).rgb,
    )


def test_a_network_without_a_known_partner_asks_for_it(tmp_path: Path, capsys: Any):
    mine = save_compact(tmp_path / "mine.pth", scale=4)
    save_png(tmp_path / "photo.png", photograph(0, 24, 24))
    command = ["-i", str(tmp_path / "photo.png"), "-o", str(tmp_path / "out"), "--model", str(mine)]
    assert detect.main(command) == 2
    assert "sr_mse: give the MSE-trained partner of " in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert detect.main([*command, "--partner", str(mine)]) == 0
    kept = yaml.safe_load((tmp_path / "out/options.yml").read_text())
    assert kept["sr_mse"]["weights"] == str(mine)
    alone = ["--force_yml", "sr_mse=null", "detector={type: bicubic_reference}"]
    assert detect.main([*command, *alone]) == 0
