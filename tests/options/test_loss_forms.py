"""Losses in the forms of other files: each becomes the same sections of train.losses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from desra.options.loading import load, parse, resolved
from desra.options.run import RunOptions
from desra.options.train import TrainOptions
from desra.train import train
from desra.utils.errors import InputError
from helpers.small import save_compact, save_vgg, train_settings

PERCEPTUAL = {"vgg_type": "vgg11", "layer_weights": {"conv1_1": 0.1, "conv3_1": 1}}
#: A section `train` with all that basicsr's files and desra 0.1.0's have.
OLD: dict[str, Any] = {
    "gan_opt": {"type": "GANLoss", "gan_type": "lsgan", "loss_weight": 0.1, "outside": 0.4},
    "pixel_opt": {"type": "CharbonnierLoss", "loss_weight": 20.0, "reduction": "mean", "inside": 3},
    "texture_opt": {"type": "LocalStdLoss", "loss_weight": 1.7, "inside": 0},
    "artifact_opt": {"type": "ArtifactMapLoss", "target": 0.85, "outside": 0},
    "ldl_opt": {"type": "CharbonnierLoss", "loss_weight": 3.0, "eps": 1e-6, "outside": 0.7},
    "preserve_opt": {"type": "MSELoss", "loss_weight": 20.0},
    "preserve_texture_opt": {"loss_weight": 1.5},
    "perceptual_opt": {**PERCEPTUAL, "style_weight": 10.0, "inside": 0.3},
    "gan_mode": "relativistic",
    "l1_gt_usm": True,
    "percep_gt_usm": False,
    "gan_gt_usm": True,
}
NEW: dict[str, Any] = {
    "pix": {
        "type": "CharbonnierLoss",
        "weight": 20.0,
        "reduction": "mean",
        "towards": "gt_usm",
        "inside": 3,
    },
    "tex": {"type": "LocalStdLoss", "weight": 1.7, "towards": "gt_usm", "inside": 0},
    "art": {"type": "ArtifactMapLoss", "target": 0.85, "outside": 0},
    "ldl": {
        "type": "LDLLoss",
        "criterion": {"type": "CharbonnierLoss", "eps": 1e-6},
        "weight": 3.0,
        "outside": 0.7,
    },
    "keep": {"type": "MSELoss", "weight": 20.0, "towards": "before", "inside": 0},
    "keep_tex": {"type": "LocalStdLoss", "weight": 1.5, "towards": "before", "inside": 0},
    "percep": {"type": "PerceptualLoss", **PERCEPTUAL, "style_weight": 10.0, "inside": 0.3},
    "gan": {
        "type": "GANLoss",
        "gan_type": "lsgan",
        "weight": 0.1,
        "towards": "gt_usm",
        "relativistic": True,
        "outside": 0.4,
    },
}


def settings_of(root: Path, photographs: Path, step: dict[str, Any]) -> dict[str, Any]:
    settings = train_settings(root, photographs)
    settings["path"]["pretrain_network_g"] = str(save_compact(root / "g.pth"))
    settings["datasets"]["train"] |= {"gt_size": 32, "crop_pad_size": 40}
    del settings["train"]["losses"]
    settings["train"] |= {"total_iter": 3, "ema_decay": 0.9, "net_d_init_iters": 0, **step}
    return settings


def written(path: Path, settings: dict[str, Any]) -> str:
    path.write_text(yaml.safe_dump(settings, sort_keys=False))
    return str(path)


def test_every_old_key_and_the_new_form_are_the_same_options(tmp_path: Path):
    old = parse(TrainOptions, settings_of(tmp_path, tmp_path, OLD), "old")
    new = parse(TrainOptions, settings_of(tmp_path, tmp_path, {"losses": NEW}), "new")
    assert resolved(old) == resolved(new)
    order = ["pix", "tex", "art", "ldl", "keep", "keep_tex", "percep", "gan"]
    assert list(old.train.losses) == list(new.train.losses) == order
    assert old.unused == []


def test_both_train_to_the_same_weights(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    save_vgg(tmp_path / "hub/checkpoints/vgg11-8a719046.pth")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.chdir(tmp_path)
    weights, logged = [], []
    for form, step in (("old", OLD), ("new", {"losses": NEW})):
        settings = settings_of(tmp_path / form, photographs, step)
        latest = train(load(TrainOptions, written(tmp_path / f"{form}.yml", settings)))
        weights.append(torch.load(latest, weights_only=True))
        words = (latest.parents[1] / "train.log").read_text().split()
        logged.append([word for word in words if word.startswith("l_g_")])
    for key in ("params", "params_ema"):
        for name, value in weights[0][key].items():
            assert torch.equal(value, weights[1][key][name]), name
    assert logged[0] == logged[1]
    names = ["pix", "tex", "art", "ldl", "keep", "keep_tex", "percep", "style", "gan"]
    assert logged[0][: len(names)] == [f"l_g_{name}" for name in names]


def test_a_run_that_an_earlier_desra_began_goes_on(photographs: Path, tmp_path: Path):
    """Its options.yml and its state have the old keys."""
    keep = {"pixel_opt": {"type": "L1Loss", "loss_weight": 2.0}, "optim_d": None}
    settings = settings_of(tmp_path, photographs, keep)
    del settings["network_d"]
    opt = load(TrainOptions, written(tmp_path / "o.yml", settings))
    latest = train(opt)
    root = latest.parents[1]
    written(root / "options.yml", settings)
    state_file = root / "training_states/latest.state"
    state = torch.load(state_file, weights_only=True)
    identity = {k: v for k, v in state["identity"].items() if "losses" not in k}
    old = {"type": "L1Loss", "loss_weight": 2.0, "inside": 1.0, "outside": 1.0}
    identity |= {f"train.pixel_opt.{key}": value for key, value in old.items()}
    state["identity"] = identity | {"train.gan_mode": "standard"}
    torch.save(state, state_file)
    (root / ".desra_train.jsonl").unlink()  # which there was not yet
    assert train(opt) == latest
    longer = load(TrainOptions, str(tmp_path / "o.yml"), ["train:losses:pix:weight=3"])
    with pytest.raises(InputError, match=r"other options .*train\.losses\.pix\.weight: 2\.0 -> 3"):
        train(longer)


# --------------------------------------------------------------------------------- force_yml


def forced(tmp_path: Path, step: dict[str, Any], *assignments: str) -> dict[str, Any]:
    settings = settings_of(tmp_path, tmp_path, step)
    path = written(tmp_path / "o.yml", settings)
    return resolved(load(TrainOptions, path, assignments))["train"]["losses"]


@pytest.mark.parametrize("step", [OLD, {"losses": NEW}], ids=["old", "new"])
@pytest.mark.parametrize(
    ("assignment", "name", "key", "value"),
    [
        ("train:losses:pix:weight=2", "pix", "weight", 2.0),
        ("train:losses:pix:loss_weight=2", "pix", "weight", 2.0),
        ("train:pixel_opt:loss_weight=2", "pix", "weight", 2.0),
        ("train:pixel_opt:inside=7", "pix", "inside", 7.0),
        ("train:pixel_opt:type=L1Loss", "pix", "type", "L1Loss"),
        ("train:l1_gt_usm=false", "tex", "towards", "gt"),
        ("train:percep_gt_usm=true", "percep", "towards", "gt_usm"),
        ("train:gan_mode=standard", "gan", "relativistic", False),
        ("train:losses:gan:relativistic=false", "gan", "relativistic", False),
        ("train:artifact_opt:target=0.9", "art", "target", 0.9),
        ("train:ldl_opt:eps=0.1", "ldl", "criterion", {"type": "CharbonnierLoss", "eps": 0.1}),
        ("train:ldl_opt:type=L1Loss", "ldl", "criterion", {"type": "L1Loss", "eps": 1e-6}),
        ("train:preserve_texture_opt:outside=2", "keep_tex", "outside", 2.0),
    ],
)
def test_a_path_of_either_form_goes_over_a_file_of_either(
    step: dict[str, Any], assignment: str, name: str, key: str, value: Any, tmp_path: Path
):
    before, after = forced(tmp_path, step), forced(tmp_path, step, assignment)
    assert after[name][key] == value != before[name][key]
    both = assignment.startswith("train:l1_gt_usm")  # a flag of two losses
    assert (after["pix"] != before["pix"]) == (both or name == "pix")
    changed = {other for other in before if after[other] != before[other]}
    assert changed == ({"pix", "tex"} if both else {name})
    assert {k for k in after[name] if after[name][k] != before[name].get(k)} == {key}


@pytest.mark.parametrize("step", [OLD, {"losses": NEW}], ids=["old", "new"])
def test_turning_off_and_replacing(step: dict[str, Any], tmp_path: Path):
    for path in ("train:perceptual_opt", "train:losses:percep"):
        assert forced(tmp_path, step, f"{path}=null")["percep"] is None
    whole = forced(tmp_path, step, "train:pixel_opt={type: L1Loss, loss_weight: 4}")["pix"]
    plain = {"weight": 4.0, "towards": "gt", "inside": 1.0, "outside": 1.0}
    assert whole == {"type": "L1Loss", **plain}
    # Off and on again, by paths of both forms.
    again = forced(tmp_path, step, "train:preserve_opt=null", "train:preserve_opt:outside=2")
    keep = {"type": "L1Loss", "weight": 1.0, "towards": "before", "inside": 0.0, "outside": 2.0}
    assert again["keep"] == keep


def test_a_loss_that_only_the_command_line_names(tmp_path: Path):
    step = {"losses": {"pix": {"type": "L1Loss"}}, "optim_d": None}
    settings = settings_of(tmp_path, tmp_path, step)
    del settings["network_d"]
    path = written(tmp_path / "o.yml", settings)
    assignments = ["train:preserve_opt:loss_weight=3", "train:losses:keep:outside=2"]
    losses = load(TrainOptions, path, [*assignments, "train:losses:mine={type: MSELoss}"]).train
    assert list(losses.losses) == ["pix", "keep", "mine"]
    keep = losses.active["keep"]
    assert (keep.type, keep.towards, keep.weight) == ("L1Loss", "before", 3.0)
    assert (keep.inside, keep.outside) == (0, 2)


def test_basicsrs_files_take_new_paths():
    file = str(Path(__file__).parent / "foreign/real_esrgan.yml")
    assignments = ["train:losses:pix:towards=gt", "train:losses:gan:weight=0.3", "l1_gt_usm=true"]
    step = load(TrainOptions, file, assignments).train
    assert (step.active["pix"].towards, step.active["percep"].towards) == ("gt", "gt_usm")
    assert step.active["gan"].weight == 0.3
    ldls = str(Path(__file__).parent / "foreign/ldl.yml")
    step = load(TrainOptions, ldls, ["train:losses:ldl:weight=2", "train:ldl_opt:inside=3"]).train
    assert (step.active["ldl"].weight, step.active["ldl"].inside) == (2.0, 3.0)


# ----------------------------------------------------------------------------------- desra.run


@pytest.mark.parametrize("recipe", ["old", "new"])
def test_the_sections_of_a_run(recipe: str, tmp_path: Path):
    file = tmp_path / "recipe.yml"
    losses = {
        "old": {
            "pixel_opt": {"type": "L1Loss", "loss_weight": 20.0, "outside": 0.0},
            "preserve_opt": {"type": "MSELoss", "loss_weight": 20.0},
        },
        "new": {
            "losses": {
                "pix": {"type": "L1Loss", "weight": 20.0, "outside": 0.0},
                "keep": {"type": "MSELoss", "weight": 20.0, "towards": "before", "inside": 0.0},
            }
        },
    }[recipe]
    step = {"total_iter": 4, "optim_g": {"lr": 1e-3}, **losses}
    datasets = {"train": {"type": "ArtifactDataset", "gt_size": 64}}
    written(file, {"datasets": datasets, "train": step})

    def plan(*assignments: str, **over: Any) -> dict[str, Any]:
        given = {"options": str(file), **({"train": over} if over else {})}
        content = {"input": {"lq": "lq"}, "output": "out", "train": given}
        opt = load(RunOptions, written(tmp_path / "run.yml", content), assignments)
        spec = {"type": "SRVGGNetCompact"}
        options = opt.train_options(tmp_path, [], spec, 4, "w.pth", "embedded:gan")
        assert options.path.preserve_network_g == "embedded:gan"
        return resolved(options)["train"]["losses"]

    base = plan()
    for changed in (
        plan(pixel_opt={"inside": 2.0}),
        plan(losses={"pix": {"inside": 2.0}}),
        plan("train:train:pixel_opt:inside=2"),
        plan("train:train:losses:pix:inside=2"),
        plan("train:train:pixel_opt:inside=2", losses={"pix": {"inside": 5.0}}),
    ):
        assert changed == {**base, "pix": {**base["pix"], "inside": 2.0}}
    for changed in (plan(preserve_opt={"loss_weight": 5}), plan(losses={"keep": {"weight": 5}})):
        assert changed == {**base, "keep": {**base["keep"], "weight": 5.0}}
    for more in (
        plan(preserve_texture_opt={"loss_weight": 1.5}),
        plan("train:train:preserve_texture_opt:loss_weight=1.5"),
    ):
        assert more == {**base, "keep_tex": more["keep_tex"]}
        section = more["keep_tex"]
        assert (section["type"], section["towards"], section["inside"]) == (
            "LocalStdLoss",
            "before",
            0.0,
        )
    assert plan(l1_gt_usm=True)["pix"]["towards"] == "gt_usm"
    assert plan(pixel_opt=None, texture_opt={"type": "LocalStdLoss"})["pix"] is None
    with pytest.raises(InputError, match=r"train: train: pixel_opt and losses\.pix are the same"):
        plan(pixel_opt={"inside": 2.0}, losses={"pix": {"inside": 2.0}})


# --------------------------------------------------------------------------- traiNNer-redux's list

LIST = [
    {"type": "l1loss", "loss_weight": 1.0},
    {"type": "charbonnierloss", "loss_weight": 0.5, "eps": 1e-6},
    {"type": "mseloss", "loss_weight": 0},
    {"type": "perceptualloss", "criterion": "l1", "loss_weight": 0.02},
    {"type": "ldlloss", "criterion": "l2", "loss_weight": 2.0},
    {"type": "ganloss", "loss_weight": 0.1, "real_label_val": 0.9},
]


def test_a_list_of_trainners(tmp_path: Path):
    step = parse(TrainOptions, settings_of(tmp_path, tmp_path, {"losses": LIST}), "").train
    assert list(step.losses) == ["pix", "ldl", "percep", "gan", "pix_2", "pix_3"]
    assert step.losses["pix_3"] is None  # a weight of 0 turns it off
    weights = {name: section.weight for name, section in step.active.items()}
    assert weights == {"pix": 1.0, "pix_2": 0.5, "percep": 0.02, "ldl": 2.0, "gan": 0.1}
    assert step.active["pix_2"].spec() == {"type": "CharbonnierLoss", "eps": 1e-6}
    assert step.active["ldl"].spec() == {"type": "LDLLoss", "criterion": "MSELoss"}
    layers = {"conv1_2": 0.1, "conv2_2": 0.1, "conv3_4": 1, "conv4_4": 1, "conv5_4": 1}
    spec = {"type": "PerceptualLoss", "criterion": "l1", "layer_weights": layers}
    assert step.active["percep"].spec() == spec
    spec = {"type": "GANLoss", "gan_type": "vanilla", "real_label_val": 0.9}
    assert step.active["gan"].spec() == spec
    losses = forced(tmp_path, {"losses": LIST}, "train:losses:pix_2:inside=3")
    assert losses["pix_2"]["inside"] == 3


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ({"type": "mssimloss"}, r"losses\[0\]: mssimloss of traiNNer-redux has no counterpart"),
        ({"type": "perceptualloss"}, r"losses\[0\]: .*perceptualloss only criterion: l1"),
        ({"type": "ldlloss", "criterion": "x"}, r"losses\[0\]: criterion must be one of l1, l2"),
        ({"loss_weight": 1.0}, r"losses\[0\]: must be a section with a type"),
        ("l1loss", r"losses\[0\]: must be a section with a type"),
    ],
)
def test_what_has_no_counterpart_is_said(item: Any, words: str, tmp_path: Path):
    settings = settings_of(tmp_path, tmp_path, {"losses": [item]})
    with pytest.raises(InputError, match=words):
        parse(TrainOptions, settings, "")
    with pytest.raises(InputError, match=rf"o\.yml: train: {words}"):
        load(TrainOptions, written(tmp_path / "o.yml", settings))


# ------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (
            {"pixel_opt": {"type": "L1Loss"}, "losses": {"pix": {"type": "L1Loss"}}},
            "train: pixel_opt and losses.pix are the same loss; give only one of them",
        ),
        (
            {"losses": {"pix": {"type": "L1Loss", "weight": 1, "loss_weight": 1}}},
            "train: losses.pix: weight and loss_weight are the same; give only one of them",
        ),
        ({"losses": {"pix": {"type": "L1Loss"}}, "l1_gt_usm": 3}, "l1_gt_usm: must be true or fal"),
        ({"losses": {"gan": {"type": "GANLoss"}}, "gan_mode": "x"}, "gan_mode: must be standard"),
    ],
)
def test_refusals_with_the_file(step: dict[str, Any], words: str, tmp_path: Path):
    settings = settings_of(tmp_path, tmp_path, step)
    for read in (
        lambda: parse(TrainOptions, settings, "o.yml"),
        lambda: load(TrainOptions, written(tmp_path / "o.yml", settings)),
    ):
        with pytest.raises(InputError) as caught:
            read()
        assert "o.yml: " in str(caught.value) and words in str(caught.value)


@pytest.mark.parametrize(
    ("losses", "words"),
    [
        ({"pix": {"weight": 1}}, "train.losses.pix.type: this key is needed"),
        ({"pix": 3}, "train.losses.pix: "),
        (3, "train.losses: "),
        ({"pix": {"type": "L1Loss", "towards": "x"}}, "train.losses.pix.towards: "),
        ({"pix": {"type": "L1Loss", "inside": -1}}, "train.losses.pix.inside: "),
        ({"pix": {"type": "L1Loss", "weight": -1}}, "train.losses.pix.weight: "),
        ({"a b": {"type": "L1Loss"}}, "train.losses.a b"),
        (
            {"gan": {"type": "GANLoss"}, "adv": {"type": "MyGANLoss"}},
            "train: losses: there can be one adversarial loss, and gan and adv are",
        ),
        (
            {"pix": {"type": "L1Loss"}, "gan": {"type": "GANLoss", "towards": "before"}},
            "losses.gan.towards: an adversarial loss takes gt or gt_usm",
        ),
    ],
)
def test_sections_are_validated(losses: Any, words: str, tmp_path: Path):
    settings = settings_of(tmp_path, tmp_path, {"losses": losses})
    with pytest.raises(InputError) as caught:
        parse(TrainOptions, settings, "o.yml")
    assert words in str(caught.value)
