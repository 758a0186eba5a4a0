"""The fuzz harness: planted faults are found, a saved case fails again, good files pass."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import yaml

from helpers.paths import SCRIPTS
from helpers.scripts import load_script, run_script

pytest.importorskip("hypothesis", reason="pip install 'desra[test]'")
SCRIPT = SCRIPTS / "fuzz.py"


@pytest.fixture
def fuzz(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script; its folder is searched for ``fuzzing``, as when it is run."""
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    return load_script("fuzz.py")


@pytest.fixture
def bench(fuzz: ModuleType, tmp_path: Path) -> Iterator[Any]:
    """A copy of the good files to try cases in."""
    fuzz.load()
    from fuzzing import trial

    limits = trial.Limits(seconds=20, gigabytes=1)
    yield trial.Bench(fuzz.good_files(tmp_path / "good"), tmp_path / "case", limits)


def test_good_files_are_good(bench: Any) -> None:
    """Else a case would find only what is wrong with all of them."""
    from fuzzing import ground, kinds
    from fuzzing.case import Case

    for stage, options in ground.OPTIONS.items():
        file = {"case.yml": yaml.safe_dump(options).encode()}
        check = ("--check",) if stage == "app" else ()
        outcome = bench.try_case(Case(stage, stage, ("-opt", "case.yml", *check), file))
        assert outcome.status == "0" and not outcome.faults, outcome.text
    for stage, options in kinds.mask_readers("before/coco.json"):
        file = {"case.yml": yaml.safe_dump(options).encode()}
        assert bench.try_case(Case(stage, stage, ("-opt", "case.yml"), file)).status == "0"
    assert [path.name for path in bench.folder.parent.iterdir()] == ["work"]
    assert not (bench.folder / "out").exists()  # what a case made is gone


def test_each_kind_of_fault_is_told(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from desra.upscale import stage
    from fuzzing.case import Case

    case = Case("x", "upscale", ("-i", "lq", "-o", "out", "--model", "gan.pth"))

    def faults(work: Any) -> tuple[str, ...]:
        monkeypatch.setattr(stage, "upscale", work)
        return bench.try_case(case).faults

    def crash(_: Any) -> None:
        import os
        import signal

        os.kill(os.getpid(), signal.SIGSEGV)

    def fill(_: Any) -> None:
        np.ones(2 * 10**8)

    assert bench.try_case(case).faults == ()
    assert faults(lambda _: {}["x"]) == ("tracebacks",)
    assert faults(crash) == ("tracebacks",)
    assert faults(fill) == ("memory",)
    assert faults(lambda _: Path("notes.txt").write_text("")) == ("changed",)
    assert faults(lambda _: Path("lq/p0.png").unlink()) == ("changed",)
    assert faults(lambda _: Path("out").mkdir()) == ()


def found(bench: Any, kind: str, count: int) -> Counter[str]:
    """The faults in the first cases of a kind for upscale."""
    from fuzzing.kinds import KINDS

    cases = [case for case in KINDS[kind](bench.good, 200, 0) if case.stage == "upscale"]
    return Counter(fault for case in cases[:count] for fault in bench.try_case(case).faults)


def test_a_fifo_that_hangs_is_found(
    fuzz: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from desra.upscale import stage
    from fuzzing import trial

    fuzz.load()
    good = fuzz.good_files(tmp_path / "good")
    bench = trial.Bench(good, tmp_path / "case", trial.Limits(seconds=2))

    def wrong(_: Any) -> None:
        for path in Path().rglob("*"):
            if not path.is_dir():
                path.read_bytes()

    monkeypatch.setattr(stage, "upscale", wrong)
    assert found(bench, "fifos", 1) == {"hangs": 1}


def test_a_folder_of_others_that_is_emptied_is_found(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from desra.upscale import stage

    def wrong(options: Any) -> None:
        shutil.rmtree(options.output, ignore_errors=True)

    monkeypatch.setattr(stage, "upscale", wrong)
    assert found(bench, "folders", 5)["changed"] >= 3


def test_errors_of_yaml_that_leave_main_are_found_and_replayed(
    fuzz: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from desra.options import loading

    monkeypatch.setattr(loading, "read_yaml", lambda path: yaml.safe_load(path.read_bytes()))
    argv = ["--kinds", "options sweep", "--cases", "30", "--save", str(tmp_path)]
    assert fuzz.main(argv) == 1
    out = capsys.readouterr().out
    assert "tracebacks: options/loading.py" in out and "30 cases, seed 0" in out
    saved = next(tmp_path.glob("options_sweep-*.json"))
    assert fuzz.main(["--replay", str(saved)]) == 1
    assert "status error; tracebacks" in capsys.readouterr().out
    monkeypatch.undo()


def test_same_seed_same_cases(fuzz: ModuleType, tmp_path: Path) -> None:
    fuzz.load()
    from fuzzing.kinds import KINDS

    good = fuzz.good_files(tmp_path / "good")
    for kind in ("options detect", "manifests", "images", "weights", "lists"):
        once, again = (KINDS[kind](good, 5, 3) for _ in range(2))
        assert once == again and len(once) == 5
        assert KINDS[kind](good, 5, 4) != once


@pytest.mark.slow
def test_a_minute_finds_nothing(tmp_path: Path) -> None:
    """The first half a thousand cases; other seeds and more of them are for the command line."""
    argv = ["--cases", "25", "--seconds", "60", "--save", str(tmp_path), "--causes", "999"]
    ended = run_script("fuzz.py", *argv)
    assert "cases, seed 0" in ended.stdout
    assert ended.returncode == 0, ended.stdout + ended.stderr
