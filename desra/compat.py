"""Make basicsr 1.4.2 import beside a current torchvision; to be imported before any of basicsr.

basicsr imports ``torchvision.transforms.functional_tensor``, which torchvision 0.17 removed; the
one function that it takes from there now lives in ``torchvision.transforms.functional``. A module
of that name with just that function is put in its place, if and only if torchvision has none.
"""

import importlib.util
import sys
import types

_REMOVED = "torchvision.transforms.functional_tensor"


def _restore_functional_tensor() -> None:
    if _REMOVED in sys.modules or importlib.util.find_spec(_REMOVED) is not None:
        return
    from torchvision.transforms.functional import rgb_to_grayscale

    module = types.ModuleType(_REMOVED, "Stands in for the module that torchvision 0.17 removed.")
    module.__dict__["rgb_to_grayscale"] = rgb_to_grayscale
    sys.modules[_REMOVED] = module


_restore_functional_tensor()
