"""Typed, strict options: every key described, an unknown key answered with path and neighbour.

A YAML file becomes one frozen object; nothing in it is ever evaluated. Sections that describe a
registered class (``network_g``, ``pixel_opt``, a dataset) hold ``type`` and that class's own
arguments, which :mod:`desra.registry` checks against the class.
"""

import difflib
import hashlib
import json
import re
import types
import typing
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from desra.artifacts import MaskRule, WindowSpec
from desra.errors import InputError

Probability = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Range = tuple[float, float]


class Strict(BaseModel):
    """A section whose keys are all known."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, populate_by_name=True, use_attribute_docstrings=True
    )


class Component(BaseModel):
    """A registered class by name (``type``) and, beside it, the arguments of that class."""

    model_config = ConfigDict(extra="allow", frozen=True, use_attribute_docstrings=True)

    type: str
    """Name in the registry: one of basicsr's, of desra's, or of a module listed in `import`."""

    def spec(self) -> dict[str, Any]:
        """``type`` and the class's arguments, without the keys that desra itself reads."""
        own = set(type(self).model_fields) - {"type"}
        return {k: v for k, v in self.model_dump().items() if k not in own}


class CommonOptions(Strict):
    """What every stage knows."""

    device: str = "auto"
    """auto (cuda, else mps, else cpu), or torch's own name of a device."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """What networks compute in; auto is bf16 where the device has it natively, else fp32."""
    imports: list[str] = Field(default=[], alias="import")
    """Modules to import first: those that register your own archs, losses, datasets, models."""


# --------------------------------------------------------------------------------------- detect


class InputOptions(Strict):
    """Either LR images, or two folders of finished SR images."""

    lq: str | None = None
    """An LR image, a folder of them, or embedded:finetune / embedded:heldout (pictures inside)."""
    sr_gan: str | None = None
    """A folder of finished GAN-SR images; then no network runs."""
    sr_mse: str | None = None
    """The folder of their MSE-SR partners, paired by file name."""

    @model_validator(mode="after")
    def _one_kind(self) -> "InputOptions":
        finished = (self.sr_gan is not None, self.sr_mse is not None)
        if any(finished) and not all(finished):
            raise ValueError("sr_gan and sr_mse belong together: give both")
        if not any(finished) and self.lq is None:
            raise ValueError("give lq (LR images), or sr_gan and sr_mse (finished SR images)")
        return self


class NetworkOptions(Strict):
    """An SR network: weights, and the architecture where it cannot be told from them."""

    weights: str
    """A checkpoint (.pth or .safetensors), or embedded:gan / embedded:mse."""
    network_g: Component | None = None
    """The architecture; left out, it is found from the weights."""


class TileOptions(Strict):
    """Tiles bound the memory; both networks run on the same grid."""

    size: Annotated[int, Field(ge=0)] = 256
    """Side of a tile in LR pixels; 0: the whole image at once."""
    overlap: Annotated[int, Field(ge=0)] = 24
    """LR pixels that neighbouring tiles share; blended."""

    @model_validator(mode="after")
    def _fits(self) -> "TileOptions":
        if self.size and 2 * self.overlap >= self.size:
            raise ValueError(f"overlap {self.overlap} must be less than half of size {self.size}")
        return self


class WindowOptions(Strict):
    """The Gaussian window of the local variance (Eq. 2) and the range behind its constant C."""

    size: Annotated[int, Field(ge=1)] = 11
    """Side in pixels, odd."""
    sigma: Positive = 1.5
    """Standard deviation in pixels."""
    data_range: Positive = 255.0
    """Largest pixel value; C = (0.03 data_range)^2."""

    def spec(self) -> WindowSpec:
        """The same for the functions of :mod:`desra.artifacts`."""
        return WindowSpec(**self.model_dump())

    @model_validator(mode="after")
    def _valid(self) -> "WindowOptions":
        self.spec()
        return self


class MaskOptions(Strict):
    """From the map to the mask."""

    threshold: NotNegative = 0.7
    """A pixel with D below this is a candidate."""
    kernel: Annotated[int, Field(ge=1)] = 5
    """Side of the square structuring element in pixels."""
    erode: Annotated[int, Field(ge=0)] = 1
    """How often it erodes."""
    dilate: Annotated[int, Field(ge=0)] = 3
    """How often it dilates after that."""
    min_area: NotNegative = 4000
    """A component is kept if its area is greater than this."""
    min_area_unit: Literal["px", "px_at_x4", "px_per_megapixel"] = "px"
    """px: pixels of the SR image; px_at_x4: pixels at scale 4, for other scales times (scale/4)^2;
    px_per_megapixel: pixels for each million pixels of the SR image."""

    def rule(self, sr_size: tuple[int, int] = (1000, 1000), scale: int = 4) -> MaskRule:
        """The same for the functions of :mod:`desra.artifacts`, for an SR image of (H, W)."""
        height, width = sr_size
        factor = {
            "px": 1.0,
            "px_at_x4": (scale / 4) ** 2,
            "px_per_megapixel": height * width / 1e6,
        }[self.min_area_unit]
        area = round(self.min_area * factor)
        return MaskRule(self.threshold, self.kernel, self.erode, self.dilate, area)

    @model_validator(mode="after")
    def _valid(self) -> "MaskOptions":
        self.rule()
        return self


class SegmentOptions(Strict):
    """What each pixel shows: class ids and the interval of each class, hence its weight (Eq. 9)."""

    type: Literal["none", "labels", "segformer"] = "none"
    """none: no classes; labels: class-id PNGs; segformer: a SegFormer by transformers."""
    labels: str | None = None
    """With labels: a folder of gray or palette PNGs, with the SR images' names and sizes."""
    names: list[str] | str | None = None
    """With labels: the class names in the order of their ids from 0, or a text file, one a line."""
    model: str = "nvidia/segformer-b5-finetuned-ade-640-640"
    """With segformer: a folder of save_pretrained, or a name on huggingface.co."""
    table: str | None = None
    """The intervals.yml that calibrate wrote, or JSON like it; none: the paper's, for ADE20K."""

    @model_validator(mode="after")
    def _whole(self) -> "SegmentOptions":
        given = self.labels is not None, self.names is not None
        if self.type == "labels" and not all(given):
            raise ValueError("type: labels needs labels (a folder) and names (of the classes)")
        if self.type != "labels" and any(given):
            raise ValueError(f"labels and names are for type: labels, not {self.type}")
        if self.type == "none" and self.table is not None:
            raise ValueError("table needs classes: type: labels or segformer")
        return self


