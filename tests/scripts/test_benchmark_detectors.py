"""The benchmark of detectors counts right, and the fit finds what can be told apart."""

from __future__ import annotations

import importlib
import importlib.util
import io
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import skimage.data
from PIL import Image
from safetensors.numpy import load_file

from desra.detectors import evidence_network
from desra.io.images import write_image
from desra.metrics.curve import CurveCounts, count_curve
from desra.metrics.mask_scores import MaskCounts
from helpers.paths import SCRIPTS
from helpers.scripts import load_script


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module("benchmarks.detectors")


def picture(module: ModuleType, name: str, left: int = 100, lq_noise: float = 0.0):
    gt = np.ascontiguousarray(skimage.data.astronaut()[40:168, left : left + 160])
    small = gt.reshape(32, 4, 40, 4, 3).mean(axis=(1, 3))
    small += np.random.default_rng(0).normal(0, lq_noise, small.shape)
    lq = small.round().clip(0, 255).astype(np.uint8)
    mse = lq.repeat(4, axis=0).repeat(4, axis=1)
    return module.Picture(name, lq, gt, mse, (gt // 2 + mse // 2))


def test_precision_is_that_of_all_pictures_together(module: ModuleType) -> None:
    rng = np.random.default_rng(0)
    counts = module.Counts(3)
    key, together = ("d", "gt", "noise"), []
    for number in range(3):
        truth = rng.random((20, 30)) < 0.3
        D = np.where(truth, rng.random(truth.shape) * 0.8, 0.2 + 0.8 * rng.random(truth.shape))
        together.append((D, truth))
        curve = count_curve(D, truth, module.LEVELS)
        counts.add(key, number, module.Found(curve, MaskCounts(tp=1, fp=2, fn=3)))
    aps, ends = counts.precision(lambda found: {"ap": found[key]}, 200)
    D, truth = (np.concatenate(parts) for parts in zip(*together, strict=True))
    expected = count_curve(D, truth, module.LEVELS).average_precision
    assert aps[key] == pytest.approx(expected)
    assert ends["ap"] is not None and ends["ap"][0] <= aps[key] <= ends["ap"][1]
    assert counts.f1(key) == pytest.approx(2 * 3 / (2 * 3 + 6 + 9))


def test_suspects_repeat_and_leave_out_a_truth_that_the_lr_image_does_not_tell_of(
    module: ModuleType,
) -> None:
    pictures = [picture(module, "a"), picture(module, "b", lq_noise=40)]
    kinds = ["noise", "smoothing"]
    in_truth = list(module.suspects(pictures, kinds, "gt", 0))
    assert {number for number, *_ in in_truth} == {0}
    in_gan = list(module.suspects(pictures, kinds, "sr_gan", 0))
    assert {number for number, *_ in in_gan} == {0, 1}
    again = list(module.suspects(pictures, kinds, "sr_gan", 0))
    for one, other in zip(in_gan, again, strict=True):
        np.testing.assert_array_equal(one[2], other[2])
    other_seed = list(module.suspects(pictures, kinds, "sr_gan", 1))
    assert not np.array_equal(in_gan[0][3], other_seed[0][3])


def test_run_on_folders_that_detect_wrote(
    module: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import argparse

    from desra import detect
    from desra.options.detect import DetectOptions

    for number, left in enumerate((60, 100, 220)):
        made = picture(module, f"p{number}", left)
        for kind in ("lq", "gt", "sr_mse", "sr_gan"):
            write_image(tmp_path / kind / f"p{number}.png", getattr(made, kind))
    folders = {kind: str(tmp_path / kind) for kind in ("lq", "sr_gan", "sr_mse")}
    detect.detect(
        DetectOptions.model_validate({"input": folders, "output": str(tmp_path / "found")})
    )
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    args = parser.parse_args(
        [
            "--detected",
            str(tmp_path / "found"),
            "--gt",
            str(tmp_path / "gt"),
            "--kinds",
            "noise",
            "--detectors",
            module.PAPER,
            "evidence",
            "--resamples",
            "30",
            "-o",
            str(tmp_path / "out"),
        ]
    )
    assert module.run(args) == 0
    said = capsys.readouterr().out
    tables = [
        json.loads((tmp_path / f"out/{name}.json").read_text())
        for name in ("kinds", "references", "clean")
    ]
    kinds, references, clean = tables
    assert kinds["columns"][:2] == ["detector", "noise"]
    for table in tables:
        assert table["title"] in said
        assert [row[0] for row in table["rows"]] == [module.PAPER, "evidence"]
        assert {len(row) for row in table["rows"]} == {len(table["columns"])}
    assert references["columns"][1:] == ["sr_mse", "sr_gan", "bicubic"]
    assert clean["columns"][1:] == ["truth", "sr_gan"]
    ap = {row[0]: float(row[1]) for row in kinds["rows"]}
    assert 0 <= ap[module.PAPER] <= 1 and 0 <= ap["evidence"] <= 1


def test_folders_without_their_truth(module: ModuleType) -> None:
    import argparse

    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    with pytest.raises(SystemExit, match="give --gt a folder for each"):
        module.run(parser.parse_args(["--detected", "a"]))


@pytest.fixture
def fitting(module: ModuleType) -> ModuleType:
    return load_script("fit_detector.py")


def test_the_fit_tells_apart_what_can_be_told(
    fitting: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import argparse

    rng = np.random.default_rng(0)
    n = 40_000
    x = rng.normal(2, 3, (n, 41)).astype(np.float32)
    artifact = x[:, 0] + x[:, 5] > 5
    np.savez(
        tmp_path / "samples.npz",
        x=x,
        artifact=artifact,
        weight=np.ones(n, np.float32),
        validate=np.arange(n) % 5 == 0,
        kind=(np.arange(n) % 8).astype(np.int8),
    )
    out = tmp_path / "evidence.safetensors"
    fitting.fit(
        argparse.Namespace(samples=[tmp_path / "samples.npz"], output=out, epochs=15, seed=0, own=2)
    )
    assert {k: v.shape for k, v in load_file(out).items()} == {
        k: v.shape for k, v in load_file(evidence_network.WEIGHTS).items()
    }
    monkeypatch.setattr(evidence_network, "WEIGHTS", out)
    evidence_network._layers.cache_clear()
    try:
        marked = evidence_network.judge(x) > np.log(0.3 / 0.7)
    finally:
        evidence_network._layers.cache_clear()
    assert (marked == artifact)[np.arange(n) % 5 == 0].mean() > 0.97


def test_the_working_point_by_brute_force(fitting: ModuleType) -> None:
    rng = np.random.default_rng(0)
    n, kinds = 800, len(fitting.KINDS)
    kind = rng.integers(0, kinds, n)
    artifact = rng.random(n) < 0.4
    odds = rng.normal(size=n) + 2 * artifact
    weight = rng.random(n) + 0.5
    at, f1 = fitting.best_threshold(odds, artifact, weight, kind)

    def mean_f1(level: float) -> float:
        scores = []
        for k in range(kinds):
            tp = fp = fn = 0.0
            for o, a, w, mine in zip(odds, artifact, weight, kind == k, strict=True):
                if mine:
                    tp += w * (a and o > level)
                    fp += w * (not a and o > level)
                    fn += w * (a and o <= level)
            scores.append(2 * tp / (2 * tp + fp + fn))
        return float(np.mean(scores))

    assert f1 == pytest.approx(mean_f1(at))
    assert all(mean_f1(level) <= f1 + 1e-9 for level in np.linspace(-4, 6, 101)[::5])


@pytest.mark.parametrize("way", range(6))
def test_each_way_of_downscaling_keeps_the_colours(fitting: ModuleType, way: int) -> None:
    gt = np.ascontiguousarray(skimage.data.astronaut()[:128, :160])
    lq = fitting.downscaled(gt, way, np.random.default_rng(way))
    assert lq.dtype == np.uint8 and lq.shape == (32, 40, 3)
    np.testing.assert_allclose(lq.mean(axis=(0, 1)), gt.mean(axis=(0, 1)), atol=6)


def test_jpeg_is_that_of_an_rgb_image(fitting: ModuleType) -> None:
    """Pillow takes RGB: what is coded a second time at the same quality hardly changes."""
    gt = np.zeros((128, 128, 3), np.uint8)
    gt[:, :, 0] = np.arange(128)[None] * 2  # red: blue, taken for it, weighs a third in luma
    rng = np.random.default_rng(3)
    rng.normal(0, rng.uniform(1, 8), (32, 32, 3))
    quality = int(rng.integers(40, 90))
    lq = fitting.downscaled(gt, 3, np.random.default_rng(3))

    def again(image: np.ndarray) -> float:
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, "JPEG", quality=quality, subsampling="4:2:0")
        return np.abs(np.asarray(Image.open(stream)).astype(float) - image).mean()

    assert again(lq) < 0.7 * again(np.ascontiguousarray(lq[..., ::-1]))


def test_curve_counts_of_equal_levels_add_up() -> None:
    """What `Counts` relies on: a histogram at fixed levels gives the same AP as the values."""
    rng = np.random.default_rng(1)
    D, truth = np.round(rng.random((9, 9)) * 250) / 250, rng.random((9, 9)) < 0.5
    found = count_curve(D, truth)
    values = np.arange(251) / 250
    artifact = np.array([(truth & (np.rint(D * 250) == k)).sum() for k in range(251)])
    clean = np.array([(~truth & (np.rint(D * 250) == k)).sum() for k in range(251)])
    occurs = artifact + clean > 0
    again = CurveCounts(values[occurs], artifact[occurs], clean[occurs])
    assert again.average_precision == pytest.approx(found.average_precision)
