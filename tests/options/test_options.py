"""Options: every error at once, with its path and the neighbour; nothing is evaluated."""

from __future__ import annotations

import json
import re
import typing
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from desra.options.base import Strict
from desra.options.degradation import Degradation
from desra.options.detect import DetectOptions
from desra.options.loading import (
    find_options_file,
    fingerprint,
    force,
    load,
    parse,
    read_yaml,
    resolved,
)
from desra.options.train import DatasetOptions, TrainOptions
from desra.utils.errors import InputError
from helpers.paths import ROOT
from helpers.scripts import load_script


def write_schema() -> ModuleType:
    """The script, which knows the model of each stage."""
    return load_script("write_schema.py")


STAGES: dict[str, type[Strict]] = write_schema().MODELS
SHIPPED = sorted(ROOT.glob("options/**/*.yml"))
DETECT: dict[str, Any] = {"input": {"lq": "a"}, "output": "b"}


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def refusal(content: dict[str, Any], model: Any = DetectOptions) -> str:
    with pytest.raises(InputError) as caught:
        parse(model, content, "file.yml")
    return str(caught.value)


def test_all_errors_at_once_with_their_paths():
    message = refusal(
        {
            "input": {"lq": "a"},
            "scale": 0,
            "mask": {"treshold": 0.6, "kernel": "five"},
            "tile": {"size": 32, "overlap": 16},
        }
    )
    assert message.startswith("file.yml: ")
    assert "output: this key is needed" in message
    assert "scale: " in message and "(given: 0)" in message
    assert "mask.treshold: unknown key; did you mean 'threshold'?" in message
    assert "mask.kernel: " in message and "'five'" in message
    assert "tile: overlap 16 must be less than half of size 32" in message


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({**DETECT, "ouput": "c"}, "ouput: unknown key; did you mean 'output'?"),
        ({**DETECT, "input": {"zz": "a", "lq": "b"}}, "known: lq, sr_gan, sr_mse"),
        ({**DETECT, "imports": 3}, "import"),
        ({**DETECT, "window": {"size": 10}}, "window: "),
        ({**DETECT, "input": {}}, "input: give lq"),
        ({**DETECT, "input": {"sr_gan": "a"}}, "input: sr_gan and sr_mse belong together"),
        ({**DETECT, "mask": {"threshold": ".nan?"}}, "mask.threshold: "),
    ],
)
def test_sentences(content: dict[str, Any], sentence: str):
    assert sentence in refusal(content)


def test_training_without_a_loss_or_with_half_a_gan():
    content: dict[str, Any] = {
        "name": "n",
        "network_g": {"type": "X"},
        "datasets": {"train": {"type": "Y"}},
        "train": {"total_iter": 1, "optim_g": {"lr": 1}},
    }
    assert "no loss is given" in refusal(content, TrainOptions)
    with_texture = {
        **content,
        "train": {**content["train"], "losses": {"tex": {"type": "LocalStdLoss"}}},
    }
    assert parse(TrainOptions, with_texture, "file.yml").train.losses["tex"]
    content["train"]["losses"] = {"gan": {"type": "GANLoss"}}
    words = "train.losses.gan needs network_d and train.optim_d"
    assert words in refusal(content, TrainOptions)


@pytest.mark.parametrize("name", ["../elsewhere", ".", "..", "", "-x", ".hidden", "a b", "a\n"])
def test_a_run_has_a_folder_of_its_own(name: str):
    content: dict[str, Any] = {
        "name": name,
        "network_g": {"type": "X"},
        "datasets": {"train": {"type": "Y"}},
        "train": {"total_iter": 1, "optim_g": {"lr": 1}, "losses": {"pix": {"type": "L1Loss"}}},
    }
    assert "name: must begin with a letter, digit or underscore" in refusal(content, TrainOptions)
    for good in ("a", "0", "_a", "a..b", "größe-2.1"):
        parse(TrainOptions, {**content, "name": good}, "file.yml")