class IntervalTable(Strict):
    """The file that ``segment.table`` names: the interval of each class (Fig. 10b)."""

    intervals: Annotated[int, Field(ge=1)] = 20
    """Into how many equal intervals [0, 1] is cut, n."""
    classes: dict[str, Annotated[int, Field(ge=0)]]
    """Class name -> interval i, counted from D = 1 down; its weight is n / (n - i)."""

    @model_validator(mode="after")
    def _in_range(self) -> "IntervalTable":
        beyond = [name for name, i in self.classes.items() if i >= self.intervals]
        if beyond:
            last = self.intervals - 1
            raise ValueError(f"classes: an interval is at most {last}: {', '.join(beyond)}")
        return self


class DetectorOptions(Strict):
    """What makes the similarity map of an SR pair."""

    type: str = "relative_local_variance"
    """Another: absolute_local_variance, local_ssim, bicubic_reference, ldl, or one of your own."""


class DetectOptions(CommonOptions):
    """``python -m desra.detect``: LR images or SR pairs -> map, mask, pseudo ground truth."""

    input: InputOptions
    """What to look at."""
    output: str
    """Folder for the results; each image's rows and files are redone only if settings changed."""
    scale: Annotated[int, Field(ge=1)] = 4
    """Upscaling factor; both networks must have it."""
    sr_gan: NetworkOptions = NetworkOptions(weights="embedded:gan")
    """The GAN-trained network, whose artifacts are looked for."""
    sr_mse: NetworkOptions | None = NetworkOptions(weights="embedded:mse")
    """Its MSE- or L1-trained partner, the reference; null: the bicubically upscaled LR image."""
    tile: TileOptions = TileOptions()
    """How large images are cut for the networks."""
    window: WindowOptions = WindowOptions()
    """Local variance."""
    detector: DetectorOptions = DetectorOptions()
    """What makes the similarity map."""
    segment: SegmentOptions = SegmentOptions()
    """Class ids, whose weights spare textures that an MSE-SR network cannot make (Eq. 9)."""
    mask: MaskOptions = MaskOptions()
    """Threshold, morphology, area."""
    masks: str | None = None
    """Masks by a human, used instead of the detected ones for the images that have one: a folder
    of LabelMe files or of mask images (0 and 255), or a COCO file."""
    export: list[Literal["labelme", "coco"]] = []
    """Also write the masks for correction by hand: labelme/<stem>.json, coco.json."""
    protocol: Literal["full", "released"] = "full"
    """full: masks as large as the image; released: cropped by the window's border, as the paper's
    released code leaves them (not to be trained on)."""
    sr_bits: Literal[8, 16] = 8
    """Bits of the SR images that 16-bit inputs give; the map is of 8 bits always."""
    on_error: Literal["stop", "skip"] = "stop"
    """An unreadable image: stop (before any work, if its header tells), or skip it and sum up at
    the end."""


