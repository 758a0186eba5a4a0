"""A user's class is usable by name; an unknown name is answered with the near ones."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from desra.registry import (
    ARCH_REGISTRY,
    DATASET_REGISTRY,
    LOSS_REGISTRY,
    MODEL_REGISTRY,
    build,
    construct,
    find,
    import_modules,
)
from desra.utils.errors import InputError
from helpers.paths import ROOT

MODULE = """
from basicsr.utils.registry import ARCH_REGISTRY
from torch import nn

@ARCH_REGISTRY.register()
class Doubler{n}(nn.Module):
    def __init__(self, times: int = 2):
        super().__init__()
        self.up = nn.Upsample(scale_factor=times)

    def forward(self, x):
        return self.up(x)
"""


@pytest.fixture
def user_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module in the working folder, unknown afterwards."""
    name = "my_archs_for_a_test"
    (tmp_path / f"{name}.py").write_text(MODULE.format(n=""))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    yield name
    sys.modules.pop(name, None)
    ARCH_REGISTRY._obj_map.pop("Doubler", None)


def test_a_users_class_by_name(user_module: str):
    with pytest.raises(InputError, match="Doubler"):
        build(ARCH_REGISTRY, {"type": "Doubler"}, "network_g")
    import_modules([user_module])
    net = build(ARCH_REGISTRY, {"type": "Doubler", "times": 3}, "network_g")
    assert net.up.scale_factor == 3


def test_a_module_that_is_missing_or_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="import: the module 'none_such' cannot be imported"):
        import_modules(["none_such"])
    (tmp_path / "broken_for_a_test.py").write_text("1 / 0\n")
    with pytest.raises(InputError, match="ZeroDivisionError"):
        import_modules(["broken_for_a_test"])


def test_the_working_folder_is_searched_last_and_only_for_what_import_names(
    user_module: str, tmp_path: Path
):
    (tmp_path / "colorsys.py").write_text("raise RuntimeError('planted')\n")
    (tmp_path / "planted_for_a_test.py").write_text("raise RuntimeError('planted')\n")
    before = list(sys.path)
    sys.modules.pop("colorsys", None)
    import_modules([])
    assert sys.path == before
    import_modules([user_module, "colorsys"])
    assert sys.path == before
    assert Path(str(sys.modules["colorsys"].__file__)).parent != tmp_path
    with pytest.raises(ModuleNotFoundError):
        __import__("planted_for_a_test")


@pytest.mark.parametrize("by_module", [True, False])
def test_a_file_of_the_working_folder_does_not_run(tmp_path: Path, by_module: bool):
    (tmp_path / "basicsr.py").write_text("open('it_ran', 'w').close()\n")
    (tmp_path / "lq.png").write_bytes(b"no image")
    code = "import sys; sys.path.remove(''); from desra.__main__ import main; sys.exit(main())"
    program = ["-m", "desra.upscale"] if by_module else ["-c", code, "upscale"]
    done = subprocess.run(
        [sys.executable, *program, "-i", "lq.png", "-o", "out"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not (tmp_path / "it_ran").exists(), done.stderr
    assert done.returncode == 2, done.stderr


@pytest.mark.parametrize(
    ("name", "near"),
    [("SRVGGNetCompat", "SRVGGNetCompact"), ("RRDBnet", "RRDBNet"), ("PatchDiscriminatr", "Patch")],
)
def test_an_unknown_name_is_answered_with_near_ones(name: str, near: str):
    with pytest.raises(InputError, match=f"network_g.type: '{name}' .*did you mean .*{near}"):
        find(ARCH_REGISTRY, name, "network_g")


def test_a_name_near_to_none_lists_all():
    with pytest.raises(InputError, match=r"train\.pixel_opt\.type: 'zzz'.*known: .*L1Loss"):
        find(LOSS_REGISTRY, "zzz", "train.pixel_opt")


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"type": "SRVGGNetCompact", "num_fea": 4}, "num_fea"),
        ({"type": "SRResNet"}, None),
        ({"type": "VGGStyleDiscriminator"}, "num_in_ch"),
    ],
)
def test_wrong_arguments(spec: dict[str, object], reason: str | None):
    with pytest.raises(InputError) as caught:
        build(ARCH_REGISTRY, spec, "network_g")
    assert str(caught.value).startswith("network_g")
    assert reason is None or reason in str(caught.value)


def test_all_four_registries_are_filled():
    assert issubclass(find(ARCH_REGISTRY, "SRVGGNetCompact", ""), nn.Module)
    assert find(ARCH_REGISTRY, "PatchDiscriminator", "").__module__.startswith("desra.")
    assert find(DATASET_REGISTRY, "DegradedDataset", "").__module__.startswith("desra.")
    assert find(MODEL_REGISTRY, "DeSRAModel", "").__module__.startswith("desra.")
    assert issubclass(find(LOSS_REGISTRY, "GANLoss", ""), nn.Module)


