"""Result folders are made by hand, so that every figure in scores.json is known beforehand."""

import json
import math
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from skimage import data

from desra.evaluate import evaluate, main
from desra.io import manifest
from desra.io.images import read_image, read_mask, write_image
from desra.metrics.mask_scores import count_change
from desra.metrics.quality import detail
from desra.options.evaluate import EvaluateOptions
from desra.options.loading import parse
from desra.utils.errors import InputError

SIDE, SCALE = 64, 4
RNG = np.random.default_rng(0)
LQ = RNG.integers(40, 200, (SIDE // SCALE, SIDE // SCALE, 3), dtype=np.uint8)
SR = LQ.repeat(SCALE, axis=0).repeat(SCALE, axis=1)


def box(*corners: tuple[int, int, int, int]) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), bool)
    for top, bottom, left, right in corners:
        mask[top:bottom, left:right] = True
    return mask


ONE, TWO, OTHER = (4, 16, 4, 16), (30, 50, 30, 50), (4, 14, 44, 54)


def results(
    folder: Path,
    images: dict[str, tuple[np.ndarray, np.ndarray]],
    settings: str = "x",
    lq: Path | None = None,
) -> Path:
    """What detect would write: (sr_gan, mask) by stem."""
    rows = []
    for stem, (gan, mask) in images.items():
        for kind, picture in (
            ("sr_gan", gan),
            ("sr_mse", gan),
            ("mask", mask),
            ("map", np.full((SIDE - 10, SIDE - 10), 200, np.uint8)),
        ):
            write_image(manifest.result(folder, kind, stem), picture)
        low = lq / f"{stem}.png" if lq else None
        size = (SIDE // SCALE, SIDE // SCALE)
        rows.append(
            manifest.Row(
                stem=stem,
                lq=str(low) if low else None,
                lq_size=size if low else None,
                sr_size=(gan.shape[0], gan.shape[1]),
                scale=SCALE,
                mask_pixels=int(mask.sum()),
                regions=0,
                mean_D=0.8,
                seconds={},
                settings=settings,
                notes=(),
            )
        )
    manifest.write(folder, rows)
    return folder


def brighter(image: np.ndarray, by: int, where: np.ndarray) -> np.ndarray:
    return (image + by * where[..., None]).astype(np.uint8)


MASK_A, MASK_B, EMPTY = box(ONE, TWO), box(ONE), box()
AFTER_A = brighter(brighter(SR, 10, ~MASK_A), 2, MASK_A)
AFTER_B = brighter(SR, 1, ~MASK_B)


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, str]:
    """a: one of two regions goes, a new one comes. b: its region stays. c: nothing at all."""
    for stem in "abc":
        write_image(tmp_path / "lq" / f"{stem}.png", LQ)
        write_image(tmp_path / "gt" / f"{stem}.png", brighter(SR, 4, ~EMPTY))
    before = {"a": (SR, MASK_A), "b": (SR, MASK_B), "c": (SR, EMPTY)}
    after = {"a": (AFTER_A, box(ONE, OTHER)), "b": (AFTER_B, MASK_B), "c": (SR, EMPTY)}
    return {
        "before": str(results(tmp_path / "before", before, "x", tmp_path / "lq")),
        "after": str(results(tmp_path / "after", after, "y", tmp_path / "lq")),
        "output": str(tmp_path / "out"),
    }


def words(options: dict[str, str]) -> str:
    """What is written beside the scores, for people."""
    return (Path(options["output"]) / "scores.txt").read_text("utf-8")


def run(options: dict[str, str], **more: object) -> dict:
    evaluate(EvaluateOptions.model_validate({**options, **more}))

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    text = (Path(options["output"]) / "scores.json").read_text("utf-8")
    return json.loads(text, parse_constant=refuse)


def db(mse: float) -> float:
    return 10 * math.log10(255**2 / mse)


# --------------------------------------------------------------------------------------- figures


