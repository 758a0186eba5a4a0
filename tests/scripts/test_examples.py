"""The examples of an arch, a loss and a detector of one's own: the commands in them run."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

from desra.__main__ import main as desra
from desra.data.embedded import make
from desra.detectors import DETECTOR_REGISTRY
from desra.networks import checkpoints
from desra.registry import ARCH_REGISTRY, LOSS_REGISTRY
from helpers.paths import SCRIPTS
from helpers.small import save_png

EXAMPLES = SCRIPTS / "examples"
MODULES = ("own_arch", "own_loss", "own_detector")

#: What makes a command short, by its options file.
SHORTENED = {
    "own_arch_train.yml": ["--force_yml", "train:total_iter=2"],
    "own_arch_upscale.yml": ["-i", "small"],
    "options/detect.yml": ["-i", "small", "--force_yml", "mask:min_area=50"],
    "own_loss.yml": [
        "--force_yml",
        "train:total_iter=2",
        "datasets:train:gt_size=64",
        "datasets:batch_size=2",
    ],
    "own_detector.yml": ["-i", "small", "--force_yml", "mask:min_area=50"],
}


def commands(module: str) -> list[list[str]]:
    """The command lines in the head of an example, without ``python -m desra.``."""
    head = (EXAMPLES / f"{module}.py").read_text("utf-8").split('"""')[1]
    lines = re.findall(r"^ {4}python -m desra\.(.*)", head, flags=re.MULTILINE)
    return [shlex.split(line) for line in lines]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the examples as the working folder, with small images; what they register is
    unknown again afterwards."""
    for path in EXAMPLES.glob("*.*"):
        shutil.copy(path, tmp_path)
    for stem, (lq, _) in list(make("heldout").items())[:2]:
        save_png(tmp_path / "small" / f"{stem}.png", lq)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    yield tmp_path
    for module in MODULES:
        sys.modules.pop(module, None)
    for registry in (ARCH_REGISTRY, LOSS_REGISTRY, DETECTOR_REGISTRY):
        for name, registered in list(registry):
            if registered.__module__ in MODULES:
                registry._obj_map.pop(name)


def run(module: str) -> None:
    """Run the commands of an example, in short."""
    assert commands(module)
    for stage, *arguments in commands(module):
        _, options = arguments
        assert desra([stage, *arguments, *SHORTENED[options]]) == 0


def test_each_module_has_options_that_import_it_and_name_their_command():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(MODULES)
    for module in MODULES:
        files = sorted(EXAMPLES.glob(f"{module}*.yml"))
        assert files
        for path in files:
            text = path.read_text("utf-8")
            assert yaml.safe_load(text)["import"] == [module]
            (command,) = re.findall(r"python -m desra\.(.*)", text.splitlines()[0])
            assert shlex.split(command) in commands(module)


def test_an_arch_trains_and_upscales(folder: Path):
    run("own_arch")
    saved = checkpoints.read(folder / "experiments/own_arch/models/net_g_latest.pth")
    assert saved["params"]["body.0.weight"].shape == (16, 3, 3, 3)
    assert len(list((folder / "results/own_arch").glob("*.png"))) == 2


def test_a_loss_finetunes(folder: Path):
    run("own_loss")
    assert (folder / "experiments/own_loss/models/net_g_latest.pth").is_file()


def test_a_loss_is_zero_for_equal_images_and_for_a_constant_offset(folder: Path):
    import torch

    from desra.registry import build, import_modules

    import_modules(["own_loss"])
    loss = build(LOSS_REGISTRY, {"type": "GradientLoss"}, "", reduction="none")
    image = torch.rand(1, 3, 8, 9)
    assert torch.allclose(loss(image + 0.1, image), torch.zeros_like(image), atol=1e-6)
    ramp = torch.arange(9.0).expand(1, 3, 8, 9) / 10
    expected = torch.full((1, 3, 8, 9), 0.1)
    expected[..., -1] = 0  # the last column has no right neighbour
    assert torch.allclose(loss(image + ramp, image), expected, atol=1e-6)


def test_a_detector_detects(folder: Path):
    run("own_detector")
    rows = [json.loads(line) for line in (folder / "results/own_detector/manifest.jsonl").open()]
    assert len(rows) == 2 and any(row["regions"] for row in rows)
    assert all(0 < row["mask_pixels"] < np.prod(row["sr_size"]) for row in rows)