def gan_free(**step: Any) -> dict[str, Any]:
    """Options of a training by a pixel loss alone."""
    return {
        "name": "n",
        "network_g": {"type": "X"},
        "datasets": {"train": {"type": "Y"}},
        "train": {
            "total_iter": 100,
            "optim_g": {"lr": 1},
            **step,
            "losses": {"pix": {"type": "L1Loss"}, **step.get("losses", {})},
        },
    }


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("network_d", {"type": "Z"}),
        ("path:pretrain_network_d", "d.pth"),
        ("train:optim_d", {"lr": 1}),
        ("train:net_d_iters", 5),
        ("train:net_d_init_iters", 50),
    ],
)
@pytest.mark.parametrize("off_by", ["train:losses:gan=null", "train:gan_opt=null"])
def test_keys_that_do_nothing(path: str, value: Any, off_by: str):
    content = force(gan_free(), [f"{path}={json.dumps(value)}"])
    key = path.replace(":", ".")
    words = f"{key}: not used without a GANLoss in train.losses; add it, or leave these out"
    assert words in refusal(content, TrainOptions)
    # Who turns the loss off by null knows; then they really do nothing.
    off = parse(TrainOptions, force(content, [off_by]), "file.yml")
    assert off.unused == [f"{key}: not used without a GANLoss in train.losses"]
    assert all(off.updates_generator(iteration) for iteration in range(1, 101))
    dumped = resolved(off)
    assert parse(TrainOptions, dumped, "resolved") == off


@pytest.mark.parametrize(
    ("flag", "value", "wanted"),
    [
        ("l1_gt_usm", True, "losses.pix or losses.tex"),
        ("percep_gt_usm", True, "losses.percep"),
        ("gan_gt_usm", True, "losses.gan"),
        ("gan_mode", "relativistic", "losses.gan"),
    ],
)
def test_old_flags_of_losses_that_are_not_there(flag: str, value: Any, wanted: str):
    """A flag belongs to its loss: it goes with one that is turned off, and is refused without."""
    art = {"art": {"type": "ArtifactMapLoss"}}
    content = gan_free(**{flag: value})
    content["train"]["losses"] = art
    words = f"train: {flag}: not used without {wanted}; add it, or leave this out"
    assert words in refusal(content, TrainOptions)
    name = wanted.split(" or ")[0].removeprefix("losses.")
    content["train"]["losses"] = {**art, name: None}
    opt = parse(TrainOptions, content, "")
    assert opt.train.losses == {"art": opt.train.active["art"], name: None} and opt.unused == []


@pytest.mark.parametrize(
    ("initial", "every", "good"),
    [
        (99, 1, True),
        (100, 1, False),
        (500, 1, False),
        (0, 100, True),
        (0, 101, False),
        (66, 33, True),
        (99, 33, False),
        (80, 60, False),
        (None, 1, True),
    ],
)
def test_a_generator_that_would_never_learn(initial: int | None, every: int, good: bool):
    gan = {
        "losses": {"gan": {"type": "GANLoss"}},
        "optim_d": {"lr": 1},
        "net_d_init_iters": initial,
        "net_d_iters": every,
    }
    content = gan_free(**gan) | {"network_d": {"type": "Z"}}
    if good:
        opt = parse(TrainOptions, content, "file.yml")
        assert any(opt.updates_generator(iteration) for iteration in range(1, 101))
    else:
        message = refusal(content, TrainOptions)
        assert "the generator would never learn in the 100 iterations" in message
        assert f"train.net_d_init_iters is {initial} and train.net_d_iters is {every}" in message


def test_a_region_keeps_the_arguments_of_its_class():
    section = DatasetOptions.model_validate({"type": "D", "share": 2, "gt_size": 16})
    assert section.share == 2
    assert section.spec() == {"type": "D", "gt_size": 16}


# ------------------------------------------------------------------------------------- files


