"""The options of ``desra.train``."""

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema, model_validator

from desra.artifacts import WindowSpec
from desra.options.base import CommonOptions, NotNegative, Positive, RegisteredClass, Seed, Strict
from desra.options.comparing import flat, nested
from desra.options.loss_forms import OLD_KEYS, refuse_idle_flags, rewrite
from desra.options.sections import DEFAULT_RULE, DetectorOptions, Mask, Tiles, Window

#: What does something only beside an adversarial loss.
_ADVERSARIAL_ONLY = (
    "network_d",
    "path.pretrain_network_d",
    "train.optim_d",
    "train.net_d_iters",
    "train.net_d_init_iters",
)
#: The side of the largest crop that is trained on.
_MAX_CROP = 4096
_NAME = r"^\w[\w.-]*$"


def _one_folder(name: str) -> str:
    """Refuse ``.`` and ``..``, which would be folders of others."""
    if not re.fullmatch(_NAME, name):
        raise ValueError(
            "must begin with a letter, digit or underscore and go on with these, dots and hyphens "
            f"(given: {name!r})"
        )
    return name


def _refuse_negative(section: RegisteredClass, concerned: Callable[[str], bool]) -> None:
    """Refuse what is no number, or negative, under some of the keys that a class gets.

    Raises:
        ValueError: names the key and the value.
    """
    for key, value in section.spec().items():
        if not concerned(key):
            continue
        values = cast(dict[str, Any], value) if isinstance(value, dict) else {"": value}
        for inner, number in values.items():
            if isinstance(number, bool) or (isinstance(number, int | float) and number < 0):
                path = f"{key}.{inner}" if inner else key
                raise ValueError(f"{path} must be a number, 0 or more (given: {number})")


class DatasetOptions(RegisteredClass):
    """A registered dataset and how it is loaded."""

    share: Positive = 1.0
    """How often this dataset is drawn, in proportion to the shares of the others."""

    @model_validator(mode="after")
    def _sizes(self) -> "DatasetOptions":
        for key in ("gt_size", "crop_pad_size"):
            side = self.spec().get(key, 1)
            if type(side) is not int or not 1 <= side <= _MAX_CROP:
                raise ValueError(
                    f"{key} must be a whole number of pixels, 1 to {_MAX_CROP} (given: {side!r})"
                )
        return self


class DatasetsOptions(Strict):
    """Where samples come from; `train` and `clean` are mixed by their shares."""

    train: DatasetOptions
    """The samples to learn from."""
    clean: DatasetOptions | None = None
    """Ordinary pairs mixed in, so that the network does not forget."""
    batch_size: Annotated[int, Field(ge=1, le=4096)] = 16
    """Crops at a time, of each process; a step takes this many times train.accumulate times the
    number of processes."""
    num_workers: Annotated[int, Field(ge=0, le=256)] = 1
    """Processes that read and degrade; 0: in the training process."""


class PathOptions(Strict):
    """Weights to start from."""

    pretrain_network_g: str | None = None
    """Checkpoint of the generator, a name that `python -m desra.weights list` gives, or
    embedded:gan / embedded:mse; none: random weights."""
    pretrain_network_d: str | None = None
    """Checkpoint of the discriminator, for an adversarial loss; none: random weights."""
    preserve_network_g: str | None = None
    """The network that losses with `towards: before` hold to, of the same architecture; none:
    pretrain_network_g. In a second round of finetuning: the network before the first."""
    experiments_root: str = "experiments"
    """Folder in which the run's folder is made."""


class OptimizerOptions(RegisteredClass):
    """An optimiser of torch.optim by name, and its arguments."""

    type: str = "Adam"
    """Name in torch.optim."""

    @model_validator(mode="after")
    def _rates(self) -> "OptimizerOptions":
        _refuse_negative(self, lambda key: key in ("lr", "weight_decay", "eps", "lr_decay"))
        return self


class SchedulerOptions(RegisteredClass):
    """A schedule of torch.optim.lr_scheduler by name, stepped once an iteration."""

    type: str = "CosineAnnealingLR"
    """Name in torch.optim.lr_scheduler."""

    @model_validator(mode="after")
    def _rates(self) -> "SchedulerOptions":
        _refuse_negative(self, lambda key: key in ("eta_min", "gamma", "factor", "total_iters"))
        return self