# ---------------------------------------------------------------------------------------- train


class Degradation(Strict):
    """Real-ESRGAN's two-stage degradation, by its published names and values (arXiv 2107.10833)."""

    kernel_range: tuple[int, int] = (7, 21)
    """Smallest and largest (odd) side of a blur kernel."""
    kernel_list: list[str] = [
        "iso", "aniso", "generalized_iso", "generalized_aniso", "plateau_iso", "plateau_aniso",
    ]  # fmt: skip
    """Kinds of blur kernel, first stage."""
    kernel_prob: list[Probability] = [0.45, 0.25, 0.12, 0.03, 0.12, 0.03]
    """Their probabilities."""
    sinc_prob: Probability = 0.1
    """Probability of a sinc kernel instead."""
    blur_sigma: Range = (0.2, 3.0)
    """Range of the kernels' standard deviation in pixels."""
    betag_range: Range = (0.5, 4.0)
    """Shape of generalized Gaussian kernels."""
    betap_range: Range = (1.0, 2.0)
    """Shape of plateau kernels."""
    resize_prob: tuple[float, float, float] = (0.2, 0.7, 0.1)
    """Probabilities of up, down, keep."""
    resize_range: Range = (0.15, 1.5)
    """Range of the resize factor."""
    gaussian_noise_prob: Probability = 0.5
    """Probability of Gaussian noise; else Poisson noise."""
    noise_range: Range = (1.0, 30.0)
    """Range of the Gaussian noise's sigma in grey levels."""
    poisson_scale_range: Range = (0.05, 3.0)
    """Range of the Poisson noise's scale."""
    gray_noise_prob: Probability = 0.4
    """Probability that noise is the same in the three channels."""
    jpeg_range: Range = (30.0, 95.0)
    """Range of JPEG quality."""

    second_blur_prob: Probability = 0.8
    """Probability of a second blur."""
    kernel_list2: list[str] = [
        "iso", "aniso", "generalized_iso", "generalized_aniso", "plateau_iso", "plateau_aniso",
    ]  # fmt: skip
    """As in the first stage."""
    kernel_prob2: list[Probability] = [0.45, 0.25, 0.12, 0.03, 0.12, 0.03]
    """As in the first stage."""
    sinc_prob2: Probability = 0.1
    """As in the first stage."""
    blur_sigma2: Range = (0.2, 1.5)
    """As in the first stage."""
    betag_range2: Range = (0.5, 4.0)
    """As in the first stage."""
    betap_range2: Range = (1.0, 2.0)
    """As in the first stage."""
    resize_prob2: tuple[float, float, float] = (0.3, 0.4, 0.3)
    """As in the first stage."""
    resize_range2: Range = (0.3, 1.2)
    """As in the first stage."""
    gaussian_noise_prob2: Probability = 0.5
    """As in the first stage."""
    noise_range2: Range = (1.0, 25.0)
    """As in the first stage."""
    poisson_scale_range2: Range = (0.05, 2.5)
    """As in the first stage."""
    gray_noise_prob2: Probability = 0.4
    """As in the first stage."""
    jpeg_range2: Range = (30.0, 95.0)
    """As in the first stage."""
    final_sinc_prob: Probability = 0.8
    """Probability of the final sinc filter."""

    @model_validator(mode="after")
    def _lists_agree(self) -> "Degradation":
        for kinds, shares in (
            (self.kernel_list, self.kernel_prob),
            (self.kernel_list2, self.kernel_prob2),
        ):
            if len(kinds) != len(shares) or not sum(shares) > 0:
                raise ValueError("a kernel_list and its kernel_prob must be equally long, sum > 0")
        return self


