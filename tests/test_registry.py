"""A user's class is usable by name; an unknown name is answered with the near ones."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from torch import nn

from desra.registry import (
    ARCH_REGISTRY,
    DATASET_REGISTRY,
    LOSS_REGISTRY,
    MODEL_REGISTRY,
    build,
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
