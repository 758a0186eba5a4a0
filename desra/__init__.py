"""DeSRA: find the artifacts that a GAN super-resolution network makes on real images, and finetune
them away (Xie et al., ICML 2023, arXiv 2307.02457).

In a notebook::

    import desra

    finder = desra.ArtifactFinder.from_checkpoints("gan.pth", "mse.pth")
    artifacts = finder(lq)                # lq: uint8 RGB (H, W, 3)
    artifacts.mask, artifacts.pseudo_gt()

`ArtifactFinder` is the method as one object: call it with an LR image, or let it look at finished
images. `SRPair` runs the two networks; `desra.artifacts` is the method as pure functions of arrays.
These names, `artifact_map`, `MaskRule` and `compose_pseudo_gt` are loaded at their first use:
``import desra`` itself loads neither torch nor OpenCV nor basicsr.

On a command line: ``desra STAGE``, the same as ``python -m desra.STAGE``. The stages:

- `desra.run`: all of detect, train and evaluate, round after round
- `desra.detect`: LR images (or finished SR pairs) -> SR, map, mask, pseudo ground truth
- `desra.train`: finetune the GAN network on what detect found, or train a network
- `desra.evaluate`: compare before with after, or masks with true ones
- `desra.report`: a page of results to look at in a browser
- `desra.sweep`: what other thresholds and areas would find
- `desra.calibrate`: class weights from one's own images, by SegFormer's classes
- `desra.upscale`: upscale images with a network, a finetuned one for example
- `desra.weights`: list, get, check, import and blend networks
- `desra.app`: look at one image in a browser, with sliders
- `desra.export`: a network as ONNX, safetensors or .pth for other programs

What they are made of, each importing only from those above it:

- `desra.utils`: errors, devices, processes, threads, tables for a terminal
- `desra.artifacts`: the method as pure functions of arrays: map, mask, pseudo ground truth
- `desra.options`: the options of all stages, checked, from YAML; `desra.registry`: basicsr's
  registries, filled with its classes and desra's
- `desra.io`: images and all other files; `desra.metrics`: scores; `desra.cli`: the command line
  that the stages share
- `desra.detectors`: the detectors by name
- `desra.losses`, `desra.archs`: losses and architectures that basicsr lacks
- `desra.networks`: a checkpoint becomes a network: load, zoo, ncnn, ONNX, tiling, the pair
- `desra.finder`: from an image to its artifacts; `desra.data`: datasets and degradations
- `desra.models`: DeSRAModel, one training step of a GAN-SR network
- the stages, and above them `desra.run` and `desra.app`; ``desra.__main__``: the command ``desra``
- ``desra/assets``: embedded networks, and the parts of the report
"""

from typing import TYPE_CHECKING

from desra.utils.lazy import attach

if TYPE_CHECKING:
    from desra.artifacts import MaskRule, artifact_map, compose_pseudo_gt
    from desra.finder import ArtifactFinder
    from desra.networks.pair import SRPair

__version__ = "0.1.0"

__all__ = [
    "ArtifactFinder",
    "MaskRule",
    "SRPair",
    "__version__",
    "artifact_map",
    "compose_pseudo_gt",
]

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