def test_regions_and_pixels_are_counted_then_divided(folders):
    scores = run(folders)
    a, b, c, total = *(scores["images"][s] for s in "abc"), scores["total"]
    assert (a["regions_before"], a["regions_removed"]) == (2, 1)
    assert (a["regions_after"], a["regions_added"]) == (2, 1)
    assert (a["pixels_before"], a["pixels_removed"], a["pixels_added"]) == (544, 400, 100)
    assert (b["removal_rate"], b["addition_rate"]) == (0, 0)
    assert (c["removal_rate"], c["pixel_addition_rate"]) == (None, None)
    assert total["regions_before"] == 3
    assert total["removal_rate"] == total["addition_rate"] == 1 / 3  # not the mean 1/4
    assert total["pixel_removal_rate"] == 400 / 688
    assert total["pixel_addition_rate"] == 100 / 688
    assert (total["images"], total["images_with_mask_before"]) == (3, 2)
    assert total["share_with_mask_before"] == 2 / 3
    both = count_change(MASK_A, box(ONE, OTHER)) + count_change(MASK_B, MASK_B)
    assert total["removal_rate"] == both.removal_rate


def test_change_outside_the_mask_before(folders):
    scores = run(folders)
    a, b, c, total = *(scores["images"][s] for s in "abc"), scores["total"]
    # By the mask before: of the 2 levels inside it nothing may show.
    assert a["psnr_outside"] == pytest.approx(db(100))
    assert b["psnr_outside"] == pytest.approx(db(1))
    assert (c["psnr_outside"], c["mse_outside"]) == (None, 0)  # infinite
    out_a, out_b, out_c = ((~m).sum() for m in (MASK_A, MASK_B, EMPTY))
    pooled = (100 * out_a + out_b) / (out_a + out_b + out_c)
    assert total["mse_outside"] == pytest.approx(pooled)
    assert total["psnr_outside"] == pytest.approx(db(pooled))
    assert total["psnr_outside_mean"] == pytest.approx((db(100) + db(1)) / 2)
    assert c["ssim_outside"] == pytest.approx(1)
    assert a["ssim_outside"] < b["ssim_outside"] < 1
    parts = [
        detail(SR, after, ~mask)
        for after, mask in ((AFTER_A, MASK_A), (AFTER_B, MASK_B), (SR, EMPTY))
    ]
    assert a["detail_kept"] == pytest.approx(parts[0].after / parts[0].before)
    pooled_detail = sum(p.after for p in parts) / sum(p.before for p in parts)
    assert total["detail_kept"] == pytest.approx(pooled_detail)


def test_truth_inside_the_mask_before_and_in_the_whole(folders, tmp_path):
    scores = run(folders, gt=str(tmp_path / "gt"))
    a, b, c, total = *(scores["images"][s] for s in "abc"), scores["total"]
    # The truth is 4 levels above: 2 are left inside the mask of a, 4 inside that of b.
    assert a["psnr_gt_inside_before"] == pytest.approx(db(16))
    assert a["psnr_gt_inside_after"] == pytest.approx(db(4))
    assert c["psnr_gt_inside_after"] is None
    assert total["psnr_gt_inside_after"] == pytest.approx(db((4 * 544 + 16 * 144) / 688))
    whole = (4 * 544 + 36 * (SIDE**2 - 544)) / SIDE**2
    assert a["psnr_gt_after"] == pytest.approx(db(whole))
    mean = (a["psnr_gt_after"] + b["psnr_gt_after"] + c["psnr_gt_after"]) / 3
    assert total["psnr_gt_after"] == pytest.approx(mean)
    assert total["psnr_gt_before"] == pytest.approx(db(16))