class DatasetOptions(Component):
    """A registered dataset and how it is loaded."""

    share: Positive = 1.0
    """How often this dataset is drawn, in proportion to the shares of the others."""


class DatasetsOptions(Strict):
    """Where samples come from; `train` and `clean` are mixed by their shares."""

    train: DatasetOptions
    """The samples to learn from."""
    clean: DatasetOptions | None = None
    """Ordinary pairs mixed in, so that the network does not forget."""
    batch_size: Annotated[int, Field(ge=1)] = 16
    """Crops a step."""
    num_workers: Annotated[int, Field(ge=0)] = 1
    """Processes that read and degrade; 0: in the training process."""


class PathOptions(Strict):
    """Weights to start from."""

    pretrain_network_g: str | None = None
    """Checkpoint of the generator, or embedded:gan / embedded:mse; none: random weights."""
    pretrain_network_d: str | None = None
    """Checkpoint of the discriminator; none: random weights."""
    experiments_root: str = "experiments"
    """Folder in which the run's folder is made."""


class OptimizerOptions(Component):
    """An optimiser of torch.optim by name, and its arguments."""

    type: str = "Adam"
    """Name in torch.optim."""


class SchedulerOptions(Component):
    """A schedule of torch.optim.lr_scheduler by name, stepped once an iteration."""

    type: str = "CosineAnnealingLR"
    """Name in torch.optim.lr_scheduler."""


class PixelLossOptions(Component):
    """A pixel loss with its own weight inside and outside the artifact mask."""

    inside: NotNegative = 1.0
    """Factor on masked pixels."""
    outside: NotNegative = 1.0
    """Factor on all other pixels."""


class StepOptions(Strict):
    """Iterations, losses, optimisers."""

    total_iter: Annotated[int, Field(ge=1)]
    """Iterations in all."""
    warmup_iter: Annotated[int, Field(ge=0)] = 0
    """Iterations in which the learning rates rise linearly to their values."""
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """Decay of the moving average of the generator's weights; 0: none."""
    strength: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the change that is kept: what is saved is before + strength (after - before), weight
    by weight. Less removes less and keeps more."""
    optim_g: OptimizerOptions
    """The generator's optimiser."""
    optim_d: OptimizerOptions | None = None
    """The discriminator's optimiser; needed with gan_opt."""
    scheduler: SchedulerOptions | None = None
    """Learning-rate schedule of both; none: constant."""
    pixel_opt: PixelLossOptions | None = None
    """Pixel loss towards the (pseudo) ground truth."""
    texture_opt: PixelLossOptions | None = None
    """Loss on the amount of local texture (LocalStdLoss), weighed like the pixel loss."""
    gan_opt: Component | None = None
    """Adversarial loss."""
    net_d_iters: Annotated[int, Field(ge=1)] = 1
    """The generator is updated at every n-th iteration."""
    net_d_init_iters: Annotated[int, Field(ge=0)] = 0
    """Iterations in which only the discriminator learns."""


