"""Names of a package whose modules are loaded at first use, so that importing it stays light."""

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def attach(
    package: str, names: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return ``__getattr__`` and ``__dir__`` of a package whose names are in other modules.

    Args:
        package: ``__name__`` of the package.
        names: public name -> the full name of the module that defines it.

    Returns:
        A function that gives the object of a name, or raises AttributeError; and one that lists the
        names, and ``__version__`` where the package has one.

    Example:
        >>> __getattr__, __dir__ = attach("desra", {"artifact_map": "desra.artifacts"})
        >>> __dir__()
        ['artifact_map']
    """

    def __getattr__(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        return getattr(importlib.import_module(names[name]), name)

    def __dir__() -> list[str]:
        version = {"__version__"} & vars(sys.modules[package]).keys()
        return sorted({*names, *version})

    return __getattr__, __dir__