def test_consistency_with_lq_where_it_is_there(folders, tmp_path, caplog):
    # Before, SR averages to LQ exactly; a PSNR without bound is no figure, so shift the LR images.
    for stem in "abc":
        write_image(tmp_path / "lq" / f"{stem}.png", LQ + np.uint8(2))
    (tmp_path / "lq" / "b.png").unlink()
    scores = run(folders)
    a, b, c = (scores["images"][s] for s in "abc")
    assert a["consistency_before"] == pytest.approx(db(4))
    assert db(64) <= a["consistency_after"] < db(32)  # 8 levels off outside, none inside
    assert b["consistency_before"] is None and b["consistency_after"] is None
    assert c["consistency_after"] == pytest.approx(db(4))
    assert scores["total"]["consistency_before"] == pytest.approx(db(4))
    assert "no longer there, left out: b" in caplog.text


def test_what_cannot_be_measured_is_null(folders):
    scores = run(folders)
    for entry in (*scores["images"].values(), scores["total"]):
        for key in ("niqe_mse", "niqe_before", "niqe_after", "psnr_gt_inside_after"):
            assert entry[key] is None
    assert scores["before"] == folders["before"] and scores["after"] == folders["after"]


def test_niqe_of_each_network(tmp_path):
    photo = data.astronaut()[:192, :192]
    noisy = np.clip(photo + RNG.normal(0, 30, photo.shape), 0, 255).astype(np.uint8)
    empty = np.zeros((192, 192), bool)
    options = {
        "before": str(results(tmp_path / "before", {"a": (noisy, empty)})),
        "after": str(results(tmp_path / "after", {"a": (photo, empty)}, "y")),
        "output": str(tmp_path / "out"),
    }
    total = run(options)["total"]
    assert total["niqe_after"] + 2 < total["niqe_before"] == total["niqe_mse"]


# ------------------------------------------------------------------------------------- intervals


@pytest.fixture
def many(tmp_path: Path) -> dict[str, str]:
    """Nine images, of which some lose regions and all change outside by different amounts."""
    rng = np.random.default_rng(8)
    corners = [(4 + 20 * i, 14 + 20 * i, 4 + 20 * j, 14 + 20 * j) for i in range(3) for j in (0, 2)]
    before, after = {}, {}
    for number in range(9):
        old = box(*(c for c in corners if rng.random() < 0.7), ONE)
        new = old & box(*(c for c in corners if rng.random() < 0.6))
        before[f"p{number}"] = (SR, old)
        after[f"p{number}"] = (brighter(SR, 1 + 3 * number, ~old), new)
        write_image(tmp_path / "gt" / f"p{number}.png", brighter(SR, 4 + number, ~box()))
    return {
        "before": str(results(tmp_path / "before", before, "x")),
        "after": str(results(tmp_path / "after", after, "y")),
        "output": str(tmp_path / "out"),
        "gt": str(tmp_path / "gt"),
    }


def test_intervals_equal_those_of_a_loop_over_images(many):
    scores = run(many)
    images, total = scores["images"], scores["total"]
    rng = np.random.default_rng(1)
    drawn: dict[str, list[float]] = {
        "removal_rate": [],
        "psnr_outside": [],
        "psnr_outside_mean": [],
        "psnr_gt_after": [],
    }
    outside = {s: (~read_mask(Path(many["before"]) / "mask" / f"{s}.png")).sum() for s in images}
    for _ in range(4000):
        chosen = rng.choice(list(images), len(images))
        each = [images[s] for s in chosen]
        gone = sum(i["regions_removed"] for i in each)
        drawn["removal_rate"].append(gone / sum(i["regions_before"] for i in each))
        weights = [outside[s] for s in chosen]
        mse = np.average([i["mse_outside"] for i in each], weights=weights)
        drawn["psnr_outside"].append(db(mse))
        drawn["psnr_outside_mean"].append(np.mean([i["psnr_outside"] for i in each]))
        drawn["psnr_gt_after"].append(np.mean([i["psnr_gt_after"] for i in each]))
    for key, values in drawn.items():
        expected = np.percentile(values, [2.5, 97.5])
        width = expected[1] - expected[0]
        assert scores["intervals"][key] == pytest.approx(expected.tolist(), abs=0.1 * width), key
        assert width > 0 and expected[0] < total[key] < expected[1]


