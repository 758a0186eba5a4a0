"""The programs in scripts/, loaded as modules."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from types import ModuleType

from helpers.paths import SCRIPTS


def load_script(file: str) -> ModuleType:
    """Load a program by the name of its file, such as ``fuzz.py``, without running its main."""
    spec = importlib.util.spec_from_file_location(
        f"{file.removesuffix('.py')}_script", SCRIPTS / file
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_script(name: str, *argv: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a process of its own.

    What forks must not do so in a process of tests: torch refuses autograd in a fork of a process
    in which it has begun threads.
    """
    command = [sys.executable, str(SCRIPTS / name), *argv]
    return subprocess.run(command, capture_output=True, text=True, check=False)
