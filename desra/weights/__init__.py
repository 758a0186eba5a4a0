"""Networks as files. ``python -m desra.weights list | get NAME... | check | import-ncnn | blend``

A name of the list stands for the file wherever weights are asked for, in YAML and on command lines.
"""

from desra.utils.lazy import attach

_STAGE = "desra.weights.stage"
_NAMES = ("table", "get", "check", "import_ncnn", "import_package", "blend", "RECIPE")

__getattr__, __dir__ = attach(
    __name__, {**dict.fromkeys(_NAMES, _STAGE), "main": "desra.weights.__main__"}
)
