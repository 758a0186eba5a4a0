"""Option files of basicsr's kind: what each key becomes, and that they train."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import cv2
import pytest
import torch
import yaml

from desra.options import loading
from desra.options.degradation import Degradation
from desra.options.foreign import ARGUMENTS, DATASETS, MODELS, is_foreign, translate
from desra.options.loading import force, parse, read_yaml, resolved
from desra.options.train import TrainOptions
from desra.train import train
from desra.utils.errors import InputError
from helpers.paths import ROOT
from helpers.small import photograph, save_png, save_vgg

FOLDER = Path(__file__).parent / "foreign"
FILES = sorted(FOLDER.glob("*.yml"))
OWN = {"reduction", "type"}


def content(name: str) -> dict[str, Any]:
    return read_yaml(FOLDER / f"{name}.yml")


def load(name: str, *assignments: str) -> TrainOptions:
    return loading.load(TrainOptions, str(FOLDER / f"{name}.yml"), assignments)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with what the files name, and VGG weights in torch's cache."""
    for i in range(3):
        image = photograph(i, 144, 160)
        save_png(tmp_path / "photographs" / f"p{i}.png", image)
        save_png(tmp_path / "gt" / f"p{i}.png", image)
        small = cv2.resize(image, (40, 36), interpolation=cv2.INTER_AREA)
        save_png(tmp_path / "lq" / f"p{i}.png", small)
    (tmp_path / "photographs.txt").write_text("p0.png\np1.png\n")
    (tmp_path / "names.txt").write_text("p0.png (144,160,3)\np1.png (144,160,3)\n")
    (tmp_path / "pairs.txt").write_text("p1.png, p1.png\np2.png, p2.png\n")
    save_vgg(tmp_path / "hub/checkpoints/vgg11-8a719046.pth")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


