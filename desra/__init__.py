"""DeSRA: find the artifacts that a GAN super-resolution network makes on real images, delete them.

The stages, in order, each runnable alone as ``python -m desra.<stage> -opt <file>.yml``:

1. ``desra.detect``    LR images (or finished SR pairs) -> SR, map, mask, pseudo ground truth
2. ``desra.train``     (lq, pseudo ground truth, mask) -> a finetuned GAN-SR network
3. ``desra.evaluate``  before against after: what was removed, what was kept; masks against truth

``desra.run`` does all of them, round after round.

Beside them, on what detect wrote and without an SR network: ``desra.report`` (a page to look at in
a browser), ``desra.sweep`` (what other thresholds and areas would find) and ``desra.calibrate``
(class weights from your own images, whose classes SegFormer may find). For the daily use of a
finetuned network: ``desra.upscale``; to look at one image after the other, with sliders:
``desra.app``; to get, check and blend networks: ``desra.weights``; for other programs:
``desra.export`` (ONNX, safetensors, .pth). On a command line ``desra STAGE`` is the same
as ``python -m desra.STAGE``.

For notebooks: ``desra.ArtifactFinder`` is the method as one object: call it with an LR image, or
let it look at finished images. ``desra.SRPair`` runs the two networks, and ``desra.artifacts`` is
the method as pure functions of arrays.

Importing ``desra`` itself loads neither torch nor OpenCV nor basicsr.
"""

from desra.utils.lazy import attach

__version__ = "0.1.0"

__getattr__, __dir__ = attach(
    __name__,
    {
        "ArtifactFinder": "desra.finder",
        "MaskRule": "desra.artifacts",
        "SRPair": "desra.networks.pair",
        "artifact_map": "desra.artifacts",
        "compose_pseudo_gt": "desra.artifacts",
    },
)
