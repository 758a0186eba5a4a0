"""Two gloo processes are one with twice the batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from desra.utils import distributed
from desra.utils.errors import InputError
from helpers import float64_run
from helpers.paths import HELPERS
from helpers.torchrun import torchrun


@pytest.fixture(scope="module")
def of_two(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("two")
    ran = torchrun(2, HELPERS / "float64_run.py", folder, 2)
    assert ran.returncode == 0, ran.stderr[-3000:]
    return torch.load(folder / "results.pt", weights_only=True)


@pytest.mark.slow
@pytest.mark.parametrize("case", float64_run.CASES)
def test_two_processes_are_one_with_twice_the_batch(
    case: str, of_two: dict[str, Any], tmp_path: Path
):
    with float64_run.float64():
        one = float64_run.record(case, tmp_path, 4)
        halves = float64_run.record(case, tmp_path / "other", 2)
    two = of_two[case]
    assert set(one["gradients"]) == set(two["gradients"])
    for name, gradient in one["gradients"].items():
        assert gradient.dtype == torch.float64
        assert (gradient - two["gradients"][name]).abs().max() < 1e-10, name
    assert len(two["losses"]) == float64_run.STEPS
    for step, (ours, theirs) in enumerate(zip(one["losses"], two["losses"], strict=True), 1):
        assert ours.keys() == theirs.keys()
        for name in ours:
            assert abs(ours[name] - theirs[name]) < 1e-8, (step, name)
    for name, weight in one["weights"]["params_ema"].items():
        assert (weight - two["weights"]["params_ema"][name]).abs().max() < 1e-8, name
    # Else the test would pass for processes that all see the same, or only a half.
    first = next(iter(one["gradients"]))
    assert (one["gradients"][first] - halves["gradients"][first]).abs().max() > 1e-6


@pytest.mark.slow
def test_all_stop_where_one_finds_a_loss_that_is_not_finite(of_two: dict[str, Any]):
    """Sample 14 is the second process's first in step 4."""
    said = of_two["poisoned"]
    assert len(said) == 2 and said[0] == said[1]
    assert "l_g_pix, l_g_tex, l_g_art not finite at iteration 4 (samples: s14, s15)" in said[0]


def test_a_gpu_for_each_process(monkeypatch: pytest.MonkeyPatch):
    cpu, cuda, second = (torch.device(name) for name in ("cpu", "cuda", "cuda:1"))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    assert distributed.own_device(cuda) == cuda
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert [distributed.own_device(d) for d in (cpu, cuda)] == [cpu, second]
    assert distributed.own_device(torch.device("cuda:0")) == torch.device("cuda:0")
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(InputError, match=r"process 2 finds no GPU of its own among 2; start fewer"):
        distributed.own_device(cuda)


def test_a_device_that_cannot_be_joined(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    words = "mps trains in one process; leave torchrun out, or use device: cpu"
    with pytest.raises(InputError, match=words), distributed.joined(torch.device("mps")):
        pass


def test_one_process_alone():
    assert (distributed.count(), distributed.rank(), distributed.is_main()) == (1, 0, True)
    assert distributed.gather("a") == ["a"]
    assert distributed.any_of(15) == 15
    values = torch.rand(2, 3, requires_grad=True)
    assert torch.equal(distributed.mean(values), values.mean())
    net = nn.BatchNorm2d(2)
    assert type(distributed.with_common_statistics(net, torch.device("cpu"))) is nn.BatchNorm2d
    with pytest.raises(ValueError, match="said"):
        distributed.from_main(lambda: int("said"))


_FROM_MAIN = """
import sys
import torch
from pathlib import Path
from desra.utils import distributed
from desra.utils.errors import InputError

def fails(error):
    raise error

with distributed.joined(torch.device("cpu")):
    said = [repr(distributed.from_main(lambda: 3 * distributed.rank() + 7))]
    for error in (InputError("a: wrong"), KeyError("b"), ValueError("c")):
        try:
            distributed.from_main(lambda: fails(error))
        except Exception as caught:
            said.append(f"{type(caught).__name__} {caught}")
    Path(sys.argv[1], str(distributed.rank())).write_text("; ".join(said))
"""


@pytest.mark.slow
def test_what_the_main_process_says_and_raises(tmp_path: Path):
    """A crash of the main process is none of the user's faults in the others either."""
    (tmp_path / "script.py").write_text(_FROM_MAIN)
    ran = torchrun(2, tmp_path / "script.py", tmp_path)
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert (tmp_path / "0").read_text() == "7; InputError a: wrong; KeyError 'b'; ValueError c"
    assert (tmp_path / "1").read_text() == (
        "7; InputError a: wrong; RuntimeError the main process failed: KeyError: 'b'; "
        "RuntimeError the main process failed: ValueError: c"
    )
