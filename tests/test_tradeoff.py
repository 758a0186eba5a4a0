"""The curve of a finetuning over its strength, against the blended network run by hand."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
from conftest import photograph, save_compact, save_png

from desra import weights
from desra.detect import detect
from desra.images import read_mask, read_rgb8
from desra.models import SRModel
from desra.options import DetectOptions

SCRIPT = Path(__file__).parent.parent / "scripts" / "tradeoff.py"


@pytest.fixture
def tradeoff() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tradeoff_script", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_point_of_the_curve(
    tradeoff: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):  # fmt: skip
    before, after = (save_compact(tmp_path / f"{i}.pth", seed=i) for i in (0, 1))
    save_png(tmp_path / "lq/a.png", lq := photograph(0, 40, 48))
    gan = SRModel.from_checkpoint(before, device="cpu")(lq)
    save_png(tmp_path / "gan/a.png", gan)
    save_png(tmp_path / "mse/a.png", cv2.GaussianBlur(gan, (0, 0), 3))  # no texture left
    folders = {"lq": "lq", "sr_gan": "gan", "sr_mse": "mse"}
    detect(DetectOptions.model_validate({
        "input": {k: str(tmp_path / v) for k, v in folders.items()}, "scale": 2,
        "output": str(tmp_path / "found"), "mask": {"min_area": 20},
        "detector": {"type": "relative_local_variance"},
    }))  # fmt: skip
    monkeypatch.setattr("sys.argv", [
        "tradeoff.py", "--detected", str(tmp_path / "found"), "--before", str(before),
        "--after", f"mine={after}", "--strengths", "0.25", "1", "--min-area", "20",
        "--detector", "relative_local_variance",
        "-o", str(tmp_path / "curve"),
    ])  # fmt: skip
    tradeoff.main()
    assert capsys.readouterr().out.count(" mine\n") == 2
    assert (tmp_path / "curve.png").stat().st_size > 5000
    points = json.loads((tmp_path / "curve.json").read_text())["mine"]

    blended = tmp_path / "blended.pth"
    weights.blend(str(before), str(after), 0.25, blended)
    now = SRModel.from_checkpoint(blended, device="cpu")(lq).astype(float)
    was = read_rgb8(tmp_path / "found/sr_gan/a.png")
    clean = ~read_mask(tmp_path / "found/mask/a.png")
    assert 0 < clean.mean() < 1
    error = np.square(now - was)[clean].mean()
    assert points["0.25"]["psnr_outside"] == pytest.approx(10 * np.log10(255**2 / error), abs=0.05)
    assert points["1"]["psnr_outside"] < points["0.25"]["psnr_outside"]
    assert points["1"]["components"] == points["0.25"]["components"] > 0

    monkeypatch.setattr(tradeoff, "measure", None)  # what is there is not measured again
    tradeoff.main()