def test_every_rate_and_mean_has_an_interval_and_no_count_has(many):
    scores = run(many)
    total, found = scores["total"], scores["intervals"]
    counts = {k for k in total if k.startswith(("regions_", "pixels_", "images"))}
    assert found.keys() == total.keys() - counts
    for key, ends in found.items():
        assert (ends is None) == (total[key] is None), key
        assert ends is None or ends[0] <= total[key] <= ends[1], key


def test_the_seed_decides(many):
    first = run(many)
    assert run(many) == first
    assert run(many, bootstrap={"seed": 2})["intervals"] != first["intervals"]


def test_one_image_has_no_intervals(tmp_path):
    options = {"output": str(tmp_path / "out")}
    for name, gan in (("before", SR), ("after", AFTER_A)):
        options[name] = str(results(tmp_path / name, {"a": (gan, MASK_A)}, name))
    assert set(run(options)["intervals"].values()) == {None}
    assert "removal rate: 0.00 (0 of 2 regions)" in words(options)


# ----------------------------------------------------------------------------- parts and protocol


def test_both_parts_at_once_are_what_they_are_alone(folders, tmp_path):
    masks = {"pred": folders["before"], "truth": str(tmp_path / "after" / "mask")}
    alone = run({"output": folders["output"]}, masks=masks)
    assert {alone[k] for k in ("before", "after", "gt", "total", "intervals", "images")} == {None}
    change = run(folders)
    assert "masks" not in change and change["protocol"] == "full"
    both = run(folders, masks=masks)
    assert both == {**change, "masks": alone["masks"]}
    assert alone["masks"]["images"]["b"]["iou"] == 1


def test_masks_without_their_border(folders, tmp_path):
    """What detect writes with protocol: released; nothing is marked in the border."""
    full = run(folders)
    for when in ("before", "after"):
        for stem in "abc":
            file = tmp_path / when / "mask" / f"{stem}.png"
            write_image(file, read_mask(file)[5:-5, 5:-5])
    with pytest.raises(InputError, match=r"a\.png is \(54, 54\), but \(64, 64\) .*ol: released$"):
        run(folders)
    cut = run(folders, protocol="released")
    assert cut["protocol"] == "released"
    # ONE and OTHER begin one pixel inside the border's 5.
    assert cut["images"]["a"]["pixels_before"] == 11 * 11 + 400
    assert cut["total"]["removal_rate"] == full["total"]["removal_rate"]
    write_image(tmp_path / "after" / "mask" / "b.png", MASK_B[3:])
    with pytest.raises(InputError, match=r"b\.png does not .*: a map of 61x64 .* does not fit"):
        run(folders, protocol="released")


