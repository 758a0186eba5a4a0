"""Run a stage: ``desra STAGE ...``, the same as ``python -m desra.STAGE ...``."""

import importlib
import sys
from collections.abc import Sequence

import desra
from desra.utils.errors import did_you_mean

#: Stage -> what it does, in the order of use; each has a function ``main(argv) -> exit status``.
STAGES = {
    "run": "all of them, round after round: images in, a finetuned network out",
    "detect": "find artifacts: maps, masks and the pseudo ground truth",
    "train": "finetune the GAN network on what detect found, or train one",
    "evaluate": "compare before with after, or masks with true ones",
    "report": "a page of results to look at in a browser",
    "sweep": "what other thresholds and areas would find",
    "calibrate": "class weights from your own images",
    "upscale": "upscale images with a network, a finetuned one for example",
    "weights": "list, get, check, import and blend networks",
    "app": "look at one image in a browser, with sliders",
    "export": "a network as ONNX, safetensors or .pth for other programs",
}


def _help() -> str:
    width = max(map(len, STAGES))
    return "\n".join(
        [
            "usage: desra STAGE ...",
            "",
            "Find the artifacts that a GAN super-resolution network makes, and finetune them away.",
            "",
            *(f"  {stage:<{width}}  {purpose}" for stage, purpose in STAGES.items()),
            "",
            "`desra STAGE -h` says what a stage takes, for example",
            "  desra detect -i photo.png -o out",
            "  desra detect -opt options/detect.yml       (outside a clone too)",
        ]
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run a stage; only its module is imported.

    Args:
        argv: the stage and its arguments; None: those of the process.

    Returns:
        The exit status of the stage; 2 for an unknown one.
    """
    stage, *rest = (list(sys.argv[1:]) if argv is None else list(argv)) or ["--help"]
    if stage in ("-h", "--help"):
        print(_help())
        return 0
    if stage == "--version":
        print(f"desra {desra.__version__}")
        return 0
    if stage not in STAGES:
        hint = did_you_mean(stage, STAGES, f"the stages are {', '.join(STAGES)}")
        print(f"error: '{stage}' is not a stage of desra; {hint}", file=sys.stderr)
        return 2
    return importlib.import_module(f"desra.{stage}").main(rest)


if __name__ == "__main__":
    sys.exit(main())