class LossOptions(RegisteredClass):
    """A registered loss of the generator, and how much each pixel counts in it.

    The section's other keys are arguments of the class.
    """

    weight: NotNegative = 1.0
    """Factor of the whole loss; in basicsr's classes, loss_weight."""
    towards: Literal["gt", "gt_usm", "before"] = "gt"
    """What the output is compared with: the (pseudo) ground truth; the same sharpened (USM), which
    on a pseudo ground truth sharpens what is outside the mask too; or what the network before
    (path.pretrain_network_g) makes of the same lq, also where the ground truth is a photograph."""
    inside: NotNegative = 1.0
    """Factor on masked pixels: of the loss's values, or of its gradient where it gives one value a
    batch (perceptual, adversarial)."""
    outside: NotNegative = 1.0
    """Factor on all other pixels."""

    @property
    def adversarial(self) -> bool:
        """Return whether the loss asks a discriminator: by convention, its type ends in GANLoss."""
        return self.type.endswith("GANLoss")

    @model_validator(mode="after")
    def _not_negative(self) -> "LossOptions":
        _refuse_negative(self, lambda key: key.endswith(("weight", "weights")))
        return self

    @model_validator(mode="after")
    def _mean(self) -> "LossOptions":
        if (reduction := self.spec().get("reduction", "mean")) != "mean":
            raise ValueError(f"reduction can only be mean, not {reduction}: leave the key out")
        return self


LossName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]\w*$")]


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
    """The discriminator's optimiser; for an adversarial loss, which needs it."""
    scheduler: SchedulerOptions | None = None
    """Learning-rate schedule of both; none: constant."""
    losses: dict[LossName, LossOptions | None] = {}
    """The generator's losses by names of your choice: `pix` is logged as l_g_pix and is changed by
    --force_yml train:losses:pix:weight=2; null turns one off."""
    accumulate: Annotated[int, Field(ge=1, le=4096)] = 1
    """Batches whose gradients are averaged for a step: as one that is larger, in less memory."""
    clip_grad_norm: Positive | None = None
    """The largest norm that a step's gradient of each network may have; none: any."""
    checkpoint_activations: bool = False
    """Compute the generator's blocks a second time instead of keeping what they computed: less
    memory for about a third more time; the same gradients."""
    trainable: list[str] = []
    """Regular expressions for the names of the generator's weights that learn; none: all do."""
    low_rank: Annotated[int, Field(ge=1, le=4096)] | None = None
    """Each weight learns a delta of this rank only (LoRA), which is added to it in what is saved:
    few samples then change less that they say nothing about; none: whole weights learn."""
    net_d_iters: Annotated[int, Field(ge=1)] = 1
    """With an adversarial loss: the generator is updated at every n-th iteration."""
    net_d_init_iters: Annotated[int, Field(ge=0)] | None = None
    """With an adversarial loss: iterations in which only the discriminator learns; none: a fifth of
    total_iter, at most 200, where a trained generator meets a fresh discriminator, else 0."""

    @property
    def active(self) -> dict[str, LossOptions]:
        """Return the losses that are not turned off, in the order of their sum."""
        return {name: section for name, section in self.losses.items() if section is not None}

    @property
    def adversarial(self) -> str | None:
        """Return the name of the adversarial loss; None: there is none."""
        return next((name for name, section in self.active.items() if section.adversarial), None)

    @property
    def preserving(self) -> list[str]:
        """Return the names of the losses towards the network before."""
        return [name for name, section in self.active.items() if section.towards == "before"]

    @model_validator(mode="before")
    @classmethod
    def _one_form(cls, content: Any) -> Any:
        if not isinstance(content, dict):
            return content
        return refuse_idle_flags(rewrite(cast(dict[str, Any], content)))

    @model_validator(mode="after")
    def _whole(self) -> "StepOptions":
        if len(self.active) == len(self.preserving):
            raise ValueError(
                "no loss is given (those with towards: before only preserve); add one to losses, "
                "such as pix: {type: L1Loss}"
            )
        adversarial = [name for name, section in self.active.items() if section.adversarial]
        if len(adversarial) > 1:
            raise ValueError(
                f"losses: there can be one adversarial loss, and {' and '.join(adversarial)} are; "
                "turn all but one off by null"
            )
        for name, section in self.active.items():
            if section.type == "LDLLoss" and not self.ema_decay:
                raise ValueError(
                    f"losses.{name}: LDLLoss needs the moving average: set ema_decay, such as 0.999"
                )
            if section.adversarial and section.towards == "before":
                raise ValueError(
                    f"losses.{name}.towards: an adversarial loss takes gt or gt_usm for real"
                )
        for pattern in self.trainable:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(
                    f"trainable: '{pattern}' is no regular expression: {error}"
                ) from error
        return self