def test_missing_file(tmp_path: Path):
    with pytest.raises(InputError, match=r"-opt: the options file .*none\.yml does not exist"):
        load(DetectOptions, str(tmp_path / "none.yml"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("output: a\noutput: b\n", "the key 'output' is given twice"),
        ("input: {lq: a, lq: b}\noutput: c\n", "the key 'lq' is given twice"),
        ("input: [\n", "is not valid YAML"),
        ("? [a, b]\n: 1\n", "is not valid YAML"),
        ("- a\n- b\n", "must hold `key: value` lines"),
        ("", "must hold `key: value` lines"),
        ("output: !!python/object/apply:os.system ['true']\n", "is not valid YAML"),
    ],
)
def test_faulty_files(tmp_path: Path, text: str, reason: str):
    with pytest.raises(InputError, match=re.escape(reason)):
        load(DetectOptions, write(tmp_path / "o.yml", text))


def test_not_text(tmp_path: Path):
    (tmp_path / "o.yml").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(InputError, match=r"o\.yml: cannot be read as text"):
        load(DetectOptions, str(tmp_path / "o.yml"))


def test_shipped_files_are_found_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.chdir(tmp_path)
    found = find_options_file("options/detect.yml")
    assert found.read_bytes() == (ROOT / "options/detect.yml").read_bytes()
    assert find_options_file("options/ldl/detect.yml").read_text()
    with caplog.at_level("INFO", "desra"):
        load(DetectOptions, "options/detect.yml")
    assert caplog.messages == [f"options: {found}, which ships with desra"]
    # Else a misspelt folder would run the shipped recipe instead of one's own.
    with pytest.raises(InputError, match=r"detect\.yml does not exist; options/detect\.yml ships"):
        find_options_file("detect.yml")
    for other in ("mine/detect.yml", "options", "options/none.yml", "", "options/../LICENSE"):
        with pytest.raises(InputError, match="the options file .* does not exist$"):
            find_options_file(other)
    (tmp_path / "options").mkdir()
    mine = tmp_path / "options/detect.yml"
    mine.write_text("output: x\n")
    assert find_options_file("options/detect.yml").resolve() == mine  # one's own is first


def test_a_flag_into_a_section_that_is_a_value(tmp_path: Path):
    path = write(tmp_path / "o.yml", "input: folder\noutput: b\n")
    words = r"^.*o\.yml: 'input' in 'input:lq' must be a section .*, and is a value \(folder\)$"
    with pytest.raises(InputError, match=words):
        load(DetectOptions, path, (), {"input:lq": "photos"})


# --------------------------------------------------------------------------------- --force_yml


def test_forced_values_are_yaml():
    content = {"mask": {"threshold": 0.7, "min_area": 1}, "output": "a"}
    forced = force(
        content,
        ["mask:threshold=0.5", "output=x=y", "input:lq=a", "import=[m, n]", "sr_gan:weights=null"],
    )
    assert forced == {
        "mask": {"threshold": 0.5, "min_area": 1},
        "output": "x=y",
        "input": {"lq": "a"},
        "import": ["m", "n"],
        "sr_gan": {"weights": None},
    }
    assert content == {"mask": {"threshold": 0.7, "min_area": 1}, "output": "a"}


def test_forced_values_are_never_evaluated(tmp_path: Path):
    sign = tmp_path / "sign"
    code = f"__import__('pathlib').Path({str(sign)!r}).touch()"
    assert force({}, [f"output={code}"]) == {"output": code}
    with pytest.raises(InputError, match="is not YAML"):
        force({}, [f"output=!!python/object/apply:eval [{json.dumps(code)}]"])
    assert not sign.exists()


