"""A network for other programs. ``python -m desra.export WEIGHTS -o OUT.onnx``

``WEIGHTS`` is whatever `SRNetwork` loads: a checkpoint (a finetuned one for example), a
name that ``python -m desra.weights list`` gives, or embedded:gan / embedded:mse. The ending of
``OUT`` says what is written:

- ``.onnx``: for any height, width and batch, float32; compared with torch in ONNX Runtime, and not
  left behind if it differs by more than 1e-3 standard deviations of the output, less than a tenth
  of a grey level (needs ``pip install "desra[export]"``),
- ``.safetensors``: the (EMA) weights by their plain names, as spandrel and chaiNNer read them,
- ``.pth``: the same as ``params_ema`` and ``params``, as Real-ESRGAN's and basicsr's tools do.
"""

from desra.utils.lazy import attach

__getattr__, __dir__ = attach(
    __name__, {"export": "desra.export.stage", "main": "desra.export.__main__"}
)