class LoggerOptions(Strict):
    """What is written while training."""

    print_freq: Annotated[int, Field(ge=1)] = 100
    """Iterations between two lines of the log and two points in TensorBoard."""
    save_checkpoint_freq: Annotated[int, Field(ge=1)] = 1000
    """Iterations between two checkpoints."""
    image_freq: Annotated[int, Field(ge=0)] = 500
    """Iterations between two pictures of samples in TensorBoard, and at the end (lq, before, now,
    gt, mask); 0: none."""


class ValOptions(Strict):
    """Scores on whole images that are not trained on, the best checkpoint, and an early stop.

    Either pairs (dataroot_lq, dataroot_gt) or what detect found on LR images (dataroot), whose
    truth is the pseudo ground truth.
    """

    dataroot_lq: str | None = None
    """A folder of LR images."""
    dataroot_gt: str | None = None
    """The folder of their HR images, of the same names."""
    dataroot: str | None = None
    """The output folder of detect."""
    val_freq: Annotated[int, Field(ge=1)] = 1000
    """Iterations between two validations; there is one at the end too."""
    score: Literal["psnr", "ssim", "removal"] = "psnr"
    """By which net_g_best.pth is chosen: psnr or ssim to the truth; with dataroot also removal (of
    the regions that were there). All that can be measured is written down."""
    patience: Annotated[int, Field(ge=0)] = 0
    """Stop after this many validations in a row without a better score; 0: never."""
    max_images: Annotated[int, Field(ge=1)] | None = None
    """The first so many images only."""
    tile: Tiles = Tiles()
    """How large images are cut."""
    window: Window = WindowSpec()
    """With dataroot: the window in which removal and addition are detected."""
    detector: DetectorOptions = DetectorOptions()
    """With dataroot: what finds them; the one that found the masks, and a warning tells where it is
    another."""
    mask: Mask = DEFAULT_RULE
    """With dataroot: from the map to the mask of removal and addition."""

    @model_validator(mode="after")
    def _whole(self) -> "ValOptions":
        pairs = (self.dataroot_lq is not None, self.dataroot_gt is not None)
        if any(pairs) and not all(pairs):
            raise ValueError("dataroot_lq and dataroot_gt belong together: give both")
        if any(pairs) == (self.dataroot is not None):
            raise ValueError(
                "give either dataroot (the output of detect) or dataroot_lq and dataroot_gt"
            )
        if self.dataroot is None and self.score == "removal":
            raise ValueError(
                f"score: {self.score} needs dataroot, the output of detect; pairs have psnr, ssim"
            )
        by_detection = {"window": self.window, "detector": self.detector, "mask": self.mask}
        idle = [
            key
            for key, section in by_detection.items()
            if section != type(self).model_fields[key].default
        ]
        if self.dataroot is None and idle:
            raise ValueError(
                f"{idle[0]}: needs dataroot, the output of detect; in pairs nothing is detected"
            )
        return self