# ------------------------------------------------------------------------------- as a whole


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_they_train(path: Path, data: Path):
    forced = ["device=cpu", "precision=fp32"]
    if path.stem in ("real_esrgan_pairs", "ldl"):
        forced.append("train:perceptual_opt=null")
    opt = loading.load(TrainOptions, str(path), forced)
    saved = torch.load(train(opt), weights_only=True)
    assert set(saved) == {"params", "params_ema"}
    log = (data / "experiments" / opt.name / "train.log").read_text()
    losses = {
        "real_esrgan": {"pix", "percep", "gan"},
        "real_esrgan_pairs": {"pix", "gan"},
        "real_esrnet": {"pix"},
        "ldl": {"pix", "ldl", "gan"},
        "msrresnet": {"pix"},
        "esrgan": {"pix", "percep", "gan"},
    }[path.stem]
    found = {word.removeprefix("l_g_") for word in log.split() if word.startswith("l_g_")}
    assert found == losses


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_one_warning_names_what_means_nothing(path: Path, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING, "desra"):
        loading.load(TrainOptions, str(path))
    (record,) = caplog.records
    message = record.getMessage()
    assert message.startswith(f"{path}: read as basicsr's; these keys mean nothing here: ")
    named = set(message.partition("nothing here: ")[2].partition(";")[0].split(", "))
    always = {
        "dist_params",
        "logger.wandb",
        "datasets.train.name",
        "datasets.train.dataset_enlarge_ratio",
        "datasets.train.prefetch_mode",
    }
    assert always <= named
    given = set(yaml.safe_load(path.read_text()))
    assert ("queue_size" in named) == ("queue_size" in given)
    for meaningful in ("path.strict_load_g", "datasets.train.io_backend", "gt_size", "l1_gt_usm"):
        assert meaningful not in named


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_nothing_gets_lost(path: Path):
    """With any one key of the file misspelt there is an error that names it."""
    whole = read_yaml(path)
    translate(whole)

    def places(section: dict[str, Any], at: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
        found = []
        for key, value in section.items():
            found.append((*at, key))
            if isinstance(value, dict) and key in ("datasets", "train", "path", "logger"):
                found += places(value, (*at, key))
        return found

    tested = 0
    for place in places(whole):
        if len(place) == 1 and place[0] in ("datasets", "train", "path", "logger", "model_type"):
            continue
        if place in (("datasets", "train"), ("datasets", "train", "type")):
            continue
        if place[0] == "datasets" and place[1].startswith("val"):
            continue
        changed = force(whole, [])
        section = changed
        for key in place[:-1]:
            section = section[key]
        section[place[-1] + "x"] = section.pop(place[-1])
        with pytest.raises(InputError) as caught:
            translate(changed)
        message = str(caught.value)
        assert f"{'.'.join(place)}x: unknown key; did you mean '{place[-1]}'?" in message
        tested += 1
    assert tested > 30


def test_all_unknown_keys_at_once_with_the_file(tmp_path: Path):
    with pytest.raises(InputError) as caught:
        load("real_esrgan", "queue_siz=3", "datasets:train:batch_size_per_gpus=2", "train:zzz=1")
    message = str(caught.value)
    assert message.startswith(f"{FOLDER / 'real_esrgan.yml'}: ")
    assert "queue_siz: unknown key; did you mean 'queue_size'?" in message
    assert "datasets.train.batch_size_per_gpus: unknown key; did you mean" in message
    assert "train.zzz: unknown key; neither basicsr nor desra has it" in message


# ------------------------------------------------------------------------------ key by key


def test_real_esrgan():
    opt = load("real_esrgan")
    assert opt.model_type == "DeSRAModel" and opt.device == "auto" and opt.manual_seed == 3
    spec = opt.datasets.train.spec()
    degradation = parse(Degradation, spec.pop("degradation"), "")
    assert spec == {
        "type": "DegradedDataset",
        "dataroot_gt": "photographs",
        "meta_info": "photographs.txt",
        "gt_size": 64,
        "crop_pad_size": 400,
        "gt_usm": True,
        "use_hflip": True,
        "use_rot": False,
    }
    given = content("real_esrgan")
    for name, value in degradation.model_dump().items():
        if name != "kernel_range":
            theirs = given.get(name, given["datasets"]["train"].get(name))
            assert theirs is not None, name
            assert value == (tuple(theirs) if isinstance(value, tuple) else theirs), name
    assert (opt.datasets.batch_size, opt.datasets.num_workers) == (2, 0)
    step = opt.train
    assert [section.towards for section in step.active.values()] == ["gt_usm", "gt_usm", "gt"]
    assert (step.warmup_iter, step.total_iter, step.ema_decay) == (0, 3, 0.99)
    assert "relativistic" not in step.active["gan"].spec() and opt.discriminator_first == 0
    assert step.optim_d and step.optim_d.spec()["lr"] == 3e-4
    assert step.scheduler and step.scheduler.spec() == {
        "type": "MultiStepLR",
        "milestones": [2],
        "gamma": 0.25,
    }
    assert step.active["gan"].weight == 0.2
    assert opt.logger.save_checkpoint_freq == 3


def test_real_esrgan_degrades_the_sharpened_photograph_always():
    """basicsr's model does, whichever targets are sharpened."""
    opt = load("real_esrgan", "l1_gt_usm=false", "percep_gt_usm=false")
    assert opt.datasets.train.spec()["gt_usm"] is True
    assert {section.towards for section in opt.train.active.values()} == {"gt"}


def test_pairs():
    opt = load("real_esrgan_pairs")
    assert opt.datasets.train.spec() == {
        "type": "PairedDataset",
        "dataroot_gt": "gt",
        "dataroot_lq": "lq",
        "meta_info": "pairs.txt",
        "gt_size": 64,
        "gt_usm": True,
        "use_hflip": True,
        "use_rot": False,
    }
    unsharp = load("real_esrgan_pairs", "l1_gt_usm=false", "percep_gt_usm=false")
    assert unsharp.datasets.train.spec()["gt_usm"] is False


def test_real_esrnet():
    opt = load("real_esrnet")
    assert (
        opt.train.active["pix"].towards == "gt_usm" and opt.datasets.train.spec()["gt_usm"] is True
    )
    plain = load("real_esrnet", "gt_usm=false")
    assert (
        plain.train.active["pix"].towards == "gt" and plain.datasets.train.spec()["gt_usm"] is False
    )
    assert opt.network_d is None and opt.train.adversarial is None
    # Its gt_usm is for all targets that there are.
    given = content("real_esrnet")
    assert list(opt.train.losses) == ["pix"] and opt.unused == []
    given["train"]["perceptual_opt"] = content("real_esrgan")["train"]["perceptual_opt"]
    step = parse(TrainOptions, translate(given)[0], "").train
    assert step.active["percep"].towards == "gt_usm"


def test_esrgan_without_its_gan():
    given = content("esrgan")
    for key in ("gan_opt", "optim_d"):
        del given["train"][key]
    del given["network_d"]
    opt = parse(TrainOptions, translate(given)[0], "")
    assert list(opt.train.losses) == ["pix", "percep"] and opt.unused == []


@pytest.mark.parametrize("name", ["ldl_opt", "artifacts_opt"])
def test_ldl_by_either_name(name: str):
    given = content("ldl")
    given["train"][name] = given["train"].pop("ldl_opt")
    ours, _ = translate(given)
    opt = parse(TrainOptions, ours, "")
    section = opt.train.active["ldl"]
    assert section.weight == 3.0
    assert section.spec() == {"type": "LDLLoss", "criterion": "L1Loss", "reduction": "mean"}


def test_esrgan_is_relativistic_and_msrresnet_restarts():
    assert load("esrgan").train.active["gan"].spec()["relativistic"] is True
    opt = load("msrresnet")
    assert opt.train.scheduler and opt.train.scheduler.type == "CosineAnnealingRestartLR"
    assert opt.datasets.train.spec()["meta_info"] == "names.txt"
    assert opt.train.active["pix"].type == "CharbonnierLoss"


def test_what_they_leave_out_is_what_it_is_there():
    given = content("real_esrgan")
    del given["train"]["ema_decay"], given["train"]["net_d_init_iters"]
    given["path"]["pretrain_network_g"] = "g.pth"
    opt = parse(TrainOptions, translate(given)[0], "")
    assert opt.train.ema_decay == 0 and opt.discriminator_first == 0


def test_sizes():
    """RealESRGANDataset crops by the size at the top; pairs by that of the dataset."""
    ours, ignored = translate(content("real_esrgan") | {"gt_size": 32})
    assert ours["datasets"]["train"]["gt_size"] == 32 and "datasets.train.gt_size" in ignored
    ours, ignored = translate(content("real_esrgan_pairs") | {"gt_size": 32})
    assert ours["datasets"]["train"]["gt_size"] == 64 and "gt_size" in ignored
    opt = load("real_esrgan", "gt_size=480", "datasets:train:gt_size=480")
    assert opt.datasets.train.spec()["crop_pad_size"] == 480
    own = load("real_esrgan", "datasets:train:crop_pad_size=96")
    assert own.datasets.train.spec()["crop_pad_size"] == 96


def test_validation_on_pairs(data: Path, caplog: pytest.LogCaptureFixture):
    opt = load("msrresnet")
    assert opt.val and (opt.val.dataroot_lq, opt.val.dataroot_gt) == ("lq", "gt")
    assert opt.val.val_freq == 2 and opt.val.score == "psnr"
    message = caplog.text
    for key in ("datasets.val_2", "val.save_img", "val.metrics"):
        assert key in message
    assert "datasets.val," not in message and "no validation" not in message

    caplog.clear()  # the authors' folders are not here: the training is, and it is said
    away = load("msrresnet", "datasets:val:dataroot_gt=none/HR", "datasets:val:dataroot_lq=none/LR")
    assert away.val is None
    assert "there will be no validation, for there is no folder none/LR, none/HR" in caplog.text

    assert load("esrgan", "val:score=ssim", "val:patience=3").val == opt.val.model_copy(
        update={"score": "ssim", "patience": 3}
    )


@pytest.mark.parametrize(
    ("name", "assignments", "noted"),
    [
        ("ldl", [], {"val", "datasets.val"}),  # LR images alone cannot be scored
        ("msrresnet", ["val=null"], {"datasets.val", "datasets.val_2"}),
        ("msrresnet", ["datasets:val:filename_tmpl='{}x4'"], {"val", "datasets.val"}),
        ("msrresnet", ["datasets:val=null"], {"val", "datasets.val_2"}),
    ],
)
def test_validation_that_cannot_be(name: str, assignments: list[str], noted: set[str]):
    ours, ignored = translate(force(content(name), assignments))
    assert ours.get("val") is None
    assert noted <= set(ignored)


def test_older_names_and_schedules():
    given = content("esrgan")
    given["datasets"]["train"]["use_flip"] = given["datasets"]["train"].pop("use_hflip")
    given["train"]["scheduler"] |= {
        "type": "MultiStepRestartLR",
        "restarts": [0, 1],
        "restart_weights": [1, 1],
    }
    ours, _ = translate(given)
    assert ours["datasets"]["train"]["use_hflip"] is False
    assert ours["train"]["scheduler"]["type"] == "MultiStepRestartLR"
    del given["train"]["scheduler"]["restarts"], given["train"]["scheduler"]["restart_weights"]
    assert translate(given)[0]["train"]["scheduler"]["type"] == "MultiStepLR"


def test_processors():
    assert load("real_esrgan", "num_gpu=0").device == "cpu"
    assert "num_gpu" in translate(content("ldl"))[1]
    assert "num_gpu" not in translate(content("real_esrgan"))[1]


def test_values_that_would_change_something_are_not_passed_over():
    for path, value in (("strict_load_g", False), ("param_key_g", "params"), ("resume_state", "x")):
        given = content("real_esrgan")
        given["path"][path] = value
        assert f"path.{path}" in translate(given)[1]


def test_our_own_keys_may_stand_in_them(tmp_path: Path):
    """Their file, on what detect found."""
    opt = load(
        "real_esrgan",
        "precision=fp32",
        "import=[json]",
        "train:strength=0.5",
        "path:pretrain_network_g=g.pth",
        "train:pixel_opt:outside=3",
        "datasets:train:type=ArtifactDataset",
        "datasets:train:dataroot=results",
        "datasets:train:dataroot_gt=null",
        "datasets:train:meta_info=null",
        "datasets:clean={type: DegradedDataset, dataroot_gt: photographs, gt_size: 64, share: 0.5}",
    )
    assert opt.datasets.train.spec() == {
        "type": "ArtifactDataset",
        "dataroot": "results",
        "gt_size": 64,
        "use_hflip": True,
        "use_rot": False,
    }
    assert opt.datasets.clean and opt.datasets.clean.share == 0.5
    assert opt.train.strength == 0.5 and opt.imports == ["json"] and opt.precision == "fp32"
    assert opt.train.active["pix"].outside == 3


# -------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("name", "assignment", "words"),
    [
        ("esrgan", "model_type=ESRGANModle", "'ESRGANModle' cannot .* did you mean 'ESRGANModel'"),
        ("esrgan", "model_type=EDVRModel", "model_type: 'EDVRModel' cannot be trained here"),
        ("esrgan", "datasets:train:io_backend:type=lmdb", "io_backend: 'lmdb' is not read here"),
        ("esrgan", "datasets:train:mean=[0.5]", "datasets.train.mean: images are not normalised"),
        ("esrgan", "datasets:train:color=y", "datasets.train.color: images are RGB here"),
        ("esrgan", "train=3", "train: must be a section of keys"),
        ("real_esrgan", "high_order_degradation=false", "needs pairs of images"),
        ("esrgan", "train:pixel_opt:reduction=sum", "reduction can only be mean"),
    ],
)
def test_refusals(name: str, assignment: str, words: str):
    with pytest.raises(InputError, match=words):
        load(name, assignment)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_is_written_down_is_ours(path: Path, data: Path):
    """`--check` prints, and a run's options.yml holds, the same options in our keys."""
    opt = loading.load(TrainOptions, str(path))
    text = yaml.safe_dump(resolved(opt), sort_keys=False)
    assert not is_foreign(yaml.safe_load(text))
    (data / "again.yml").write_text(text)
    assert loading.load(TrainOptions, str(data / "again.yml")) == opt