@pytest.mark.parametrize(
    ("registry", "spec", "words"),
    [
        (ARCH_REGISTRY, {"type": "RRDBNet", "num_in_ch": "x", "num_out_ch": 3}, "num_in_ch='x'"),
        (ARCH_REGISTRY, {"type": "RRDBNet", "num_in_ch": 3, "num_out_ch": [1]}, r"TypeError"),
        (
            ARCH_REGISTRY,
            {"type": "SRVGGNetCompact", "num_feat": "64"},
            "num_feat: must be a number",
        ),
        (
            ARCH_REGISTRY,
            {"type": "SRVGGNetCompact", "num_feat": True},
            "num_feat: must be a number",
        ),
        (ARCH_REGISTRY, {"type": "SRVGGNetCompact", "num_conv": 1.5}, "num_conv"),
        (ARCH_REGISTRY, {"type": "SRVGGNetCompact", "act_type": "none"}, "act_type='none'"),
        (ARCH_REGISTRY, {"type": "SwinIR", "depths": 3}, "depths=3"),
        (ARCH_REGISTRY, {"type": "SwinIR", "img_range": float("nan")}, "img_range: must be finite"),
        (ARCH_REGISTRY, {"type": "PatchDiscriminator", "num_strides": "2"}, "a whole number"),
        (ARCH_REGISTRY, {"type": "UNetDiscriminatorSN", "num_in_ch": {}}, "num_in_ch={}"),
        (ARCH_REGISTRY, {"type": "StyleGAN2Generator", "out_size": []}, "StyleGAN2Generator"),
        (LOSS_REGISTRY, {"type": "GANLoss", "gan_type": 3}, "gan_type: must be a text"),
        (LOSS_REGISTRY, {"type": "GANLoss", "relativistic": "no"}, "must be true or false"),
        (LOSS_REGISTRY, {"type": "L1Loss", "loss_weight": "a"}, "loss_weight: must be a number"),
        (LOSS_REGISTRY, {"type": "LDLLoss", "criterion": 3}, "criterion: must be a text or a sec"),
        (LOSS_REGISTRY, {"type": "ArtifactMapLoss", "target": None}, "target: must be a number"),
        (LOSS_REGISTRY, {"type": "PerceptualLoss", "layer_weights": [1]}, "a section of keys"),
        (DATASET_REGISTRY, {"type": "DegradedDataset", "dataroot_gt": 5}, "dataroot_gt"),
        (DATASET_REGISTRY, {"type": "PairedImageDataset", "opt": None}, "PairedImageDataset"),
    ],
)
def test_wrong_types_are_one_sentence(registry: Any, spec: dict[str, Any], words: str):
    """With key path, value and what the class takes."""
    with pytest.raises(InputError, match=words) as caught:
        build(registry, spec, "a.b")
    message = str(caught.value)
    assert message.startswith(("a.b: ", "a.b."))
    assert "; it takes " in message


def test_a_users_class_that_trips_says_where():
    class Tripping:
        def __init__(self, size: int | None = None, scale: float = 0):
            self.size = {}["size"]

    with pytest.raises(InputError, match=r"^k: Tripping .*KeyError: 'size', in .*test_registry"):
        construct(Tripping, "k", {"size": 3})
    with pytest.raises(
        InputError, match=r"^k\.size: must be a whole number or null \(given: '3'\)"
    ):
        construct(Tripping, "k", {"size": "3"})
    with pytest.raises(InputError, match=r"^k\.scale: must be a number \(given: True\)"):
        construct(Tripping, "k", {"scale": True})


class Running:
    """What runs as soon as it is unpickled."""

    def __init__(self, file: Path):
        self.file = file

    def __reduce__(self) -> Any:
        return Path.touch, (self.file,)


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        ("SpyNet", "load_path"),
        ("BasicVSR", "spynet_path"),
        ("BasicVSRPlusPlus", "spynet_path"),
        ("DFDNet", "dict_path"),
    ],
)
def test_a_constructor_loads_no_file(tmp_path: Path, kind: str, key: str):
    ran = tmp_path / "it_ran"
    file = tmp_path / "weights.pth"
    torch.save({"params": Running(ran)}, file)
    load = torch.load
    with pytest.raises(InputError, match=f"network_g: {kind} would load or download a file"):
        build(
            ARCH_REGISTRY,
            {"type": kind, key: str(file)} | ({"num_feat": 8} if kind == "DFDNet" else {}),
            "network_g",
        )
    assert not ran.exists()
    assert torch.load is load


def test_a_constructor_downloads_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    spec = {"type": "VGGFeatureExtractor", "layer_name_list": ["conv1_1"], "vgg_type": "vgg11"}
    with pytest.raises(InputError, match="would load or download a file"):
        build(ARCH_REGISTRY, spec, "network_g")


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"type": "SRVGGNetCompact", "num_conv": 10**6}, r"k\.num_conv: must be at most 512"),
        ({"type": "RRDBNet", "num_in_ch": 3, "num_out_ch": 3, "num_block": 10**5}, "num_block"),
        ({"type": "PatchDiscriminator", "num_strides": 10**4}, r"k\.num_strides"),
        ({"type": "SwinIR", "depths": [6, 10**5]}, r"k\.depths"),
        ({"type": "SRVGGNetCompact", "num_feat": 60000}, "would have .* weights, more than"),
        ({"type": "PatchDiscriminator", "num_feat": 10000}, "would have .* weights, more than"),
        ({"type": "SRVGGNetCompact", "num_feat": 10**9}, r"k\.num_feat: must be at most 65536"),
    ],
)
def test_networks_that_no_machine_can_hold(spec: dict[str, Any], words: str):
    with pytest.raises(InputError, match=words):
        build(ARCH_REGISTRY, spec, "k")