class LoggerOptions(Strict):
    """What is written while training."""

    print_freq: Annotated[int, Field(ge=1)] = 100
    """Iterations between two lines of the log and two points in TensorBoard."""
    save_checkpoint_freq: Annotated[int, Field(ge=1)] = 1000
    """Iterations between two checkpoints."""


class TrainOptions(CommonOptions):
    """``python -m desra.train``: train or finetune a network."""

    name: Annotated[str, Field(pattern=r"^[\w.-]+$")]
    """Name of the run: the folder under experiments_root."""
    model_type: str = "DeSRAModel"
    """Name in MODEL_REGISTRY."""
    scale: Annotated[int, Field(ge=1)] = 4
    """Upscaling factor."""
    manual_seed: int = 0
    """Seed of weights, crops and degradations."""
    network_g: Component
    """The generator."""
    network_d: Component | None = None
    """The discriminator; needed with gan_opt."""
    datasets: DatasetsOptions
    """Samples."""
    path: PathOptions = PathOptions()
    """Weights to start from."""
    train: StepOptions
    """Losses and optimisers."""
    logger: LoggerOptions = LoggerOptions()
    """Logs and checkpoints."""

    @model_validator(mode="after")
    def _gan_is_whole(self) -> "TrainOptions":
        if self.train.gan_opt and not (self.network_d and self.train.optim_d):
            raise ValueError("train.gan_opt needs network_d and train.optim_d")
        if self.train.strength < 1 and not self.path.pretrain_network_g:
            raise ValueError("train.strength below 1 needs path.pretrain_network_g to go back to")
        if not (self.train.pixel_opt or self.train.gan_opt):
            raise ValueError("train: no loss is given; add pixel_opt or gan_opt")
        return self


# ------------------------------------------------------------------------------------- evaluate


class EvaluateOptions(CommonOptions):
    """``python -m desra.evaluate``: what a finetuning removed, and what it kept."""

    before: str
    """Folder that detect wrote with the network before finetuning."""
    after: str
    """Folder that detect wrote with the finetuned network, from the same inputs."""
    gt: str | None = None
    """Folder of true HR images, where there are any; embedded:finetune / embedded:heldout."""
    output: str
    """Folder for scores.json."""
    sheet: str | None = None
    """Path of a contact sheet to write (PNG); none: no sheet."""
    sheet_rows: Annotated[int, Field(ge=1)] = 8
    """Images on the contact sheet, those with most masked pixels before first."""

    @model_validator(mode="after")
    def _sheet_is_png(self) -> "EvaluateOptions":
        if self.sheet is not None and not self.sheet.lower().endswith(".png"):
            raise ValueError(f"sheet: must be the path of a .png file, not {self.sheet}")
        return self


# ------------------------------------------------------------------------------------ calibrate


class CalibrateInputOptions(Strict):
    """SR pairs: a folder that detect wrote, or two folders of finished images."""

    results: str | None = None
    """A folder that detect wrote; its sr_gan and sr_mse are read."""
    sr_gan: str | None = None
    """A folder of GAN-SR images."""
    sr_mse: str | None = None
    """The folder of their MSE-SR partners, paired by file name."""

    @model_validator(mode="after")
    def _one_kind(self) -> "CalibrateInputOptions":
        folders = (self.sr_gan is not None, self.sr_mse is not None)
        if any(folders) == (self.results is not None) or any(folders) != all(folders):
            raise ValueError("give results (written by detect), or sr_gan and sr_mse (two folders)")
        return self