class TrainOptions(CommonOptions):
    """``python -m desra.train``: train or finetune a network."""

    reads_basicsr: ClassVar[bool] = True
    losses_in: ClassVar[tuple[str, ...]] = ("train",)

    name: Annotated[
        str, AfterValidator(_one_folder), WithJsonSchema({"type": "string", "pattern": _NAME})
    ]
    """Name of the run: the folder under experiments_root."""
    model_type: str = "DeSRAModel"
    """Name in MODEL_REGISTRY."""
    scale: Annotated[int, Field(ge=1, le=64)] = 4
    """Upscaling factor."""
    manual_seed: Seed = 0
    """Seed of weights, crops and degradations."""
    network_g: RegisteredClass
    """The generator."""
    network_d: RegisteredClass | None = None
    """The discriminator; for an adversarial loss, which needs it."""
    datasets: DatasetsOptions
    """Samples."""
    path: PathOptions = PathOptions()
    """Weights to start from."""
    train: StepOptions
    """Losses and optimisers."""
    val: ValOptions | None = None
    """Validation; none: none."""
    logger: LoggerOptions = LoggerOptions()
    """Logs and checkpoints."""

    @model_validator(mode="after")
    def _whole(self) -> "TrainOptions":
        if (name := self.train.adversarial) and not (self.network_d and self.train.optim_d):
            raise ValueError(f"train.losses.{name} needs network_d and train.optim_d")
        if self.train.strength < 1 and not self.path.pretrain_network_g:
            raise ValueError("train.strength below 1 needs path.pretrain_network_g to go back to")
        for name in self.train.preserving:
            if not self.path.pretrain_network_g:
                raise ValueError(
                    f"train.losses.{name} needs path.pretrain_network_g, the network before"
                )
        if self.path.preserve_network_g and not self.train.preserving:
            raise ValueError(
                "path.preserve_network_g is for train.losses with towards: before, and none is "
                "given"
            )
        if self.train.low_rank and not self.path.pretrain_network_g:
            raise ValueError("train.low_rank needs path.pretrain_network_g to add deltas to")
        return self

    @model_validator(mode="after")
    def _no_idle_keys(self) -> "TrainOptions":
        """Refuse keys of an adversarial loss that was forgotten, not of one turned off by null."""
        if self.unused and None not in self.train.losses.values():
            raise ValueError(f"{self.unused[0]}; add it, or leave these out")
        return self

    @model_validator(mode="after")
    def _generator_learns(self) -> "TrainOptions":
        last = self.train.total_iter // self.train.net_d_iters * self.train.net_d_iters
        if not last or not self.updates_generator(last):
            raise ValueError(
                f"the generator would never learn in the {self.train.total_iter} iterations of "
                f"train.total_iter, since train.net_d_init_iters is {self.discriminator_first} and "
                f"train.net_d_iters is {self.train.net_d_iters}; lower these"
            )
        return self

    @property
    def unused(self) -> list[str]:
        """Return a sentence on the keys that do nothing without an adversarial loss, if any."""
        keys = [path for path in _ADVERSARIAL_ONLY if _is_set(self, path)]
        if not keys or self.train.adversarial:
            return []
        return [f"{', '.join(keys)}: not used without a GANLoss in train.losses"]

    def updates_generator(self, iteration: int) -> bool:
        """Return whether the generator learns in an iteration, counted from 1.

        Without an adversarial loss it always does: net_d_init_iters and net_d_iters mean nothing.
        """
        alone = self.train.adversarial is None
        late_enough = iteration > self.discriminator_first
        return alone or (late_enough and iteration % self.train.net_d_iters == 0)

    @property
    def discriminator_first(self) -> int:
        """Return in how many iterations only the discriminator learns (train.net_d_init_iters)."""
        if self.train.adversarial is None:
            return 0
        if self.train.net_d_init_iters is not None:
            return self.train.net_d_init_iters
        # Measured on pseudo ground truths: UNetDiscriminatorSN tells nothing for 50 to 100
        # iterations, and at 200 its loss has come down; until then its gradients are noise.
        fresh = self.path.pretrain_network_g and not self.path.pretrain_network_d
        return min(200, self.train.total_iter // 5) if fresh else 0


def identity_from_older(identity: Mapping[str, Any], section: str = "train") -> dict[str, Any]:
    """Return flat options with the losses of a section by name, as `rewrite` says them.

    Version 0.1.0 kept them in states and lineages by its own keys, ``train.pixel_opt.type`` and so
    on, and a loss that there was not as null.

    Args:
        identity: key path -> value, as of `desra.options.comparing.flat`.
        section: the path of the section `StepOptions`.

    Raises:
        InputError: the losses are in no form that is known.
    """
    inner = {path.removeprefix(f"{section}."): path for path in identity}
    old = {key: path for key, path in inner.items() if key.split(".")[0] in OLD_KEYS}
    if not old:
        return dict(identity)
    step = nested({key: identity[path] for key, path in old.items()})
    unset = (None, "standard")  # a loss, and gan_mode, that nobody asked for
    step = {key: value for key, value in step.items() if value not in unset}
    losses = refuse_idle_flags(rewrite(step)).get("losses", {})
    sections = {name: LossOptions.model_validate(content) for name, content in losses.items()}
    today = flat({name: content.model_dump() for name, content in sections.items()})
    kept = {path: value for path, value in identity.items() if path not in old.values()}
    return kept | {f"{section}.losses.{path}": value for path, value in today}


def _is_set(options: TrainOptions, path: str) -> bool:
    """Whether an option, ``section.key`` or ``key``, asks for more than its default does."""
    *sections, key = path.split(".")
    section: Strict = getattr(options, sections[0]) if sections else options
    value = getattr(section, key)
    return bool(value) and value != type(section).model_fields[key].default
