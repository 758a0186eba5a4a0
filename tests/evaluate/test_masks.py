"""Through the stage, against brute force and by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from desra.evaluate import evaluate, main
from desra.io import manifest
from desra.io.coco import write_coco
from desra.io.images import write_image
from desra.io.labelme import write_labelme
from desra.options.evaluate import EvaluateOptions
from desra.utils.errors import InputError

RATES = ("iou", "pixel_precision", "pixel_recall", "pixel_f1", "region_precision", "region_recall")


def box(top: int, left: int, height: int, width: int, shape=(60, 60)) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[top : top + height, left : left + width] = True
    return mask


def speckle(seed: int, share: float, shape=(40, 50)) -> np.ndarray:
    field = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 1.5)
    return field < np.quantile(field, share)


def save(folder: Path, images: dict[str, np.ndarray]) -> str:
    for stem, image in images.items():
        write_image(folder / f"{stem}.png", image)
    return str(folder)


def run(tmp_path: Path, pred: str, truth: str, **more: Any) -> dict[str, Any]:
    """The part of the masks, as written."""
    folders = {"pred": pred, "truth": truth}
    if "map" in more:
        folders["map"] = more.pop("map")
    options = {"masks": folders, "output": str(tmp_path / "out"), **more}
    content = evaluate(EvaluateOptions.model_validate(options))

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    text = (tmp_path / "out" / "scores.json").read_text("utf-8")
    assert json.loads(text, parse_constant=refuse) == content
    return content["masks"]


def detected(folder: Path, masks: dict[str, np.ndarray], maps: dict[str, np.ndarray]) -> str:
    """What detect writes, as far as masks are concerned; without a map: smaller than the window."""
    save(folder / "mask", masks)
    blank = np.zeros((1, 1), np.uint8)
    save(folder / "map", {stem: maps.get(stem, blank) for stem in masks})
    rows = [
        manifest.Row(
            stem=stem,
            lq=None,
            lq_size=None,
            sr_size=(mask.shape[0], mask.shape[1]),
            scale=2,
            mask_pixels=0,
            regions=0,
            mean_D=0.5 if stem in maps else None,
            seconds={},
            settings="x",
            notes=(),
        )
        for stem, mask in masks.items()
    ]
    manifest.write(folder, rows)
    return str(folder)


# ----------------------------------------------------------------------------------- brute force


def regions(mask: np.ndarray) -> list[set[tuple[int, int]]]:
    """8-connected regions, by walking."""
    left = set(zip(*(n.tolist() for n in np.nonzero(mask)), strict=True))
    found = []
    while left:
        region, edge = set(), [left.pop()]
        while edge:
            y, x = edge.pop()
            region.add((y, x))
            near = {(y + i, x + j) for i in (-1, 0, 1) for j in (-1, 0, 1)} & left
            left -= near
            edge += near
        found.append(region)
    return found


def covered(mask: np.ndarray, other: np.ndarray) -> tuple[int, int]:
    parts = regions(mask)
    return sum(sum(bool(other[p]) for p in part) >= len(part) / 2 for part in parts), len(parts)


def brute_average_precision(pixels: list[tuple[np.ndarray, np.ndarray]]) -> float:
    D = np.concatenate([d.ravel() for d, _ in pixels])
    truth = np.concatenate([t.ravel() for _, t in pixels])
    marks = [t >= D for t in sorted(set(D.tolist()))]
    recalls = [0.0, *((m & truth).sum() / truth.sum() for m in marks)]
    steps = zip(marks, recalls[:-1], recalls[1:], strict=True)
    return float(sum((high - low) * truth[m].mean() for m, low, high in steps))


MASKS = {f"s/{i}": speckle(i, 0.25) for i in range(6)}
TRUTHS = {f"s/{i}": speckle(i, 0.1) | speckle(i + 40, 0.15) for i in range(6)}
MAPS = {
    stem: (
        np.random.default_rng(5).integers(0, 8, (30, 40)) + 4 * ~TRUTHS[stem][5:-5, 5:-5]
    ).astype(np.uint8)
    * 20
    for stem in MASKS
}


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, str]:
    named = {"pred": MASKS, "truth": TRUTHS, "map": MAPS}
    return {name: save(tmp_path / name, images) for name, images in named.items()}


def test_equals_brute_force(tmp_path, folders):
    masks = run(tmp_path, **folders)
    total = masks["total"]
    expected = dict.fromkeys(("tp", "fp", "fn", "predicted", "correct", "true", "found"), 0)
    ious = []
    for stem, mask in MASKS.items():
        truth, image = TRUTHS[stem], masks["images"][stem]
        tp, fp, fn = ((a & b).sum() for a, b in ((mask, truth), (mask, ~truth), (~mask, truth)))
        correct, predicted = covered(mask, truth)
        found, true = covered(truth, mask)
        counts = {
            "tp": tp,
            "fp": fp,
            "fn": fn,
            "predicted": predicted,
            "correct": correct,
            "true": true,
            "found": found,
        }
        assert {name: image[name] for name in counts} == counts
        ious.append(tp / (tp + fp + fn))
        assert image["iou"] == ious[-1]
        expected = {name: expected[name] + n for name, n in counts.items()}
        single = brute_average_precision([(MAPS[stem], truth[5:-5, 5:-5])])
        assert image["average_precision"] == pytest.approx(single, abs=1e-12)
    e = expected
    assert {name: total[name] for name in e} == e and total["images"] == 6
    assert total["iou"] == pytest.approx(np.mean(ious), abs=1e-12)
    assert total["pixel_precision"] == e["tp"] / (e["tp"] + e["fp"])
    assert total["pixel_recall"] == e["tp"] / (e["tp"] + e["fn"])
    assert total["pixel_f1"] == 2 * e["tp"] / (2 * e["tp"] + e["fp"] + e["fn"])
    assert total["region_precision"] == e["correct"] / e["predicted"]
    assert total["region_recall"] == e["found"] / e["true"]
    assert 0.1 < total["region_recall"] < 0.9 and 0.1 < total["region_precision"] < 0.9
    pixels = [(MAPS[stem], TRUTHS[stem][5:-5, 5:-5]) for stem in MAPS]
    assert total["average_precision"] == pytest.approx(brute_average_precision(pixels), abs=1e-12)
    assert (masks["pred"], masks["truth"]) == (folders["pred"], folders["truth"])
    assert set(masks["intervals"]) == {*RATES, "average_precision"}


def test_intervals_equal_those_of_a_loop_over_images(tmp_path, folders):
    masks = run(tmp_path, **folders)
    rng = np.random.default_rng(9)
    stems = list(MASKS)
    drawn: dict[str, list[float]] = {"iou": [], "pixel_recall": [], "average_precision": []}
    for _ in range(1500):
        chosen = [stems[i] for i in rng.integers(0, len(stems), len(stems))]
        images = [masks["images"][stem] for stem in chosen]
        drawn["iou"].append(float(np.mean([i["iou"] for i in images])))
        tp, fn = sum(i["tp"] for i in images), sum(i["fn"] for i in images)
        drawn["pixel_recall"].append(tp / (tp + fn))
        pixels = [(MAPS[stem], TRUTHS[stem][5:-5, 5:-5]) for stem in chosen]
        drawn["average_precision"].append(brute_average_precision(pixels))
    for name, values in drawn.items():
        expected = np.percentile(values, [2.5, 97.5])
        close = 0.12 * (expected[1] - expected[0])
        assert masks["intervals"][name] == pytest.approx(expected.tolist(), abs=close), name
        assert masks["intervals"][name][0] < masks["total"][name] < masks["intervals"][name][1]


def test_the_same_options_give_the_same_file_and_another_seed_other_intervals(tmp_path, folders):
    first = run(tmp_path, **folders)
    assert run(tmp_path, **folders) == first
    other = run(tmp_path, **folders, bootstrap={"seed": 1, "resamples": 500})
    assert other["total"] == first["total"] and other["intervals"] != first["intervals"]


# ---------------------------------------------------------------------------------- what is taken


@pytest.mark.parametrize("kind", ["labelme", "coco"])
def test_truth_drawn_in_a_tool(tmp_path, folders, kind):
    source = tmp_path / kind
    if kind == "labelme":
        for stem, mask in TRUTHS.items():
            write_labelme(source / f"{stem}.json", mask, f"{stem}.png")
    else:
        source = source / "truth.json"
        write_coco(source, ((f"{stem}.png", mask) for stem, mask in TRUTHS.items()))
    drawn = run(tmp_path, folders["pred"], str(source))
    painted = run(tmp_path, folders["pred"], folders["truth"])
    assert drawn["images"] == painted["images"] and drawn["total"] == painted["total"]


def test_a_folder_that_detect_wrote_brings_its_masks_and_maps(tmp_path, folders):
    found = run(tmp_path, detected(tmp_path / "detected", MASKS, MAPS), folders["truth"])
    by_hand = run(tmp_path, **folders)
    for part in ("total", "intervals", "images", "pr_curve"):
        assert found[part] == by_hand[part]


def test_an_image_smaller_than_the_window_has_no_part_in_the_curve(tmp_path, caplog):
    masks = {"a": speckle(0, 0.3), "tiny": box(0, 0, 4, 4, (8, 8))}
    maps = {"a": MAPS["s/0"]}
    truth = {"a": TRUTHS["s/0"], "tiny": box(0, 0, 4, 4, (8, 8))}
    pred = detected(tmp_path / "detected", masks, maps)
    scores = run(tmp_path, pred, save(tmp_path / "truth", truth))
    a, tiny = scores["images"]["a"], scores["images"]["tiny"]
    assert tiny["iou"] == 1 and tiny["average_precision"] is None
    assert scores["total"]["average_precision"] == a["average_precision"] > 0
    assert "no map, so no part in the average precision: tiny" in caplog.text


def test_without_maps_there_is_no_average_precision(tmp_path, folders, caplog):
    masks = run(tmp_path, folders["pred"], folders["truth"])
    assert masks["pr_curve"] is None and masks["total"]["average_precision"] is None
    assert masks["intervals"]["average_precision"] is None
    words = next(tmp_path.rglob("scores.txt")).read_text("utf-8")
    assert "pixel recall" in words
    assert "average" not in words + caplog.text


def test_the_curve_is_thinned_and_keeps_its_ends(tmp_path):
    rng = np.random.default_rng(0)
    truth = speckle(0, 0.3, (90, 90))
    D = (rng.random((90, 90)) * 40000 + 20000 * ~truth).astype(np.uint16)
    pred, true = save(tmp_path / "pred", {"a": truth}), save(tmp_path / "truth", {"a": truth})
    masks = run(tmp_path, pred, true, map=save(tmp_path / "map", {"a": D}))
    curve = masks["pr_curve"]
    assert {len(values) for values in curve.values()} == {256}
    assert curve["recall"][-1] == 1 and curve["precision"][-1] == truth.mean()
    assert curve["threshold"] == sorted(curve["threshold"]) and curve["threshold"][-1] <= 1
    # The score is that of all values, to within their 4081 levels.
    exact = brute_average_precision([(D, truth)])
    assert masks["total"]["average_precision"] == pytest.approx(exact, abs=1e-3)
    assert exact > truth.mean() + 0.2


def test_every_value_of_8_bits_is_a_threshold(tmp_path):
    D = np.arange(256, dtype=np.uint8).reshape(16, 16)
    pred = save(tmp_path / "pred", {"a": D < 100})
    masks = run(tmp_path, pred, pred, map=save(tmp_path / "map", {"a": D}))
    assert masks["pr_curve"]["threshold"] == (np.arange(256) / 255).tolist()
    assert masks["total"]["average_precision"] == 1


# ------------------------------------------------------------------------ missing and undefined


def test_a_true_mask_without_prediction_counts_as_nothing_found(tmp_path, caplog):
    truth = save(tmp_path / "truth", {"a": box(0, 0, 20, 20), "b": box(0, 0, 30, 20)})
    masks = run(tmp_path, save(tmp_path / "pred", {"a": box(0, 0, 20, 20)}), truth)
    assert masks["images"]["b"]["fn"] == 600 and masks["images"]["b"]["iou"] == 0
    assert masks["total"]["iou"] == 0.5 and masks["total"]["pixel_recall"] == 0.4
    assert masks["total"]["region_recall"] == 0.5 and masks["total"]["images"] == 2
    assert "1 of 2 true masks have no prediction, counted as images in which nothing" in caplog.text


def test_a_prediction_without_truth_is_left_out_and_left_alone(tmp_path, caplog):
    pred = save(tmp_path / "pred", {"a": box(0, 0, 9, 9), "stranger": box(0, 0, 9, 9)})
    truth = save(tmp_path / "truth", {"a": box(0, 0, 9, 9)})
    for protocol in ("full", "released"):
        if protocol == "released":
            truth = save(tmp_path / "large", {"a": box(0, 0, 9, 9, (70, 70))})
        masks = run(tmp_path, pred, truth, protocol=protocol)
        assert list(masks["images"]) == ["a"]
        assert "1 of 2 predictions have no true mask" in caplog.text and "stranger" in caplog.text
        caplog.clear()
    assert sorted(p.name for p in Path(pred).iterdir()) == ["a.png", "stranger.png"]


def test_undefined_is_null_and_says_why(tmp_path, caplog):
    empty = np.zeros((60, 60), bool)
    pred = save(tmp_path / "pred", {"a": empty, "b": empty})
    masks = run(tmp_path, pred, save(tmp_path / "truth", {"a": empty, "b": empty}))
    assert all(masks["total"][name] is None for name in RATES)
    assert all(masks["intervals"][name] is None for name in RATES)
    assert "iou (both masks of every image are empty)" in caplog.text
    assert "region_precision (nothing is predicted)" in caplog.text
    assert caplog.text.count("undefined, so null") == 1
    caplog.clear()
    masks = run(tmp_path, pred, save(tmp_path / "some", {"a": box(0, 0, 9, 9), "b": empty}))
    assert (masks["total"]["iou"], masks["total"]["region_recall"]) == (0, 0)
    assert masks["total"]["region_precision"] is masks["total"]["pixel_precision"] is None
    assert "iou" not in caplog.text


def test_one_image_has_no_intervals(tmp_path):
    pred = save(tmp_path / "pred", {"a": box(0, 0, 9, 9)})
    assert set(run(tmp_path, pred, pred)["intervals"].values()) == {None}


# ------------------------------------------------------------------------------------- released


def released(tmp_path: Path, pred: dict[str, np.ndarray], truth: dict[str, np.ndarray]) -> Any:
    """With masks of 50x50 and true ones of 60x60."""
    folders = save(tmp_path / "pred", pred), save(tmp_path / "truth", truth)
    return run(tmp_path, *folders, protocol="released")


def small(top: int, left: int, height: int, width: int) -> np.ndarray:
    return box(top, left, height, width, (50, 50))


def test_released_crops_the_truth_before_it_counts(tmp_path):
    """Of two true boxes one lies in the border: one is left, all of it found."""
    truth = box(0, 30, 5, 20) | box(20, 20, 10, 10)
    scores = released(tmp_path, {"a": small(15, 15, 10, 20)}, {"a": truth})
    total = scores["total"]
    assert (total["true"], total["found"], total["tp"], total["fn"]) == (1, 1, 100, 0)
    assert (total["iou"], total["region_recall"], total["region_precision"]) == (0.5, 1, 1)


def test_released_lets_missing_images_vanish_from_recall(tmp_path, caplog):
    truth = {"a": box(20, 20, 10, 10), "b": box(20, 20, 10, 10)}
    total = released(tmp_path, {"a": small(15, 15, 10, 10)}, truth)["total"]
    assert (total["region_recall"], total["true"], total["images"]) == (1, 1, 1)
    assert "1 of 2 true masks have no prediction, left out, as the released scripts" in caplog.text


def test_released_iou_is_spoilt_by_two_empty_masks(tmp_path, caplog):
    pred = {"a": small(15, 15, 10, 10), "b": small(0, 0, 0, 0), "c": small(15, 15, 10, 10)}
    truth = {"a": box(20, 20, 10, 10), "b": box(0, 0, 5, 60), "c": box(20, 20, 10, 10)}
    scores = released(tmp_path, pred, truth)  # b is empty when cropped
    assert scores["total"]["iou"] is None and scores["intervals"]["iou"] is None
    assert scores["total"]["region_recall"] == 1 and scores["images"]["a"]["iou"] == 1
    assert "iou (both masks of an image are empty, and its 0/0 spoils" in caplog.text
    full = run(
        tmp_path,
        save(tmp_path / "full", {k: np.pad(v, 5) for k, v in pred.items()}),
        save(tmp_path / "full_truth", {**truth, "b": box(0, 0, 0, 0)}),
    )
    assert full["total"]["iou"] == 1 and full["intervals"]["iou"] == [1, 1]


def test_released_divides_by_zero_regions_to_null(tmp_path, caplog):
    total = released(tmp_path, {"a": small(0, 0, 0, 0)}, {"a": box(20, 20, 10, 10)})["total"]
    assert (total["region_precision"], total["region_recall"], total["iou"]) == (None, 0, 0)
    assert "region_precision (nothing is predicted)" in caplog.text


def test_released_region_scores_are_lenient(tmp_path):
    """A 50x50 box shifted by 20 px has an IoU of 3/7, and full precision and recall."""
    pred = {"a": box(10, 30, 50, 50, (100, 100))}
    truth = {"a": np.pad(box(10, 10, 50, 50, (100, 100)), 5)}
    total = released(tmp_path, pred, truth)["total"]
    assert total["iou"] == 1500 / 3500
    assert total["region_precision"] == total["region_recall"] == 1


# ---------------------------------------------------------------------------------------- errors


def test_sizes_that_do_not_fit_are_all_named(tmp_path):
    wrong = {"a": small(0, 0, 9, 9), "b": box(0, 0, 9, 9), "c": small(0, 0, 9, 9)}
    pred = save(tmp_path / "pred", wrong)
    truth = save(tmp_path / "truth", dict.fromkeys("abc", box(0, 0, 9, 9)))
    with pytest.raises(InputError) as caught:
        run(tmp_path, pred, truth)
    lines = str(caught.value).splitlines()
    assert len(lines) == 3 and "a.png is (50, 50)" in lines[1] and "c.png" in lines[2]
    assert lines[1].endswith("protocol: released compares masks that lack 5 pixels a side")
    with pytest.raises(InputError, match=r"b\.png is \(60, 60\), but with protocol: released"):
        run(tmp_path, pred, truth, protocol="released")
    odd = save(tmp_path / "odd", dict.fromkeys("abc", np.zeros((50, 51), np.uint8)))
    with pytest.raises(InputError, match=r"a\.png is \(50, 51\), which does not lie centred"):
        run(tmp_path, truth, truth, map=odd)
    assert not (tmp_path / "out").exists()


def test_folders_without_a_common_name(tmp_path):
    pred = save(tmp_path / "pred", {"a_mask": box(0, 0, 9, 9)})
    truth = save(tmp_path / "truth", {"a": box(0, 0, 9, 9)})
    with pytest.raises(InputError, match=r"have no name in common \(a_mask against a\)"):
        run(tmp_path, pred, truth)


def test_a_truth_for_what_detect_has_not_looked_at(tmp_path):
    pred = detected(tmp_path / "detected", {"a": box(0, 0, 9, 9)}, {})
    truth = save(tmp_path / "truth", {"a": box(0, 0, 9, 9), "b": box(0, 0, 9, 9)})
    with pytest.raises(InputError, match=r"masks\.truth: 1 of 2 masks .* belong to no image: b"):
        run(tmp_path, pred, truth)


def test_maps_that_are_missing(tmp_path, folders):
    (Path(folders["map"]) / "s" / "3.png").unlink()
    with pytest.raises(InputError, match=r"masks\.map: .* lacks 1 of 6 images: s/3"):
        run(tmp_path, **folders)


@pytest.mark.parametrize("key", ["pred", "truth", "map"])
def test_a_folder_that_is_not_there(tmp_path, folders, key):
    nowhere = str(tmp_path / "nowhere")
    with pytest.raises(InputError, match=rf"^masks\.{key}: .*nowhere does not exist"):
        run(tmp_path, **{**folders, key: nowhere})


def test_the_command_line(tmp_path, folders, capsys):
    options = tmp_path / "evaluate.yml"
    text = {"masks": folders, "output": str(tmp_path / "out")}
    options.write_text(json.dumps(text))
    assert main(["-opt", str(options)]) == 0
    out = capsys.readouterr().out
    masks = json.loads((tmp_path / "out" / "scores.json").read_text("utf-8"))["masks"]
    total, (low, high) = masks["total"], masks["intervals"]["region_recall"]
    assert (
        f"region recall: {total['region_recall']:.3f} [{low:.3f}, {high:.3f}] "
        f"({total['found']} of {total['true']} true regions)"
    ) in out.splitlines()
    assert f"IoU: {total['iou']:.3f}" in out and "(mean over 6 of 6 images)" in out
    assert f"average precision: {total['average_precision']:.3f}" in out
    (row,) = (line for line in out.splitlines() if line.endswith("  s/4"))
    image = masks["images"]["s/4"]
    assert f"{image['correct']} of {image['predicted']}" in row and f"{image['iou']:.3f}" in row
    assert main(["-opt", str(options), "--force_yml", "masks:truth=null", "masks:trut=a"]) == 2
    assert "masks.trut: unknown key; did you mean 'truth'?" in capsys.readouterr().err
