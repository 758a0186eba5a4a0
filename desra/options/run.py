"""The options of ``desra.run``, and those of the stages that they amount to."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import Field, model_validator

from desra.options.base import CommonOptions, Probability, RegisteredClass, Seed, Strict
from desra.options.detect import DetectOptions, InputOptions
from desra.options.evaluate import EvaluateOptions
from desra.options.loading import find_options_file, parse, read_yaml
from desra.options.loss_forms import rewrite
from desra.options.sections import PARTNER, NetworkOptions
from desra.options.train import TrainOptions
from desra.utils.errors import InputError

#: Keys of the stages that a run sets itself, and why they are no use in its sections.
_COMMON = {key: f"give {key} once, for the whole run" for key in ("device", "precision", "import")}
OWN = {
    "detect": _COMMON
    | {
        "input": "give input.lq of the run",
        "output": "each detection has its folder under the run's output",
        "scale": "it is that of the network",
        "sr_gan": "give sr_gan once, for the whole run",
        "sr_mse": "give sr_mse once, for the whole run",
        "masks": "set review: true and correct the masks that the run exports",
        "export": "set review: true",
        "protocol": "what is cropped cannot be trained on",
    },
    "train": _COMMON
    | {
        "name": "each training has its folder under the run's output",
        "scale": "it is that of the network",
        "manual_seed": "give manual_seed once, for the whole run",
        "network_g": "give sr_gan.network_g of the run",
        "path.pretrain_network_g": "give sr_gan.weights of the run",
        "path.preserve_network_g": "set preserve: original or preserve: previous",
        "path.experiments_root": "each training has its folder under the run's output",
        "datasets.train.dataroot": "each round learns from what the run detected",
    },
    "evaluate": _COMMON
    | {
        "before": "the run compares its own detections",
        "after": "the run compares its own detections",
        "gt": "give gt of the run",
        "output": "each evaluation has its folder under the run's output",
        "sheet": "each evaluation has its sheet under the run's output",
    },
}
#: The recipe for a network of this architecture, where `train.options` names none.
RECIPES = {"RRDBNet": "options/realesrgan/finetune_gentle.yml"}
RECIPE = "options/finetune.yml"
#: The detection whose masks that recipe was measured with, where `detect.options` names none.
DETECTIONS = {"RRDBNet": "options/realesrgan/detect.yml"}


class DetectSection(DetectOptions):
    """What `detect` of a run amounts to, without the keys that the run sets for each detection."""

    input: InputOptions = cast(Any, None)
    output: str = ""


class TrainSection(TrainOptions):
    """What `train` of a run amounts to, without the keys that the run sets for each finetuning, and
    without the architecture, which the weights tell."""

    name: str = ""
    network_g: RegisteredClass = cast(Any, None)


class EvaluateSection(EvaluateOptions):
    """What `evaluate` of a run amounts to, without the keys that the run sets for each comparison:
    the run always has something to compare."""

    output: str = ""

    @model_validator(mode="after")
    def _something_to_compare(self) -> "EvaluateSection":
        return self


class RunInputOptions(Strict):
    """The LR images, and those that come later."""

    lq: str
    """A folder of LR images, or embedded:finetune. It is listed again before each round: images
    that were put there join in."""
    add: list[str] = []
    """Folders that join in one by one: the first in round 2, the second in round 3, and so on."""


class RunOptions(CommonOptions):
    """``python -m desra.run``: detect, finetune, detect, evaluate, round after round."""

    losses_in: ClassVar[tuple[str, ...]] = ("train", "train")

    input: RunInputOptions
    """The LR images."""
    output: str
    """Folder of the run: networks, a folder a round, lineage.json, rounds.json."""
    sr_gan: NetworkOptions = NetworkOptions(weights="embedded:gan")
    """The network whose artifacts are to go."""
    sr_mse: NetworkOptions | None = NetworkOptions(weights=PARTNER)
    """Its MSE- or L1-trained partner; null: the bicubically upscaled LR image, with a detector that
    needs no partner."""
    holdout: str | None = None
    """A folder of LR images, or embedded:heldout, that are never finetuned on and judge each round;
    none: holdout_share of the input's images do."""
    holdout_share: Probability = 0.25
    """Share of the images that is held out, where holdout names no folder; which ones, their
    content and manual_seed decide, so an image stays on its side when others join in. 0: none, and
    the judges are the images finetuned on."""
    gt: str | None = None
    """Folder of the true HR images of those that judge (held out, if any are), where there is one;
    embedded:finetune / embedded:heldout."""
    max_rounds: Annotated[int, Field(ge=1)] = 3
    """Rounds at most; may be raised later."""
    min_gain: Probability = 0.05
    """Stop when a round gains less than this: regions that it removed less those that it added,
    compared with the round before, over the regions of the network before the first round."""
    min_detail: Probability = 0.85
    """A round after which less than this share of the detail is left outside the masks of before
    the first round is given up: blur removes everything."""
    review: bool = False
    """Stop after each detection for a human to correct the masks of the images finetuned on; the
    same command goes on."""
    sample_area: Probability = 0.2
    """What is learnt from: regions of more than this share of detect's mask.min_area, for
    smaller ones give more to learn from. Held-out images are judged by the whole of min_area."""
    preserve: Literal["original", "previous"] = "original"
    """What a round leaves alone (losses with `towards: before`) is held to what the network before
    the first round makes of it, or to what that of the previous round does."""
    manual_seed: Seed = 0
    """Of everything random."""
    detect: dict[str, Any] = {}
    """Options of desra.detect; `options: FILE` names a file of them, over which the keys given here
    go. Without a file: options/realesrgan/detect.yml for an RRDBNet, whose recipe was measured with
    the paper's detector; options/detect.yml for all others."""
    train: dict[str, Any] = {}
    """The same for desra.train. Without a file: options/realesrgan/finetune_gentle.yml for an
    RRDBNet, options/finetune.yml for all others."""
    evaluate: dict[str, Any] = {}
    """The same for desra.evaluate. Without a file: its defaults."""

    @model_validator(mode="after")
    def _sections_valid(self) -> "RunOptions":
        """Refuse what is wrong in a section, before any work."""
        parse(DetectSection, self._detect_content(), "detect")
        architecture = self.sr_gan.network_g.type if self.sr_gan.network_g else ""
        content = self._train_content(architecture)
        # The section train may ask for what needs weights to start from, and a run always has them.
        content["path"] = _section(content.get("path")) | {
            "pretrain_network_g": self.sr_gan.weights
        }
        parse(TrainSection, content, "train")
        parse(EvaluateSection, self._evaluate_content(), "evaluate")
        return self

    def for_network(self, architecture: str) -> "RunOptions":
        """Return the options with the detection that goes with the recipe of an architecture."""
        file = DETECTIONS.get(architecture)
        if file is None or "options" in self.detect:
            return self
        return self.model_copy(update={"detect": {"options": file, **self.detect}})

    # ------------------------------------------------------------------- the stages' own options

    def detect_options(
        self,
        lq: Path,
        output: Path,
        sr_gan: NetworkOptions,
        sr_mse: NetworkOptions | None,
        scale: int,
        area: float = 1.0,
        masks: Path | None = None,
        export: bool = False,
    ) -> DetectOptions:
        """Return the options of one detection.

        Args:
            lq: the folder of LR images.
            output: where its results go.
            sr_gan, sr_mse: the networks.
            scale: of both.
            area: share of mask.min_area that counts.
            masks: masks by a human; None: none.
            export: whether the masks are to be corrected by a human.

        Raises:
            InputError: the section `detect` is wrong, here and in the others likewise.
        """
        content = self._detect_content() | {
            "input": {"lq": str(lq)},
            "output": str(output),
            "scale": scale,
            "sr_gan": sr_gan.model_dump(),
            "sr_mse": sr_mse and sr_mse.model_dump(),
            "masks": str(masks) if masks else None,
            "export": ["labelme"] if export else [],
        }
        parsed = parse(DetectOptions, content, "detect")
        mask = replace(parsed.mask, min_area=parsed.mask.min_area * area)
        return parsed.model_copy(update={"mask": mask})

    def train_options(
        self,
        root: Path,
        dataroot: Iterable[Path],
        network_g: Mapping[str, Any],
        scale: int,
        start: str,
        original: str,
    ) -> TrainOptions:
        """Return the options of one finetuning.

        Args:
            root: where its folder, train, is made.
            dataroot: folders that detect wrote, to learn from.
            network_g: the architecture, with its arguments.
            scale: of the network.
            start, original: weights to start from, and of before the first round.
        """
        content = self._train_content(str(network_g["type"]))
        step = _section(content.get("train"))
        content |= {
            "name": "train",
            "scale": scale,
            "network_g": dict(network_g),
        }
        path = _section(content.get("path"))
        content["path"] = path | {"experiments_root": str(root), "pretrain_network_g": start}
        losses = _section(step.get("losses")).values()
        preserves = any(_section(loss).get("towards") == "before" for loss in losses)
        if self.preserve == "original" and preserves and start != original:
            content["path"]["preserve_network_g"] = original
        datasets = _section(content.get("datasets"))
        samples = _section(datasets.get("train"))
        samples["dataroot"] = [str(folder) for folder in dataroot]
        content["datasets"] = datasets | {"train": samples}
        return parse(TrainOptions, content, "train")

    def evaluate_options(
        self, before: Path, after: Path, output: Path, gt: str | None
    ) -> EvaluateOptions:
        """Return the options of one comparison.

        Args:
            before, after: what detect wrote with the network before and after.
            output: where the scores go.
            gt: the folder of true HR images; None: none.
        """
        content = self._evaluate_content() | {
            "before": str(before),
            "after": str(after),
            "output": str(output),
            "gt": gt,
            "sheet": str(output / "sheet.png"),
        }
        return parse(EvaluateOptions, content, "evaluate")

    # ------------------------------------------------------ the sections, as far as options tell

    def _detect_content(self) -> dict[str, Any]:
        content = self._content("detect", "options/detect.yml")
        named = _section(content.get("sr_gan")).get("weights", self.sr_gan.weights)
        if named != self.sr_gan.weights and "sr_gan" not in self.model_fields_set:
            raise InputError(
                f"detect.options: {self.detect['options']} looks at {named}, but this run "
                f"finetunes {self.sr_gan.weights}; say which: sr_gan: {{weights: {named}}}"
            )
        kept = {key: content[key] for key in content if key not in OWN["detect"]}
        return kept | self._common() | {"protocol": "full"}

    def _train_content(self, architecture: str) -> dict[str, Any]:
        content = self._content("train", RECIPES.get(architecture, RECIPE))
        kept = {key: content[key] for key in content if key not in OWN["train"]}
        return kept | self._common() | {"manual_seed": self.manual_seed}

    def _evaluate_content(self) -> dict[str, Any]:
        content = self._content("evaluate", None)
        kept = {key: content[key] for key in content if key not in OWN["evaluate"]}
        return kept | self._common()

    def _common(self) -> dict[str, Any]:
        return {"device": self.device, "precision": self.precision, "import": self.imports}

    def _content(self, stage: str, default: str | None) -> dict[str, Any]:
        """Return a section over its file.

        Raises:
            InputError: there is no such file, or the section has a key that the run sets.
        """
        given: dict[str, Any] = dict(getattr(self, stage))
        for key, advice in OWN[stage].items():
            *parents, last = key.split(".")
            place = given
            for parent in parents:
                place = _section(place.get(parent))
            if last in place:
                raise InputError(f"{stage}.{key}: is set by the run; {advice}")
        file = given.pop("options", None) or default
        below = read_yaml(find_options_file(file)) if file else {}
        if stage == "train":  # both may name their losses in older forms
            below["train"] = _rewritten(_section(below.get("train")), {})
            if "train" in given:
                given["train"] = _rewritten(given["train"], below["train"])
        return _merged(below, given)


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """``above`` over ``below``, section by section; a section that names another ``type`` than
    that below replaces it."""
    result = dict(below)
    for key, value in above.items():
        old, new = _section(result.get(key)), _section(value)
        same = bool(old and new) and new.get("type", old.get("type")) == old.get("type")
        result[key] = _merged(old, new) if same else value
    return result


def _rewritten(step: Any, below: Mapping[str, Any]) -> Any:
    """The run's section train.train, with its losses by name."""
    try:
        return rewrite(_section(step), below) if isinstance(step, dict) else step
    except InputError as error:
        raise InputError(f"train: train: {error}") from error


def _section(value: Any) -> dict[str, Any]:
    """A copy of a section; of anything else an empty one."""
    return dict(cast(dict[str, Any], value)) if isinstance(value, dict) else {}
