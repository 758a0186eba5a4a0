"""A few kills of each stage; scripts/kills.py has more of them."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from helpers.paths import SCRIPTS
from helpers.scripts import load_script, run_script

pytest.importorskip("hypothesis", reason="pip install 'desra[test]'")
if sys.platform == "win32":
    pytest.skip("forks and signals", allow_module_level=True)


@pytest.fixture
def kills(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script; its folder is searched for ``killing``, as when it is run."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return load_script("kills.py")


def test_detect_and_report_go_on_after_a_kill(
    kills: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert kills.main(["--stages", "detect", "report", "--kills", "3", "--seed", "1"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    (total,) = (row for row in rows if row[:1] == ["all"])
    trials, _, hit, identical, different = map(int, total[1:6])
    assert trials == identical == 18 and different == 0 and hit >= 18


@pytest.mark.slow
def test_all_stages_go_on_after_a_kill() -> None:
    ended = run_script("kills.py", "--kills", "4", "--seed", "2")
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_what_is_left_over_is_seen(
    kills: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The fault is put in: unfinished files of a process that was killed stay."""
    from desra.io import lock

    monkeypatch.setattr(lock, "remove_unfinished", lambda *_, **__: None)
    assert kills.main(["--stages", "detect", "--signals", "SIGKILL", "--kills", "12"]) == 1
    assert ".tmp is left over" in capsys.readouterr().out
