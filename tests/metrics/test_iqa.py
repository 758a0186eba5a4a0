"""pyiqa: by a small stand-in, and itself where it is installed."""

from __future__ import annotations

import logging
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from desra.metrics import quality
from desra.metrics.iqa import make_metrics
from desra.utils.errors import InputError

RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8)
TRUTH = RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8)


class StandIn(torch.nn.Module):
    """Not pyiqa: the mean of red, or the mean difference; it refuses images below 16 pixels."""

    lower_better = True

    def forward(self, image: torch.Tensor, reference: torch.Tensor | None = None) -> torch.Tensor:
        assert image.ndim == 4 and image.shape[1] == 3 and image.dtype == torch.float32
        if min(image.shape[2:]) < 16:
            raise RuntimeError("too small\nand so on")
        if reference is not None:
            return (image - reference).abs().mean()[None]
        return image[:, 0].mean()[None]


class Random(StandIn):
    def forward(self, image: torch.Tensor, reference: torch.Tensor | None = None) -> torch.Tensor:
        return torch.rand(1)


class NaN(StandIn):
    def forward(self, image: torch.Tensor, reference: torch.Tensor | None = None) -> torch.Tensor:
        return torch.tensor([[float("nan")]])


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module called pyiqa with the two functions that are used, and none of its metrics."""
    modes = dict.fromkeys(["redness", "redder", "niqe", "fid", "random", "nan", "absent"], "NR")
    modes["difference"] = "FR"

    def create_metric(name: str, device: Any) -> torch.nn.Module:
        if name == "absent":
            raise OSError("no route to the weights")
        return {"random": Random, "nan": NaN}.get(name, StandIn)().to(device)

    module: Any = ModuleType("pyiqa")
    module.list_models = lambda metric_mode=None: [
        name for name, mode in modes.items() if metric_mode in (None, mode)
    ]
    module.create_metric = create_metric
    monkeypatch.setitem(sys.modules, "pyiqa", module)


@pytest.mark.usefixtures("stand_in")
def test_what_a_metric_is_given():
    alone, against = make_metrics(["redness", "difference"], "cpu", has_truth=True)
    assert alone(IMAGE, TRUTH, "a") == pytest.approx(IMAGE[..., 0].mean() / 255, abs=1e-6)
    expected = np.abs(IMAGE.astype(float) - TRUTH).mean() / 255
    assert against(IMAGE, TRUTH, "a") == pytest.approx(expected, abs=1e-6)
    assert alone.lower_is_better and not alone.with_reference and against.with_reference


@pytest.mark.usefixtures("stand_in")
def test_chance_is_seeded_and_leaves_the_generator_alone():
    (metric,) = make_metrics(["random"], "cpu", has_truth=False)
    torch.manual_seed(5)
    first = metric(IMAGE, None, "a")
    after = torch.rand(1)
    torch.manual_seed(5)
    assert torch.rand(1) == after
    assert metric(IMAGE, None, "a") == first


@pytest.mark.usefixtures("stand_in")
def test_what_has_no_value_is_none(caplog: pytest.LogCaptureFixture):
    alone, nan = make_metrics(["redness", "nan"], "cpu", has_truth=False)
    assert alone(IMAGE[:10], None, "a before") is None
    assert "redness of a before is undefined: RuntimeError: too small" in caplog.text
    assert "and so on" not in caplog.text
    assert nan(IMAGE, None, "a") is None


@pytest.mark.usefixtures("stand_in")
def test_out_of_memory_is_no_missing_value(monkeypatch: pytest.MonkeyPatch):
    (metric,) = make_metrics(["redness"], "cpu", has_truth=False)

    def fail(*_: object) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(metric.model, "forward", fail)
    with pytest.raises(torch.cuda.OutOfMemoryError):
        metric(IMAGE, None, "a")


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("rednes", "'rednes' is no metric of pyiqa; did you mean 'redness'"),
        ("zzz", "known: redness, redder"),
        ("niqe", "niqe is measured anyway"),
        ("fid", "fid judges whole folders"),
        ("difference", "difference compares with the truth; give gt"),
        ("absent", "cannot set up absent (OSError: no route to the weights)"),
    ],
)
def test_sentences(name: str, sentence: str):
    with pytest.raises(InputError) as caught:
        make_metrics([name], "cpu", has_truth=False)
    assert sentence in str(caught.value) and "\n" not in str(caught.value)


def test_without_pyiqa(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pyiqa", None)
    with pytest.raises(InputError, match=r"pip install 'desra\[metrics\]'"):
        make_metrics(["musiq"], "cpu", has_truth=False)
    assert make_metrics([], "cpu", has_truth=False) == []


def test_pyiqa_itself(caplog: pytest.LogCaptureFixture):
    """Of those that need no weights: its PSNR and SSIM are ours, and it says which way is up."""
    pytest.importorskip("pyiqa")
    caplog.set_level(logging.INFO)
    psnr, deviation = make_metrics(["psnr", "gmsd"], "cpu", has_truth=True)
    near = np.clip(TRUTH.astype(int) + RNG.integers(-9, 10, TRUTH.shape), 0, 255).astype(np.uint8)
    expected = quality.psnr(TRUTH, near)
    assert expected is not None and psnr(near, TRUTH, "a") == pytest.approx(expected, abs=1e-3)
    assert not psnr.lower_is_better and deviation.lower_is_better
    assert "gmsd: lower is better" in caplog.text
    with pytest.raises(InputError, match="'psnrr' is no metric of pyiqa; did you mean 'psnr"):
        make_metrics(["psnrr"], "cpu", has_truth=True)


def test_the_stand_in_has_what_is_used():
    """The names that the stand-in has are pyiqa's, with the arguments that are given here."""
    pyiqa = pytest.importorskip("pyiqa")
    assert "lpips" in pyiqa.list_models(metric_mode="FR")
    assert {"musiq", "niqe"} <= set(pyiqa.list_models(metric_mode="NR"))
    assert isinstance(pyiqa.create_metric("psnr", device=torch.device("cpu")), torch.nn.Module)
