"""To the letter what the paper's released code gives, on cases that it was run on.

    DESRA_GOLDEN=folder pytest tests/detect/test_golden.py

A case is a sub-folder with ``sr_mse.png``, ``sr_gan.png``, ``labels.png`` (ids of ADE20K's classes
in alphabetical order), ``golden.json`` (D at some pixels, the settings of the masks) and the masks
as the released code leaves them. ``scores.json`` beside the cases holds what the released metric
scripts say of the masks against each case's ``truth.png``.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from desra.artifacts import (
    ADE20K_INTERVALS,
    MaskRule,
    apply_class_weights,
    artifact_map,
    artifact_mask,
    class_weights,
)
from desra.artifacts.local_variance_torch import artifact_map_batch
from desra.detect import detect
from desra.evaluate import main
from desra.io.images import read_image, read_labels, write_image
from desra.metrics.mask_scores import MaskCounts, count_mask, mean_iou
from desra.options.detect import DetectOptions
from desra.options.loading import parse

if "DESRA_GOLDEN" not in os.environ:
    pytest.skip("DESRA_GOLDEN names no folder of golden cases", allow_module_level=True)

FOLDER = Path(os.environ["DESRA_GOLDEN"])
CASES = sorted(file.parent for file in FOLDER.glob("*/golden.json"))
# Which of "screen" and "screen door" comes first does not matter: they weigh the same.
NAMES = sorted(ADE20K_INTERVALS)
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def golden(case: Path) -> dict[str, Any]:
    return json.loads((case / "golden.json").read_text())


def image(case: Path, name: str) -> np.ndarray:
    return read_image(case / f"{name}.png").rgb8


def mask(file: Path) -> np.ndarray:
    return read_image(file).rgb8[..., 0] > 127


def map_on_cpu(case: Path) -> np.ndarray:
    return artifact_map(image(case, "sr_mse"), image(case, "sr_gan"))


def map_by_torch(case: Path) -> np.ndarray:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    batches = (
        torch.tensor(image(case, name)).permute(2, 0, 1)[None].to(device)
        for name in ("sr_mse", "sr_gan")
    )
    return artifact_map_batch(*batches)[0].cpu().numpy()


def test_there_are_cases():
    assert CASES, f"DESRA_GOLDEN: {FOLDER} holds no <name>/golden.json"


@each_case
@pytest.mark.parametrize("how", [map_on_cpu, map_by_torch])
def test_map_and_masks(case: Path, how: Any):
    expected = golden(case)
    D = how(case)
    assert list(D.shape) == expected["map_shape"]
    rows, columns, values = zip(*expected["samples"], strict=True)
    np.testing.assert_allclose(D[rows, columns], values, rtol=0, atol=1e-7)
    assert D.mean() == pytest.approx(expected["map_mean"], abs=1e-7)
    assert D.min() == pytest.approx(expected["map_min"], abs=1e-7)

    weighted = apply_class_weights(D, read_labels(case / "labels.png"), class_weights(NAMES))
    assert expected["masks"]
    for name, setting in expected["masks"].items():
        rule = MaskRule(setting["threshold"], min_area=setting["min_area"])
        found = artifact_mask(weighted if setting["semantic"] else D, rule)
        np.testing.assert_array_equal(found, mask(case / name), err_msg=name)
        assert found.sum() == setting["pixels"], name


def test_scores():
    for name, expected in json.loads((FOLDER / "scores.json").read_text()).items():
        counts = [
            count_mask(mask(FOLDER / case / name), mask(FOLDER / case / "truth.png"), "released")
            for case in expected["images"]
        ]
        total = sum(counts, start=MaskCounts())
        assert mean_iou(counts, "released") == pytest.approx(expected["iou"], abs=1e-12)
        assert total.region_precision == pytest.approx(expected["precision"], abs=1e-12)
        assert total.region_recall == pytest.approx(expected["recall"], abs=1e-12)


def test_evaluate_gives_the_same_scores(tmp_path: Path):
    """Exactly: from a folder of masks for each setting, and all true masks in one folder.

    True masks of images that are not among the predictions must vanish.
    """
    for case in CASES:
        write_image(tmp_path / "truth" / f"{case.name}.png", mask(case / "truth.png"))
    for number, (name, expected) in enumerate(
        json.loads((FOLDER / "scores.json").read_text()).items()
    ):
        pred, out = tmp_path / f"pred{number}", tmp_path / f"out{number}"
        for case in expected["images"]:
            write_image(pred / f"{case}.png", mask(FOLDER / case / name))
        options = tmp_path / "evaluate.yml"
        options.write_text(
            json.dumps(
                {
                    "masks": {"pred": str(pred), "truth": str(tmp_path / "truth")},
                    "protocol": "released",
                    "output": str(out),
                }
            )
        )
        assert main(["-opt", str(options)]) == 0
        masks = json.loads((out / "scores.json").read_text())["masks"]
        total = masks["total"]
        assert sorted(masks["images"]) == sorted(expected["images"])
        assert total["iou"] == expected["iou"], name
        assert total["region_precision"] == expected["precision"], name
        assert total["region_recall"] == expected["recall"], name


@pytest.mark.parametrize("semantic", [False, True])
def test_detect_writes_the_same_masks(tmp_path: Path, semantic: bool):
    for case in CASES:
        for kind in ("sr_mse", "sr_gan", "labels"):
            (tmp_path / kind).mkdir(exist_ok=True)
            os.symlink((case / f"{kind}.png").resolve(), tmp_path / kind / f"{case.name}.png")
    settings = {
        json.dumps({"threshold": s["threshold"], "min_area": s["min_area"]})
        for case in CASES
        for s in golden(case)["masks"].values()
    }
    segment = {"type": "labels", "labels": str(tmp_path / "labels"), "names": NAMES}
    compared = 0
    for number, setting in enumerate(sorted(settings)):
        out = tmp_path / f"out{number}"
        options = {
            "input": {kind: str(tmp_path / kind) for kind in ("sr_mse", "sr_gan")},
            "output": str(out),
            "protocol": "released",
            "mask": json.loads(setting),
            "segment": segment if semantic else {"type": "none"},
        }
        detect(parse(DetectOptions, options, "test"))
        for case in CASES:
            for name, given in golden(case)["masks"].items():
                if given["semantic"] == semantic and given.items() >= json.loads(setting).items():
                    found = mask(out / "mask" / f"{case.name}.png")
                    np.testing.assert_array_equal(found, mask(case / name), err_msg=str(case))
                    compared += 1
    assert compared == sum(
        s["semantic"] == semantic for case in CASES for s in golden(case)["masks"].values()
    )