class CalibrateOptions(CommonOptions):
    """``python -m desra.calibrate``: SR pairs and class ids -> the interval of each class."""

    input: CalibrateInputOptions
    """What to measure: ordinary images, in which artifacts are rare."""
    output: str
    """Folder for intervals.yml (for segment.table), intervals.csv and plots/."""
    segment: SegmentOptions = SegmentOptions()
    """Where the class ids come from; none: one class, all."""
    quantile: Annotated[float, Field(ge=0, lt=1)] = 0.85
    """More than this share of a class's pixels must lie within its intervals."""
    intervals: Annotated[int, Field(ge=1)] = 20
    """Into how many equal intervals [0, 1] is cut."""
    window: WindowOptions = WindowOptions()
    """Local variance; as in detect."""
    plots: bool = False
    """Draw the shares of each class into plots/; needs `pip install 'desra[plot]'`."""


# ---------------------------------------------------------------------------------------- sweep


class SweepOptions(CommonOptions):
    """``python -m desra.sweep``: what other thresholds and areas would find, without a network."""

    input: str
    """Folder that detect wrote; its sr_gan and sr_mse are read."""
    output: str
    """Folder for sweep.csv."""
    thresholds: Annotated[list[Probability], Field(min_length=1)] = [0.5, 0.6, 0.7, 0.8]
    """A pixel with D below it is a candidate."""
    min_areas: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)] = [0, 1000, 4000]
    """A component is kept if its area in pixels is greater than this."""
    kernel: Annotated[int, Field(ge=1)] = MaskRule.kernel
    """As in detect's mask."""
    erode: Annotated[int, Field(ge=0)] = MaskRule.erode
    """As in detect's mask."""
    dilate: Annotated[int, Field(ge=0)] = MaskRule.dilate
    """As in detect's mask."""
    window: WindowOptions = WindowOptions()
    """Local variance; as in detect."""
    detector: DetectorOptions = DetectorOptions()
    """What makes the similarity map."""
    truth: str | None = None
    """True masks: a folder of LabelMe files or of mask images (0 and 255), or a COCO file."""
    gt: str | None = None
    """True HR images for a detector that needs them: a folder, or embedded:finetune / :heldout."""

    def rule(self, threshold: float) -> MaskRule:
        """The rule at one threshold that keeps components of any area."""
        return MaskRule(threshold, self.kernel, self.erode, self.dilate, min_area=0)

    @model_validator(mode="after")
    def _valid(self) -> "SweepOptions":
        self.rule(self.thresholds[0])
        return self


# ----------------------------------------------------------------------------- loading, checking

Options = TypeVar("Options", bound=Strict)


class _UniqueKeys(yaml.SafeLoader):
    """A safe loader that refuses a key given twice, where YAML would keep the last silently."""


def _mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)  # pyright: ignore
        if not isinstance(key, Hashable):
            continue  # construct_mapping below refuses it
        if key in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key '{key}' is given twice", key_node.start_mark
            )
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


_UniqueKeys.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
# YAML 1.1 takes 1e-4 for text, since it lacks the dot; every learning rate is written so.
_EXPONENT = re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$")
_UniqueKeys.add_implicit_resolver(  # pyright: ignore[reportUnknownMemberType]
    "tag:yaml.org,2002:float", _EXPONENT, list("-+0123456789")
)


def find_options_file(path: str) -> Path:
    """``path`` itself, or the file of that name that ships with desra (for use outside a clone).

    Raises:
        InputError: there is neither.
    """
    if Path(path).is_file():
        return Path(path)
    inside = Path(path).parts
    inside = Path(*inside[1:]) if inside[:1] == ("options",) else Path(path)
    shipped_folders = [
        Path(__file__).parent / "assets" / "options",  # in an installed wheel
        Path(__file__).parent.parent / "options",  # in a clone
    ]
    for folder in shipped_folders:
        if not inside.is_absolute() and (folder / inside).is_file():
            return folder / inside
    raise InputError(f"-opt: the options file {path} does not exist")


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file as a dictionary.

    Raises:
        InputError: not readable, not YAML, a key given twice, or not a mapping.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeys)  # a SafeLoader
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text ({error})") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path}: is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: must hold `key: value` lines")
    return typing.cast(dict[str, Any], content)


