"""Imports point one way. Read from the import statements, so nothing has to be loaded."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from helpers.paths import ROOT

PACKAGE = ROOT / "desra"
STAGES = "detect train evaluate report upscale sweep calibrate export weights"

# A folder or module of desra imports from lower lines and from itself; those of one line do not
# import each other.
LEVELS = [
    "utils artifacts",
    "options registry",
    "io metrics cli",
    "detectors",
    "losses archs",
    "networks",
    "finder data",
    "models",
    STAGES,
    "run app",
    "__main__",
]
LEVEL = {name: number for number, names in enumerate(LEVELS) for name in names.split()}
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def imported(path: Path) -> set[str]:
    """Full names of all modules that a file imports, in functions too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            assert node.module
            # `from desra import cli` imports desra.cli; of other packages the first part suffices.
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def ours(path: Path) -> set[str]:
    return {name.split(".")[1] for name in imported(path) if name.startswith("desra.")}


def foreign(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imported(path)}


def module_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_imports_point_down(path: Path):
    me = module_of(path)
    assert me in LEVEL, f"desra.{me} is new: give it a place in LEVELS"
    for other in ours(path) - {me}:
        assert other in LEVEL, f"{path} imports desra.{other}, which has no place in LEVELS"
        assert LEVEL[other] < LEVEL[me], f"desra.{me} must not import desra.{other}"


def test_imports_by_name_are_these():
    """What no import statement shows. The registry has those modules of desra imported that fill
    it, at the first look-up: they are above and import it, and a class that the user names in YAML
    must be known whichever of them was loaded before. It uses nothing of them. The command line
    loads the stage that is asked for, packages load their names at first use, and the registry the
    user's own modules.
    """
    users = {}
    for path in FILES:
        calls = [
            node
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.Call)
        ]
        named = [c for c in calls if ast.unparse(c.func).endswith(("import_module", "__import__"))]
        if named:
            users[module_of(path)] = [ast.unparse(call.args[0]) for call in named]
    assert users == {
        "registry": ["f'desra.{folder}'", "f'desra.{folder}.{module.name}'", "name"],
        "__main__": ["f'desra.{stage}'"],
        "cli": ["module"],
        "utils": ["names[name]"],
    }


def test_basicsr_is_touched_in_one_place():
    assert {module_of(path) for path in FILES if "basicsr" in foreign(path)} == {"registry"}


def test_artifacts_are_pure():
    for path in (PACKAGE / "artifacts").glob("*.py"):
        assert not foreign(path) & {"yaml", "logging", "pydantic", "basicsr", "os", "pathlib"}, path
        assert ("torch" in foreign(path)) == (path.name == "local_variance_torch.py"), path


def test_only_run_and_app_import_stages():
    for path in FILES:
        if module_of(path) not in ("run", "app"):
            assert not ours(path) & set(STAGES.split()) - {module_of(path)}, path