def test_our_own_files_are_not_taken_for_theirs():
    root = ROOT / "options"
    ours = [path for path in root.rglob("*.yml") if "train.json" in path.read_text("utf-8")[:99]]
    assert len(ours) > 2
    for path in ours:
        assert not is_foreign(read_yaml(path)), path
    for path in FILES:
        assert is_foreign(read_yaml(path))
    for one in (
        {"model_type": "SRModel"},
        {"num_gpu": 1},
        {"queue_size": 180},
        {"datasets": {"train": {"type": "RealESRGANDataset"}}},
        {"datasets": {"train": {"batch_size_per_gpu": 2}}},
    ):
        assert is_foreign(one), one
    for none in ({}, {"datasets": None}, {"datasets": {"train": 3}}, {"model_type": "DeSRAModel"}):
        assert not is_foreign(none), none
    # A misspelt key of ours stays an error of ours.
    with pytest.raises(InputError, match="did you mean 'total_iter'"):
        loading.load(TrainOptions, str(root / "finetune.yml"), ["train:total_itr=3"])


def test_the_names_are_those_of_the_classes():
    import inspect

    from desra.registry import DATASET_REGISTRY, MODEL_REGISTRY, find

    for theirs, ours in DATASETS.items():
        find(DATASET_REGISTRY, theirs, "")
        parameters = set(inspect.signature(find(DATASET_REGISTRY, ours, "")).parameters)
        assert ARGUMENTS[ours] == parameters - {"scale"}
    for name in MODELS - {"RealESRGANArtifactsDisModel", "ESRGANArtifactsDisModel"}:  # LDL's
        find(MODEL_REGISTRY, name, "")