def test_metrics_of_pyiqa(folders, tmp_path, monkeypatch):
    """By a stand-in for pyiqa, whose one metric is the mean of all channels."""

    class Brightness(torch.nn.Module):
        lower_better = False

        def forward(self, image):
            mean = image.mean()
            return mean if mean > (SR.mean() + 0.5) / 255 else torch.tensor(torch.inf)

    pyiqa: Any = ModuleType("pyiqa")
    pyiqa.list_models = lambda metric_mode=None: [] if metric_mode == "FR" else ["brightness"]
    pyiqa.create_metric = lambda name, device: Brightness()
    monkeypatch.setitem(sys.modules, "pyiqa", pyiqa)
    results(
        tmp_path / "before",
        {s: (SR + np.uint8(1), m) for s, m in zip("abc", (MASK_A, MASK_B, EMPTY), strict=True)},
    )
    scores = run(folders, metrics=["brightness"])
    a, b, c, total = *(scores["images"][s] for s in "abc"), scores["total"]
    assert a["brightness_before"] == pytest.approx((SR.mean() + 1) / 255)
    assert a["brightness_after"] == pytest.approx(AFTER_A.mean() / 255)
    assert c["brightness_before"] is c["brightness_after"] is None  # infinite after
    mean = (a["brightness_after"] + b["brightness_after"]) / 2
    assert total["brightness_after"] == pytest.approx(mean)
    low, high = scores["intervals"]["brightness_after"]
    assert low == b["brightness_after"] < high == a["brightness_after"]
    assert "(mean over 2 images)" in words(folders).split("brightness: ")[1]
    with pytest.raises(InputError, match="'brightnes' is no metric of pyiqa; did you mean 'bri"):
        run(folders, metrics=["brightnes"])


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "give masks (with pred and truth), before and after, or all of them"),
        ({"before": "a"}, "before needs after to be compared with"),
        ({"after": "a"}, "after needs before to be compared with"),
        ({"gt": "a", "masks": {"pred": "a", "truth": "b"}}, "gt: belongs to before and after"),
        ({"metrics": ["musiq"], "masks": {"pred": "a", "truth": "b"}}, "metrics: belongs to"),
        ({"sheet": "a.png", "masks": {"pred": "a", "truth": "b"}}, "sheet: belongs to"),
        ({"masks": {"pred": "a"}}, "masks.truth: this key is needed"),
        ({"before": "a", "after": "b", "bootstrap": {"resamples": 3}}, "bootstrap.resamples: "),
    ],
)
def test_parts_that_are_not_whole(given: dict[str, Any], sentence: str):
    with pytest.raises(InputError) as caught:
        parse(EvaluateOptions, {"output": "o", **given}, "file.yml")
    assert sentence in str(caught.value) and "\n" not in str(caught.value)


# --------------------------------------------------------------------------------------- outputs


def test_the_table_gives_counts_beside_rates(folders, tmp_path, capsys):
    run(folders, gt=str(tmp_path / "gt"))
    lines = words(folders).splitlines()
    assert capsys.readouterr().out == ""
    (row,) = (line for line in lines if line.endswith("  a"))
    assert "2 -> 2" in row and f"{db(100):.2f}" in row
    # Of three images each may be drawn alone: from that of b to that of a.
    assert "removal rate: 0.33 [0.00, 0.50] (1 of 3 regions)" in lines
    assert "addition rate: 0.33 [0.00, 0.50] (1 new, 3 before)" in lines
    assert "images with a mask: 0.67 [0.00, 1.00] (2 of 3) -> 2 of 3" in lines
    after, same = (4 * 544 + 16 * 144) / 688, f"{db(16):.2f}"
    ends = f"{same} [{same}, {same}] -> {db(after):.2f} [{same}, {db(4):.2f}]"
    assert f"PSNR to truth, inside: {ends} dB over all pixels" in lines
    assert lines[-1] == "[low, high]: 95 % bootstrap interval over images"
    run(folders)
    assert "truth" not in words(folders)


def test_the_sheet_shows_the_worst_first(folders, tmp_path):
    path = tmp_path / "sheet.png"
    run(folders, sheet=str(path), sheet_rows=3)
    three = read_image(path).rgb8
    run(folders, sheet=str(path), sheet_rows=1)
    one = read_image(path).rgb8
    assert one.shape[0] < three.shape[0] / 2
    np.testing.assert_array_equal(one, three[: one.shape[0]])
    red = (three[..., 0] > 250) & (three[..., 1] < 60) & (three[..., 2] < 60)
    height = three.shape[0] // 3
    outlined = [red[i * height : (i + 1) * height].sum() for i in range(3)]
    assert outlined[0] > outlined[1] > outlined[2] == 0  # a, b, c by masked pixels


