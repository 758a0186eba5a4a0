"""Scores of whole images, the best checkpoint, the early stop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio

from desra import detect, train
from desra.artifacts import find_regions, full_size_mask
from desra.artifacts.mask import MaskRule
from desra.detectors import Images, find_detector
from desra.finder import ArtifactFinder, Artifacts
from desra.io import manifest
from desra.models import DeSRAModel
from desra.networks.sr_network import SRNetwork
from desra.options.detect import DetectOptions
from desra.options.loading import parse
from desra.options.sections import PAPERS_DETECTOR
from desra.options.train import TrainOptions, ValOptions
from desra.train.loop import Run
from desra.train.validation import Best, Validation
from desra.utils.errors import InputError
from helpers.small import photograph, save_compact, save_png, train_settings
from helpers.training import opt_of, read, same


@pytest.fixture
def pairs(tmp_path: Path) -> dict[str, str]:
    """Three pairs of different sizes at scale 2."""
    for i, (height, width) in enumerate([(20, 24), (33, 17), (40, 40)]):
        gt = photograph(10 + i, 2 * height, 2 * width)
        save_png(tmp_path / "val_gt" / f"v{i}.png", gt)
        save_png(tmp_path / "val_lq" / f"v{i}.png", gt[::2, ::2])
    return {"dataroot_lq": str(tmp_path / "val_lq"), "dataroot_gt": str(tmp_path / "val_gt")}


def settings_of(tmp_path: Path, val: dict[str, Any]) -> dict[str, Any]:
    """A run that starts from weights, keeps half of the change, and averages."""
    settings = train_settings(tmp_path / "runs", tmp_path / "photographs", gan=False)
    settings["path"]["pretrain_network_g"] = str(save_compact(tmp_path / "g.pth", seed=4))
    settings["train"]["strength"] = 0.5
    return settings | {"val": val}


def batch() -> dict[str, Any]:
    draw = torch.Generator().manual_seed(0)
    return {
        "lq": torch.rand((2, 3, 8, 8), generator=draw),
        "gt": torch.rand((2, 3, 16, 16), generator=draw),
        "mask": torch.zeros((2, 1, 16, 16)),
    }


def test_scores_are_of_what_is_saved(pairs: dict[str, str], tmp_path: Path):
    """In tiles smaller than the images, against the saved file, whole, by skimage."""
    opt = parse(
        TrainOptions,
        settings_of(tmp_path, {**pairs, "tile": {"size": 16, "overlap": 6}}),
        "test",
    )
    model = DeSRAModel(opt)
    for i in (1, 2, 3):
        model.optimize(batch(), i)
    state = torch.get_rng_state()
    scores = Validation(opt)(model)
    assert torch.equal(state, torch.get_rng_state())
    assert set(scores) == {"psnr", "ssim"}
    assert model.net_g.training

    torch.save(model.weights(), tmp_path / "now.pth")
    network_g = opt.network_g.spec()
    saved = SRNetwork.from_checkpoint(
        tmp_path / "now.pth", network_g, device="cpu", precision="fp32"
    )
    found = []
    for i in range(3):
        gt = photograph(10 + i, *[(40, 48), (66, 34), (80, 80)][i])
        sr = saved(np.ascontiguousarray(gt[::2, ::2]))
        found.append(peak_signal_noise_ratio(gt, sr, data_range=255))
    assert scores["psnr"] == pytest.approx(np.mean(found), abs=0.02)
    few = opt.model_copy(update={"val": opt.val and opt.val.model_copy(update={"max_images": 1})})
    assert Validation(few)(model)["psnr"] == pytest.approx(found[0], abs=0.02)


RULE = MaskRule(threshold=0.7, kernel=3, erode=1, dilate=2, min_area=30)


@pytest.mark.parametrize("detector", ["evidence", "relative_local_variance"])
def test_scores_of_detections(tmp_path: Path, detector: str):
    """What the network before made is given; by definition nothing has changed yet."""
    mask_options = {"threshold": 0.7, "kernel": 3, "erode": 1, "dilate": 2, "min_area": 30}
    found = str(tmp_path / "found")
    val = {"dataroot": found, "mask": mask_options, "detector": {"type": detector}}
    settings = settings_of(tmp_path, val)
    opt = parse(TrainOptions, settings, "test")
    model = DeSRAModel(opt)
    lq = photograph(3, 40, 48)
    save_png(tmp_path / "lq/a.png", lq)
    before = SRNetwork.from_checkpoint(tmp_path / "g.pth", device="cpu", precision="fp32")(lq)
    mse = before.copy()
    mse[20:60, 20:60] = 128  # the others' texture lies here
    mask = np.zeros(mse.shape[:2], bool)
    mask[20:60, 20:60] = True
    pseudo = np.where(mask[..., None], mse, before)
    kinds = {"sr_gan": before, "sr_mse": mse, "pseudo_gt": pseudo}
    for kind, image in kinds.items():
        save_png(manifest.result(tmp_path / "found", kind, "a"), image)
    white = np.uint8(255) * mask[..., None].repeat(3, 2)
    save_png(manifest.result(tmp_path / "found", "mask", "a"), white)
    row = manifest.Row(
        stem="a",
        lq=str(tmp_path / "lq/a.png"),
        lq_size=(40, 48),
        sr_size=(80, 96),
        scale=2,
        mask_pixels=1600,
        regions=1,
        mean_D=0.9,
        seconds={},
        settings="x",
        notes=(),
    )
    manifest.write(tmp_path / "found", [row])

    scores = Validation(opt)(model)
    assert "psnr_outside" not in scores  # equal images: infinite
    assert scores["detail_kept"] == 1.0
    assert scores["removal"] == scores["addition"] == 0.0
    assert scores["psnr"] == pytest.approx(peak_signal_noise_ratio(pseudo, before, data_range=255))

    model.opt = opt.model_copy(update={"train": opt.train.model_copy(update={"strength": 1.0})})
    for parameter in (model.ema or model.net_g).parameters():
        torch.nn.init.zeros_(parameter)  # the network is nearest-neighbour upsampling now
    now = lq.repeat(2, 0).repeat(2, 1)
    scores = Validation(opt)(model)
    clean = ~mask
    error = ((now.astype(float) - before) ** 2)[clean].mean()
    assert scores["psnr_outside"] == pytest.approx(10 * np.log10(255**2 / error))
    similarity = find_detector(detector, ["mse", "lq"])
    maps = (similarity(Images(gan, mse, lq)) for gan in (before, now))
    was, is_now = (full_size_mask(D, (80, 96), RULE) for D in maps)
    assert find_regions(was).count > 0
    labels = find_regions(was).labels
    gone = sum(is_now[labels == i].mean() < 0.5 for i in range(1, labels.max() + 1))
    assert scores["removal"] == gone / find_regions(was).count


@pytest.mark.parametrize(
    ("val", "words"),
    [
        ({}, "give either dataroot .* or dataroot_lq and dataroot_gt"),
        ({"dataroot_lq": "a"}, "dataroot_lq and dataroot_gt belong together"),
        ({"dataroot": "a", "dataroot_lq": "a", "dataroot_gt": "b"}, "give either dataroot"),
        *[
            ({"dataroot_lq": "a", "dataroot_gt": "b", key: section}, f"{key}: needs dataroot, the")
            for key, section in {
                "window": {"size": 9},
                "detector": {"type": "ldl"},
                "mask": {"threshold": 0.5},
            }.items()
        ],
        (
            {"dataroot_lq": "a", "dataroot_gt": "b", "score": "removal"},
            "score: removal needs dataroot, the output of detect",
        ),
    ],
)
def test_refusals(val: dict[str, Any], words: str):
    with pytest.raises(InputError, match=words):
        parse(ValOptions, val, "test")


def detections(tmp_path: Path) -> str:
    """What detect wrote of two LR images, at scale 2."""
    for i in range(2):
        lq = photograph(20 + i, 24, 30)
        large = np.repeat(np.repeat(lq, 2, 0), 2, 1)
        save_png(tmp_path / f"found_lq/{i}.png", lq)
        save_png(tmp_path / f"found_mse/{i}.png", cv2.GaussianBlur(large, (0, 0), 2))
        noise = 40 * np.random.default_rng(i).standard_normal(large.shape)
        save_png(tmp_path / f"found_gan/{i}.png", (large + noise).clip(0, 255).astype(np.uint8))
    folders = {"lq": "found_lq", "sr_gan": "found_gan", "sr_mse": "found_mse"}
    content = {
        "input": {kind: str(tmp_path / folder) for kind, folder in folders.items()},
        "output": str(tmp_path / "found"),
        "scale": 2,
        "detector": {"type": PAPERS_DETECTOR},
    }
    detect.detect(parse(DetectOptions, content, "test"))
    return str(tmp_path / "found")


def test_what_is_found_before_is_found_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    val = {
        "dataroot": detections(tmp_path),
        "mask": {"min_area": 20},
        "detector": {"type": PAPERS_DETECTOR},
    }
    opt = parse(TrainOptions, settings_of(tmp_path, val), "test")
    found: list[np.ndarray] = []
    look = ArtifactFinder.look

    def counted(self: ArtifactFinder, images: Images) -> Artifacts:
        artifacts = look(self, images)
        found.append(artifacts.mask)
        return artifacts

    monkeypatch.setattr(ArtifactFinder, "look", counted)
    validation, model = Validation(opt), DeSRAModel(opt)
    first = validation(model)
    assert len(found) == 4 and found[0].any()
    assert validation(model) == first and len(found) == 6
    assert "made with" not in caplog.text


def test_a_detector_that_is_not_detects_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    val = {"dataroot": detections(tmp_path), "detector": {"type": "local_ssim"}}
    Validation(parse(TrainOptions, settings_of(tmp_path, val), "test"))
    words = f"val.detector: is {{type: local_ssim}} here, but the masks in {val['dataroot']} were"
    assert f"{words} made with {{type: {PAPERS_DETECTOR}}}" in caplog.text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"detector": "evidense"}, r"val\.detector\.type: 'evidense' .*did you mean 'evidence'"),
        ({"detector": "ldl"}, r"val\.detector\.type: 'ldl' needs the true HR image"),
        ({"import": ["no_such_module"]}, "import: the module 'no_such_module' cannot be imported"),
    ],
)
def test_a_detector_that_is_not_there_is_said_before_anything_is_written(
    photographs: Path, tmp_path: Path, changes: dict[str, Any], words: str
):
    detector = {"type": changes.get("detector", "one_of_that_module")}
    val = {"dataroot": detections(tmp_path), "detector": detector}
    opt = opt_of(tmp_path / "runs", photographs, val=val)
    opt = opt.model_copy(update={"imports": changes.get("import", [])})
    with pytest.raises(InputError, match=words):
        train.train(opt)
    assert not (tmp_path / "runs").exists()


def test_bad_pairs_are_said_before_anything_is_written(
    pairs: dict[str, str], photographs: Path, tmp_path: Path
):
    save_png(Path(pairs["dataroot_gt"]) / "v1.png", photograph(0, 20, 20))
    words = r"val: these images cannot be scored:\n.*v1\.png is not 2"
    with pytest.raises(InputError, match=words):
        train.train(opt_of(tmp_path / "runs", photographs, val=pairs))
    assert not (tmp_path / "runs").exists()


# -------------------------------------------------------------------------- best and early stop


def with_scores(monkeypatch: pytest.MonkeyPatch, psnr: dict[int, float]) -> None:
    """Validation gives these scores, by the steps that the generator has made."""

    def score(_self: Validation, model: DeSRAModel) -> dict[str, float]:
        state = next(iter(model.optimizers["g"].state_dict()["state"].values()), {"step": 0})
        return {"psnr": psnr[int(state["step"])], "ssim": 0.5}

    monkeypatch.setattr(Validation, "__call__", score)


SCORES = {0: 25.0, 1: 20.0, 2: 22.0, 3: 23.0, 4: 21.0, 5: 23.0, 6: 30.0}


def test_the_best_is_kept_and_the_run_stops(
    pairs: dict[str, str],
    photographs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    with_scores(monkeypatch, SCORES)
    val = {**pairs, "val_freq": 1, "patience": 2}
    opt = opt_of(tmp_path, photographs, val=val, logger__save_checkpoint_freq=1)
    with caplog.at_level("INFO", "desra"):
        train.train(opt)
    words = "stopped at iteration 5: 2 validations without a better psnr than 23 at 3"
    assert f"finished ({words})" in caplog.text
    models = tmp_path / "tiny/models"
    assert same(read(models / "net_g_best.pth"), read(models / "net_g_3.pth"))
    assert read(tmp_path / "tiny/training_states/latest.state")["iteration"] == 5

    caplog.clear()
    train.train(opt)
    assert f"is finished ({words}); nothing to do" in caplog.text
    # With more patience it goes on, and finds a better one.
    train.train(
        opt_of(tmp_path, photographs, val={**val, "patience": 3}, logger__save_checkpoint_freq=1)
    )
    assert same(read(models / "net_g_best.pth"), read(models / "net_g_6.pth"))

    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "tiny/tb"))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("val/psnr")] == list(SCORES.items())


def test_the_best_is_resumed(
    pairs: dict[str, str], photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A run that was cut off does not take a worse network for the best."""
    with_scores(monkeypatch, SCORES | {6: 22.5})
    opt = opt_of(tmp_path, photographs, val={**pairs, "val_freq": 1})
    save = Run.save

    def dying(self: Run, number: int | None = None) -> None:
        save(self, number)
        if self.iteration == 3:
            raise RuntimeError("the power is gone")

    with monkeypatch.context() as patch:
        patch.setattr(Run, "save", dying)
        with pytest.raises(RuntimeError, match="power"):
            train.train(opt)
    best = tmp_path / "tiny/models/net_g_best.pth"
    before = best.read_bytes()
    train.train(opt)
    assert best.read_bytes() == before
    state = read(tmp_path / "tiny/training_states/latest.state")["best"]
    assert (state["value"], state["iteration"], state["since"]) == (23.0, 3, 3)


def test_other_images_start_anew():
    val = ValOptions(dataroot="found", score="removal")
    best = Best.resumed(val, None)
    assert [best.take(v, i) for i, v in enumerate([0.5, 0.4, 0.6, 0.6])] == [
        True,
        False,
        True,
        False,
    ]
    assert (best.value, best.iteration, best.since) == (0.6, 2, 1)
    patient = val.model_copy(update={"patience": 7, "val_freq": 3})
    assert Best.resumed(patient, best.state()) == best
    elsewhere = val.model_copy(update={"dataroot": "other"})
    assert Best.resumed(elsewhere, best.state()).value is None


def test_a_score_that_is_not_defined_is_said_before_training(
    pairs: dict[str, str], photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Validation, "__call__", lambda *_: {"ssim": 1.0})
    monkeypatch.setattr(DeSRAModel, "optimize", lambda *_: pytest.fail("a step was made"))
    with pytest.raises(InputError, match=r"val\.score: psnr is not defined .*choose other images"):
        train.train(opt_of(tmp_path, photographs, val=pairs))