@pytest.mark.parametrize(
    ("assignment", "reason"),
    [
        ("mask:threshold", "must be written key:subkey=value"),
        ("=1", "must be written key:subkey=value"),
        ("output=[1", "is not YAML"),
        ("output:deeper=1", "--force_yml: 'output' in 'output:deeper' must be a section of"),
    ],
)
def test_faulty_assignments(assignment: str, reason: str):
    with pytest.raises(InputError, match=re.escape(reason)):
        force({"output": "a"}, [assignment])


def test_a_misspelt_forced_key_is_answered(tmp_path: Path):
    path = write(tmp_path / "o.yml", yaml.safe_dump(DETECT))
    with pytest.raises(InputError, match=r"mask\.min_aera: unknown key; did you mean 'min_area'\?"):
        load(DetectOptions, path, ["mask:min_aera=3"])


# -------------------------------------------------------------------------- what ships, schemas


def stage_of(path: Path) -> str:
    """The stage whose schema a file's first line names, relative to the file."""
    first = path.read_text("utf-8").splitlines()[0]
    match = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)
    assert match, f"{path}: the first line must name its schema"
    schema = (path.parent / match[1]).resolve()
    assert schema.parent == ROOT / "options/schema"
    assert schema.is_file()
    return schema.stem


def test_there_are_shipped_files():
    assert ROOT / "options/detect.yml" in SHIPPED


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_shipped_files_are_valid_and_resolve_to_themselves(path: Path, tmp_path: Path):
    model = STAGES[stage_of(path)]
    loaded = load(model, str(path))
    dumped = yaml.safe_dump(resolved(loaded), sort_keys=False, allow_unicode=True)
    again = load(model, write(tmp_path / "again.yml", dumped))
    assert again == loaded
    assert fingerprint(resolved(again)) == fingerprint(resolved(loaded))


def test_a_shipped_recipe_without_its_gan():
    """As one does where a discriminator does not fit into the memory."""
    recipes = [path for path in SHIPPED if "\n    gan:" in path.read_text("utf-8")]
    assert len(recipes) >= 3
    for path in recipes:
        opt = load(TrainOptions, str(path), ["train:losses:gan=null"])
        (said,) = opt.unused
        assert said.startswith("network_d, ") and said.endswith(
            "not used without a GANLoss in train.losses"
        )


def sections(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield model
    todo: list[Any] = [f.annotation for f in model.model_fields.values()]
    while todo:
        annotation = todo.pop()
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from sections(annotation)
        else:
            todo += typing.get_args(annotation)


@pytest.mark.parametrize("model", [*STAGES.values(), Degradation])
def test_every_key_is_described(model: type[BaseModel]):
    for section in sections(model):
        for name, field in section.model_fields.items():
            assert field.description and len(field.description) > 5, f"{section.__name__}.{name}"


def test_schemas_are_up_to_date():
    assert {"detect": DetectOptions, "train": TrainOptions}.items() <= STAGES.items()
    assert write_schema().out_of_date() == [], "run: python scripts/write_schema.py"


def test_schema_knows_the_keys_by_their_yaml_names():
    schema = json.loads((ROOT / "options/schema/detect.json").read_text("utf-8"))
    assert "import" in schema["properties"] and "imports" not in schema["properties"]
    assert schema["additionalProperties"] is False
    assert schema["$defs"]["MaskRule"]["properties"]["threshold"]["description"]


def test_fingerprint_depends_on_content_alone():
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})


def test_numbers_with_an_exponent_are_numbers(tmp_path):
    """YAML 1.1 reads 1e-4 as text; who writes a learning rate means a number."""
    path = tmp_path / "o.yml"
    path.write_text("a: 1e-4\nb: -2E3\nc: 1.5e+2\nd: e5\ne: 0x1e4\nf: '1e-4'\n")
    content = read_yaml(path)
    assert content == {"a": 1e-4, "b": -2000.0, "c": 150.0, "d": "e5", "e": 0x1E4, "f": "1e-4"}
    assert force({}, ["train:optim_g:lr=2e-4"]) == {"train": {"optim_g": {"lr": 2e-4}}}
