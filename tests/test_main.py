"""The command ``desra``: it lists the stages, and runs one as ``python -m desra.X`` does."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from desra.__main__ import STAGES, main
from helpers.heavy import HEAVY
from helpers.paths import ROOT
from helpers.small import photograph, save_compact, save_png

PACKAGE = ROOT / "desra"


def has_main(path: Path) -> bool:
    """Whether it is a module that can be run."""
    tree = ast.parse(path.read_text("utf-8"))
    ends = [node for node in tree.body if isinstance(node, ast.If)]
    return any("__main__" in ast.unparse(node.test) for node in ends)


def test_every_stage_is_listed(capsys: pytest.CaptureFixture[str]):
    modules = {path.stem for path in PACKAGE.glob("*.py") if has_main(path)} - {"__main__"}
    packages = {path.parent.name for path in PACKAGE.glob("*/__main__.py") if has_main(path)}
    assert set(STAGES) == modules | packages
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    for stage, purpose in STAGES.items():
        assert any(line.split(maxsplit=1) == [stage, purpose] for line in said.splitlines())
    assert main([]) == 0 and capsys.readouterr().out == said


def test_an_unknown_stage(capsys: pytest.CaptureFixture[str]):
    assert main(["detct", "-opt", "x"]) == 2
    assert capsys.readouterr().err == (
        "error: 'detct' is not a stage of desra; did you mean 'detect'?\n"
    )
    assert main(["?"]) == 2
    assert "the stages are run, detect, train, " in capsys.readouterr().err


def test_a_stage_gets_its_arguments_and_gives_its_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    weights = str(save_compact(tmp_path / "net.pth"))
    save_png(tmp_path / "photo.png", photograph(0, 20, 24))
    argv = ["-i", str(tmp_path / "photo.png"), "--model", weights, "--partner", weights]
    assert main(["detect", *argv, "-o", str(tmp_path / "a"), "--force_yml", "scale=2"]) == 0
    assert (tmp_path / "a/mask/photo.png").is_file()
    assert main(["detect", *argv, "-o", str(tmp_path / "b"), "--force_yml", "scale=3"]) == 2
    assert "x2 network, but scale is 3" in capsys.readouterr().err
    assert not (tmp_path / "b").exists()
    with pytest.raises(SystemExit) as stopped:
        main(["detect"])
    assert stopped.value.code == 2 and "give -opt FILE, or -i and -o\n" in capsys.readouterr().err

    def fails(argv: list[str]) -> int:
        raise RuntimeError(argv)

    monkeypatch.setattr(importlib.import_module("desra.sweep"), "main", fails)
    with pytest.raises(RuntimeError, match="-opt"):
        main(["sweep", "-opt"])


def test_flags_of_detect_say_the_same_as_yaml(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "d.yml"
    file.write_text(
        "input: {lq: a}\noutput: b\nsr_gan: {weights: g.pth}\nsr_mse: {weights: m.pth}\n"
    )
    printed = []
    flags = ["-i", "a", "-o", "b", "--model", "g.pth", "--partner", "m.pth"]
    for argv in (["-opt", str(file)], flags):
        assert main(["detect", *argv, "--check"]) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]


@pytest.mark.parametrize("stage", ["app", "detect", "run", "upscale"])
def test_the_two_networks_have_the_same_flags(stage: str, capsys: pytest.CaptureFixture[str]):
    flags = [] if stage == "app" else ["-i", "a", "-o", "b"]
    assert main([stage, *flags, "--model", "g.pth", "--partner", "m.pth", "--check"]) == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed["sr_gan"]["weights"] == "g.pth" and printed["sr_mse"]["weights"] == "m.pth"
    with pytest.raises(SystemExit) as stopped:
        main([stage, *flags, "--sr-gan", "g.pth", "--modle=m.pth"])
    said = capsys.readouterr().err
    assert stopped.value.code == 2
    assert "--modle=m.pth: unknown flag; did you mean '--model'?" in said
    assert "--sr-gan: unknown flag; known: " in said and "--partner" in said


@pytest.mark.parametrize(
    ("script", "shown"),
    [
        ("/usr/bin/desra", "desra"),
        ("desra.exe", "desra"),
        ("/lib/desra/__main__.py", "python -m desra"),
        ("/lib/desra/detect/stage.py", "python -m desra."),
        ("/lib/pytest/__main__.py", "python -m desra."),
    ],
)
@pytest.mark.parametrize("stage", ["detect", "weights", "export"])
def test_help_shows_how_it_was_called(
    script: str,
    shown: str,
    stage: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.setattr(sys, "argv", [script])
    with pytest.raises(SystemExit):
        main([stage, "-h"])
    expected = shown + (stage if shown.endswith(".") else f" {stage}")
    assert capsys.readouterr().out.startswith(f"usage: {expected} ")


def test_help_loads_nothing_heavy_and_the_status_reaches_the_shell():
    code = (
        "import sys; from desra.__main__ import main; main(['--help']); "
        f"print([name for name in {[*HEAVY, 'pydantic']} if name in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.splitlines()[-1] == "[]"
    wrong = subprocess.run([sys.executable, "-m", "desra", "tran"], capture_output=True, text=True)
    assert wrong.returncode == 2 and "did you mean 'train'?" in wrong.stderr