def test_the_sheet_is_cut_to_the_largest_artifact(tmp_path):
    # A large image with an artifact in a corner, of a colour of its own, and a smaller one.
    gan = np.full((800, 1200, 3), 90, np.uint8)
    mask = np.zeros((800, 1200), bool)
    mask[700:760, 1100:1160] = True
    gan[mask] = (0, 0, 250)
    mask[20:60, 20:60] = True
    options = {"output": str(tmp_path / "out"), "sheet": str(tmp_path / "sheet.png")}
    for name, found in (("before", mask), ("after", np.zeros_like(mask))):
        results(tmp_path / name, {"a": (gan, found)}, name)
        write_image(tmp_path / name / "map" / "a.png", np.full((790, 1190), 255, np.uint8))
        options[name] = str(tmp_path / name)
    run(options)
    sheet = read_image(tmp_path / "sheet.png").rgb8.astype(int)
    blue = ((sheet[..., 2] > 200) & (sheet[..., :2].max(axis=2) < 30)).sum()
    # In sr_mse, sr_gan, after and mask after; of the whole image it would be 144 pixels a cell.
    assert blue > 4 * 2000


def test_the_same_twice_is_said(folders, caplog):
    run({**folders, "after": folders["before"]})
    assert "from the same inputs by the same networks" in caplog.text


# ---------------------------------------------------------------------------------------- errors


def test_folders_that_do_not_hold_the_same(folders, tmp_path):
    results(tmp_path / "after", {"a": (SR, MASK_A), "x": (SR, MASK_A)})
    with pytest.raises(InputError, match=r"2 only in before: b, c; 1 only in after: x"):
        run(folders)
    assert not (tmp_path / "out").exists()


def test_results_of_another_size(folders, tmp_path):
    small, mask = SR[:32], MASK_A[:32]
    results(tmp_path / "after", {"a": (SR, MASK_A), "b": (small, mask), "c": (small, mask)})
    with pytest.raises(InputError, match="differ in the size of b, c"):
        run(folders)


def test_a_file_that_is_not_what_the_manifest_says(folders, tmp_path):
    write_image(tmp_path / "after" / "sr_gan" / "b.png", SR[:32])
    with pytest.raises(InputError, match=r"b\.png is \(32, 64\), but \(64, 64\) is expected"):
        run(folders)
    (tmp_path / "after" / "sr_gan" / "b.png").unlink()
    with pytest.raises(InputError, match=r"b\.png does not exist"):
        run(folders)
    assert not (tmp_path / "out").exists()


def test_a_truth_that_lacks_images(folders, tmp_path):
    (tmp_path / "gt" / "b.png").unlink()
    with pytest.raises(InputError, match=r"gt: .* lacks 1 of 3 images: b"):
        run(folders, gt=str(tmp_path / "gt"))
    write_image(tmp_path / "gt" / "b.png", SR[:, :32])
    with pytest.raises(InputError, match=r"b\.png is \(64, 32\)"):
        run(folders, gt=str(tmp_path / "gt"))


def test_the_command_line(folders, tmp_path, capsys):
    options = tmp_path / "evaluate.yml"
    options.write_text("".join(f"{k}: {json.dumps(v)}\n" for k, v in folders.items()))
    assert main(["-opt", str(options)]) == 0
    assert (tmp_path / "out" / "scores.json").is_file()
    assert capsys.readouterr().out == words(folders)
    for wrong, message in (
        (f"before={tmp_path / 'nowhere'}", "before: "),
        ("sheet=sheet.jpg", "sheet: must be the path of a .png file"),
        ("shet=a.png", "shet: unknown key; did you mean 'sheet'?"),
    ):
        assert main(["-opt", str(options), "--force_yml", wrong]) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: ") and message in error and "Traceback" not in error


def test_the_options_that_ship_are_valid(capsys):
    assert main(["-opt", "options/evaluate.yml", "--check"]) == 0
    assert "gt: embedded:heldout" in capsys.readouterr().out