def force(content: Mapping[str, Any], assignments: Iterable[str]) -> dict[str, Any]:
    """``content`` with ``a:b=c`` applied; ``c`` is read as YAML, never evaluated.

    Raises:
        InputError: an assignment has no ``=``, a value that is not YAML, or a path through a value.
    """
    result: dict[str, Any] = json.loads(json.dumps(content, default=str))
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals or not path:
            raise InputError(f"--force_yml: '{assignment}' must be written key:subkey=value")
        try:
            value = yaml.load(text, Loader=_UniqueKeys)  # a SafeLoader
        except yaml.YAMLError as error:
            raise InputError(f"--force_yml: the value in '{assignment}' is not YAML") from error
        *parents, last = path.split(":")
        place = result
        for key in parents:
            if place.get(key) is None:
                place[key] = {}
            inner: Any = place[key]
            if not isinstance(inner, dict):
                raise InputError(f"--force_yml: '{key}' in '{path}' is a value, not a section")
            place = typing.cast(dict[str, Any], inner)
        place[last] = value
    return result


def _sections(annotation: Any) -> list[type[BaseModel]]:
    """The sections that an annotation such as ``Section | None`` admits."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if typing.get_origin(annotation) in (typing.Union, types.UnionType, Annotated):
        return [s for a in typing.get_args(annotation) for s in _sections(a)]
    return []


def _keys_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """The keys that are known at ``location``, for "did you mean"."""
    for key in location:
        fields = {(f.alias or n): f for n, f in model.model_fields.items()}
        sections = _sections(fields[str(key)].annotation) if str(key) in fields else []
        if not sections:
            return []
        model = sections[0]
    return [f.alias or n for n, f in model.model_fields.items()]


def _sentence(model: type[BaseModel], error: ErrorDetails) -> str:
    path = ".".join(str(key) for key in error["loc"])
    if error["type"] == "extra_forbidden":
        known = _keys_at(model, error["loc"][:-1])
        near = difflib.get_close_matches(str(error["loc"][-1]), known, n=1, cutoff=0.5)
        hint = f"did you mean '{near[0]}'?" if near else f"known here: {', '.join(known)}"
        return f"{path}: unknown key; {hint}"
    if error["type"] == "missing":
        return f"{path}: this key is needed"
    message = error["msg"].removeprefix("Value error, ")
    given = "" if error["type"] == "value_error" else f" (given: {error['input']!r})"
    return f"{path + ': ' if path else ''}{message}{given}"


def parse(model: type[Options], content: Mapping[str, Any], source: str) -> Options:
    """Validate ``content``.

    Args:
        model: the section that it must fit.
        content: keys and values as read from YAML.
        source: what to call it in the message, usually the file.

    Raises:
        InputError: names every error at once, each with its key path.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        sentences = [_sentence(model, e) for e in error.errors()]
        raise InputError(f"{source}: " + "\n  ".join(["", *sentences]).strip()) from error


def load(model: type[Options], path: str, assignments: Iterable[str] = ()) -> Options:
    """Read, override and validate an options file.

    Raises:
        InputError: see :func:`read_yaml`, :func:`force`, :func:`parse`.
    """
    file = find_options_file(path)
    return parse(model, force(read_yaml(file), assignments), str(file))


def resolved(options: BaseModel) -> dict[str, Any]:
    """All keys with the values in force, defaults too, as plain data."""
    return options.model_dump(mode="json", by_alias=True)


def fingerprint(content: Any) -> str:
    """Twelve hexadecimal digits that change when the (JSON-like) content does."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
