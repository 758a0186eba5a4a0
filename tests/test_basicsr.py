"""basicsr imports beside the torchvision that is installed."""

import subprocess
import sys

CODE = """
import importlib.util, sys
removed = "torchvision.transforms.functional_tensor"
had_it = importlib.util.find_spec(removed) is not None
import desra.registry
import torch
from basicsr.data import degradations
from basicsr.archs.rrdbnet_arch import RRDBNet
from torchvision.transforms import functional
if not had_it:
    x = torch.rand(1, 3, 4, 4)
    assert torch.equal(sys.modules[removed].rgb_to_grayscale(x), functional.rgb_to_grayscale(x))
print("ok")
"""


def test_basicsr_imports_after_compat():
    result = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "ok"
