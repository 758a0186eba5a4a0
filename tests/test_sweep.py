"""The table of the sweep against the functions of the method, called once for each rule."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from scipy import ndimage

from desra.artifacts import (
    MaskRule,
    WindowSpec,
    artifact_map,
    artifact_mask,
    find_regions,
    full_size_mask,
)
from desra.detect import detect
from desra.detectors import Images, find_detector
from desra.io.images import read_rgb8, write_image
from desra.io.labelme import write_labelme
from desra.metrics.mask_scores import count_mask, mean_iou
from desra.options.detect import DetectOptions
from desra.options.loading import parse
from desra.options.sections import DetectorOptions
from desra.options.sweep import SweepOptions
from desra.sweep import SweepRow, count_areas, main, sweep
from desra.utils.errors import InputError
from helpers.small import photograph

AREAS = [0, 60, 150, 100000]


def field(seed: int, shape: tuple[int, int] = (90, 120), smooth: float = 2.5) -> np.ndarray:
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), smooth)
    return (noise - noise.min()) / (noise.max() - noise.min())


@pytest.mark.parametrize("seed", range(3))
def test_areas_at_once_equal_one_by_one(seed: int) -> None:
    D, truth = field(seed), field(seed) + 0.5 * field(seed + 9)
    truth = truth < np.quantile(truth, 0.2)
    for threshold in np.quantile(D, [0.1, 0.2, 0.3]):
        unfiltered = artifact_mask(D, MaskRule(threshold, 3, dilate=1, min_area=0))
        results = count_areas(unfiltered, AREAS, truth)
        for area, result in zip(AREAS, results, strict=True):
            mask = artifact_mask(D, MaskRule(threshold, 3, dilate=1, min_area=area))
            assert result.regions == find_regions(mask).count
            assert result.pixels == mask.sum()
            assert result.scores == count_mask(mask, truth)
    assert results[0].regions > results[1].regions > results[2].regions > 0
    assert results[3].pixels == 0
    assert results[2].scores.correct > 0 and 0 < results[2].scores.found < results[0].scores.true


@pytest.mark.parametrize("mask", [np.zeros((9, 9), bool), np.ones((9, 9), bool)])
@pytest.mark.parametrize("truth", [np.zeros((9, 9), bool), np.ones((9, 9), bool)])
def test_empty_and_full_masks(mask: np.ndarray, truth: np.ndarray) -> None:
    assert count_areas(mask, [0], truth)[0].scores == count_mask(mask, truth)
    assert count_areas(mask, [0])[0].scores is None


def test_an_area_must_be_exceeded() -> None:
    mask = np.zeros((9, 9), bool)
    mask[1:3, 1:4] = True
    assert [found.regions for found in count_areas(mask, [5, 6], mask)] == [1, 0]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A folder that detect wrote: three pairs, the second without artifacts, the third tiny."""
    rng = np.random.default_rng(0)
    for stem, size in (("a", (96, 128)), ("sub/b", (96, 96)), ("tiny", (8, 8))):
        smooth = cv2.resize(rng.random((*np.array(size) // 4, 3)), size[::-1])
        mse = (60 + 120 * smooth).round().astype(np.uint8)
        gan = mse.copy()
        if stem == "a":
            for rows, columns in ((slice(20, 60), slice(20, 60)), (slice(30, 45), slice(90, 105))):
                gan[rows, columns] = rng.integers(0, 256, gan[rows, columns].shape)
        write_image(tmp_path / "mse" / f"{stem}.png", mse)
        write_image(tmp_path / "gan" / f"{stem}.png", gan)
    options = {
        "input": {"sr_gan": str(tmp_path / "gan"), "sr_mse": str(tmp_path / "mse")},
        "output": str(tmp_path / "detect"),
        "detector": {"type": "relative_local_variance"},
        "mask": {"min_area": 4000},
    }
    detect(parse(DetectOptions, options, "test"))
    return tmp_path / "detect"


def options(results: Path, **extra: Any) -> SweepOptions:
    content = {
        "input": str(results),
        "output": str(results.parent / "sweep"),
        "thresholds": [0.4, 0.7],
        "min_areas": [0, 1000],
        "detector": {"type": "relative_local_variance"},
        **extra,
    }
    return parse(SweepOptions, content, "test")


def pictures(results: Path, stem: str) -> tuple[np.ndarray, np.ndarray]:
    read = [cv2.imread(str(results / kind / f"{stem}.png")) for kind in ("sr_mse", "sr_gan")]
    return read[0], read[1]  # BGR, which the mean over channels does not mind


def test_table_equals_detection_with_each_rule(results: Path) -> None:
    (results / "truth").mkdir()
    truths = {"a": np.zeros((96, 128), bool), "sub/b": np.zeros((96, 96), bool)}
    truths["a"][18:62, 25:62] = truths["a"][80:90, 5:15] = True
    for stem, truth in truths.items():
        write_labelme(results.parent / "truth" / f"{stem}.json", truth, "x.png")
    table = sweep(options(results, truth=str(results.parent / "truth"), dilate=2))

    assert [(r.threshold, r.min_area) for r in table] == [
        (0.4, 0),
        (0.4, 1000),
        (0.7, 0),
        (0.7, 1000),
    ]
    for row in table:
        rule = MaskRule(row.threshold, dilate=2, min_area=row.min_area)
        masks = {}
        for stem in ("a", "sub/b", "tiny"):
            mse, gan = pictures(results, stem)
            masks[stem] = full_size_mask(artifact_map(mse, gan), gan.shape, rule)
        assert row.images == 3
        assert row.images_found == sum(m.any() for m in masks.values())
        assert row.regions == sum(find_regions(m).count for m in masks.values())
        assert row.masked_pixels == sum(m.sum() for m in masks.values())
        assert row.masked_share == row.masked_pixels / (96 * 128 + 96 * 96 + 64)
        counts = [count_mask(masks[stem], truth) for stem, truth in truths.items()]
        total = counts[0] + counts[1]
        assert row.scored == 2
        assert (row.iou, row.pixel_f1) == (mean_iou(counts), total.pixel_f1)
        assert (row.region_precision, row.region_recall) == (
            total.region_precision,
            total.region_recall,
        )
        assert (row.predicted, row.correct) == (total.predicted, total.correct)
        assert (row.true, row.found) == (2, 1)
    assert [r.regions for r in table] == [2, 1, 2, 1]
    assert table[0].iou != table[2].iou


def test_default_rule_is_what_detect_masked(results: Path) -> None:
    (row,) = sweep(options(results, thresholds=[0.7], min_areas=[4000]))
    masks = [cv2.imread(str(path), 0) for path in (results / "mask").rglob("*.png")]
    assert row.masked_pixels == sum((mask > 127).sum() for mask in masks)
    (row,) = sweep(options(results, thresholds=[0.7], min_areas=[1000]))
    assert row.masked_pixels > 0


def detected_by_default(folder: Path, scale: int, with_lq: bool) -> DetectOptions:
    """What detect wrote with the default detector: noise of all strengths in a photograph."""
    for seed in range(2):
        gt = photograph(seed, 96, 128)
        mse = cv2.GaussianBlur(gt, (0, 0), 1.2)
        strength = np.linspace(0, 40, 128)[None, :, None]
        noise = strength * np.random.default_rng(seed).normal(size=gt.shape)
        gan = (gt + noise).clip(0, 255).round().astype(np.uint8)
        lq = cv2.resize(gt, (128 // scale, 96 // scale), interpolation=cv2.INTER_AREA)
        for kind, image in (("mse", mse), ("gan", gan), ("lq", lq)):
            write_image(folder / kind / f"{seed}.png", image)
    given = {"sr_gan": str(folder / "gan"), "sr_mse": str(folder / "mse")}
    if with_lq:
        given["lq"] = str(folder / "lq")
    content = {"input": given, "output": str(folder / "detect"), "scale": scale}
    opt = parse(DetectOptions, {**content, "mask": {"min_area": 200}}, "test")
    detect(opt)
    return opt


def sweep_by_default(opt: DetectOptions) -> SweepRow:
    """The row of detect's threshold and area."""
    area = int(opt.mask.resolve((96, 128), opt.scale).min_area)
    (row,) = sweep(
        options(
            Path(opt.output),
            thresholds=[opt.mask.threshold],
            min_areas=[area],
            detector=DetectorOptions(),
        )
    )
    return row


@pytest.mark.parametrize("scale", [4, 2])
@pytest.mark.parametrize("with_lq", [True, False])
def test_the_default_detector_finds_what_detect_found(
    tmp_path: Path, scale: int, with_lq: bool, caplog: pytest.LogCaptureFixture
) -> None:
    opt = detected_by_default(tmp_path, scale, with_lq)
    row = sweep_by_default(opt)
    found = [cv2.imread(str(path), 0) > 127 for path in (tmp_path / "detect/mask").iterdir()]
    assert row.masked_pixels == sum(mask.sum() for mask in found) > 0
    assert row.regions == sum(find_regions(mask).count for mask in found)
    warnings = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert len(warnings) == (0 if with_lq else 2)  # of detect and of sweep
    assert all("evidence does without lq" in text for text in warnings)


def test_lr_images_that_are_gone_are_done_without_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    opt = detected_by_default(tmp_path, 2, with_lq=True)
    (tmp_path / "lq/1.png").unlink()
    row = sweep_by_default(opt)
    masked = [int((cv2.imread(str(tmp_path / "detect/mask/0.png"), 0) > 127).sum())]
    mse, gan = (read_rgb8(tmp_path / f"detect/{kind}/1.png") for kind in ("sr_mse", "sr_gan"))
    rule = opt.mask.resolve((96, 128), 2)
    for lq in (None, cv2.resize(mse, (64, 48))):
        D = find_detector("evidence", ["mse"])(Images(gan, mse, lq, scale=2))
        masked.append(int(full_size_mask(D, gan.shape, rule).sum()))
    assert row.masked_pixels == masked[0] + masked[1] != masked[0] + masked[2]
    assert "1 of 2 LR images that detect had are gone" in caplog.text and "1.png" in caplog.text


def test_another_detector_or_window_than_detects_is_said(
    results: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sweep(options(results))
    assert "made with" not in caplog.text
    sweep(options(results, detector={"type": "local_ssim"}, window={"size": 9}))
    for words in (
        f"detector: is {{type: local_ssim}} here, but the masks in {results} were made with "
        "{type: relative_local_variance}",
        "window: is {size: 9, sigma: 1.5, data_range: 255.0} here, but",
    ):
        assert words in caplog.text
    caplog.clear()
    (results / "options.yml").unlink()  # a folder of before it was kept
    sweep(options(results, detector={"type": "local_ssim"}))
    assert "made with" not in caplog.text


def test_what_is_not_given_is_as_detect_had_it(
    results: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The folder's detector is the paper's, which is not the default."""
    content = yaml.safe_load((results / "options.yml").read_text())
    content["window"]["size"], content["mask"]["dilate"] = 7, 1
    (results / "options.yml").write_text(yaml.safe_dump(content))

    def row(**given: Any) -> SweepRow:
        common = {"input": str(results), "output": str(results.parent / "sweep")}
        rule = {"thresholds": [0.7], "min_areas": [0]}
        (row,) = sweep(parse(SweepOptions, {**common, **rule, **given}, "test"))
        return row

    papers = {"type": "relative_local_variance"}
    kept = row()
    assert "made with" not in caplog.text
    assert kept == row(detector=papers, window={"size": 7}, dilate=1)
    mse, gan = pictures(results, "a")
    D = artifact_map(mse, gan, WindowSpec(size=7))
    mask = full_size_mask(D, gan.shape, MaskRule(dilate=1, min_area=0))
    assert kept.regions == find_regions(mask).count and kept.masked_pixels == mask.sum()
    assert row(dilate=3).masked_pixels > kept.masked_pixels
    (results / "options.yml").unlink()  # then it is as detect's defaults
    assert row() == row(detector={"type": "evidence"}, window={}, dilate=3)
    with pytest.raises(InputError, match="kernel must be odd"):
        row(kernel=4)


@pytest.mark.parametrize(
    ("key", "value"),
    [("detector", 5), ("window", []), ("mask", "x"), ("mask", {"threshold": "high"})],
)
def test_options_of_the_folder_that_were_edited(results: Path, key: str, value: Any) -> None:
    path = results / "options.yml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {key: value}))
    given = {"detector": {"type": "relative_local_variance"}, "window": {"size": 11}}
    for own in ({}, given):
        with pytest.raises(InputError, match=rf"options\.yml, which tells .*: {key}"):
            sweep(options(results, **own))


def test_csv_and_printed_table(results: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="desra"):
        table = sweep(options(results))
    rows = list(csv.DictReader((results.parent / "sweep" / "sweep.csv").open()))
    assert [float(r["threshold"]) for r in rows] == [0.4, 0.4, 0.7, 0.7]
    assert [int(r["regions"]) for r in rows] == [r.regions for r in table]
    assert {r["iou"] for r in rows} == {""} and {r["scored"] for r in rows} == {"0"}
    assert "pixel_f1" not in caplog.text and "min_area" in caplog.text


def test_a_table_of_somebody_else_is_not_replaced(results: Path) -> None:
    table = results.parent / "sweep" / "sweep.csv"
    table.parent.mkdir()
    table.write_text("mine")
    with pytest.raises(InputError, match=r"output: .*did not write.*sweep\.csv; move them away"):
        sweep(options(results))
    assert table.read_text() == "mine"
    table.unlink()
    sweep(options(results))
    (table.parent / ".desra_sweep.jsonl").unlink()  # as an earlier version left it
    sweep(options(results))
    sweep(options(results))
    table.write_text(table.read_text() + "my note\n")
    before = table.read_text()
    with pytest.raises(InputError, match=r"changed since: .*sweep\.csv"):
        sweep(options(results))
    assert table.read_text() == before


def test_another_detector(results: Path) -> None:
    texture = sweep(options(results))
    ssim = sweep(options(results, detector={"type": "local_ssim"}))
    assert [r.masked_pixels for r in ssim] != [r.masked_pixels for r in texture]
    gt = results.parent / "mse"
    ldl = sweep(options(results, detector={"type": "ldl"}, gt=str(gt)))
    assert ldl[2].images_found == 1


def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, *assignments: str) -> tuple[int, str]:
    file = tmp_path / "sweep.yml"
    file.write_text(f"input: {tmp_path / 'detect'}\noutput: {tmp_path / 'sweep'}\n")
    force = ["--force_yml", *assignments] if assignments else []
    return main(["-opt", str(file), *force]), capsys.readouterr().err


def test_errors_in_one_sentence(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for assignment, words in (
        ("detector:type=ldl", "'ldl' needs the true HR image (gt)"),
        ("detector:type=bicubic_reference", "needs the LR image (lq)"),
        ("detector:type=local_sim", "did you mean 'local_ssim'"),
        (f"input={tmp_path / 'gan'}", "holds no manifest.jsonl"),
        ("truth=nowhere", "truth: nowhere does not exist"),
        ("thresholds=[]", "thresholds"),
        ("thresholds=[1.5]", "thresholds"),
        ("kernel=4", "kernel must be odd"),
    ):
        code, err = run(capsys, tmp_path, assignment)
        assert code == 2 and words in err and "Traceback" not in err, assignment
    write_image(results / "sr_gan" / "a.png", np.zeros((5, 5, 3), np.uint8))
    code, err = run(capsys, tmp_path)
    assert code == 2 and "is (5, 5), but (96, 128) is expected" in err


def test_the_shipped_options_are_the_defaults() -> None:
    from desra.options.loading import find_options_file, read_yaml

    content = read_yaml(find_options_file("options/sweep.yml"))
    given = parse(SweepOptions, content, "sweep.yml")
    assert given == SweepOptions(input=given.input, output=given.output)
