"""The options of ``desra.train``."""

import re
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from desra.artifacts import WindowSpec
from desra.options.base import CommonOptions, NotNegative, Positive, RegisteredClass, Strict
from desra.options.sections import DEFAULT_RULE, DetectorOptions, Mask, Tiles, Window

#: What does something only beside one of these losses (of train): their keys -> paths of options.
_ONLY_WITH = {
    ("gan_opt",): (
        "network_d",
        "path.pretrain_network_d",
        "train.optim_d",
        "train.gan_mode",
        "train.gan_gt_usm",
        "train.net_d_iters",
        "train.net_d_init_iters",
    ),
    ("perceptual_opt",): ("train.percep_gt_usm",),
    ("pixel_opt", "texture_opt"): ("train.l1_gt_usm",),
}
_NAME = r"^\w[\w.-]*$"


def _one_folder(name: str) -> str:
    """``.`` and ``..`` would be folders of others."""
    if not re.fullmatch(_NAME, name):
        raise ValueError(
            "must begin with a letter, digit or underscore and go on with these, dots and hyphens "
            f"(given: {name!r})"
        )
    return name


class DatasetOptions(RegisteredClass):
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
    """Crops at a time, of each process; a step takes this many times train.accumulate times the
    number of processes."""
    num_workers: Annotated[int, Field(ge=0)] = 1
    """Processes that read and degrade; 0: in the training process."""


class PathOptions(Strict):
    """Weights to start from."""

    pretrain_network_g: str | None = None
    """Checkpoint of the generator, a name that `python -m desra.weights list` gives, or
    embedded:gan / embedded:mse; none: random weights."""
    pretrain_network_d: str | None = None
    """Checkpoint of the discriminator, for gan_opt; none: random weights."""
    preserve_network_g: str | None = None
    """The network that preserve_opt and preserve_texture_opt hold to, of the same architecture;
    none: pretrain_network_g. In a second round of finetuning: the network before the first."""
    experiments_root: str = "experiments"
    """Folder in which the run's folder is made."""


class OptimizerOptions(RegisteredClass):
    """An optimiser of torch.optim by name, and its arguments."""

    type: str = "Adam"
    """Name in torch.optim."""


class SchedulerOptions(RegisteredClass):
    """A schedule of torch.optim.lr_scheduler by name, stepped once an iteration."""

    type: str = "CosineAnnealingLR"
    """Name in torch.optim.lr_scheduler."""


class MaskedLossOptions(RegisteredClass):
    """A loss that acts with its own strength inside and outside the artifact mask."""

    inside: NotNegative = 1.0
    """Factor on masked pixels."""
    outside: NotNegative = 1.0
    """Factor on all other pixels."""

    @model_validator(mode="after")
    def _mean(self) -> "MaskedLossOptions":
        if (given := self.spec().get("reduction", "mean")) != "mean":
            raise ValueError(f"reduction can only be mean, not {given}: leave the key out")
        return self


class PixelLossOptions(MaskedLossOptions):
    """A loss of each pixel (L1Loss, MSELoss, CharbonnierLoss, ...)."""


class PreserveLossOptions(PixelLossOptions):
    """A pixel loss towards the network before; what it holds is outside the mask."""

    type: str = "L1Loss"
    """Name of the pixel loss."""
    inside: NotNegative = 0.0
    """Factor on masked pixels."""


class PreserveTextureOptions(PreserveLossOptions):
    """The same for the amount of local texture."""

    type: str = "LocalStdLoss"
    """Name of the loss."""


class PerceptualLossOptions(MaskedLossOptions):
    """basicsr's perceptual and style loss; the mask weighs the gradient that reaches a pixel."""

    type: str = "PerceptualLoss"
    """Name of the loss."""
    vgg_weights: str | None = None
    """File of torchvision's VGG weights; none: where basicsr looks, or torchvision's cache."""


class GANLossOptions(MaskedLossOptions):
    """basicsr's adversarial loss; the mask weighs the gradient that reaches the generator."""

    type: str = "GANLoss"
    """Name of the loss."""


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
    """The discriminator's optimiser; for gan_opt, which needs it."""
    scheduler: SchedulerOptions | None = None
    """Learning-rate schedule of both; none: constant."""
    pixel_opt: PixelLossOptions | None = None
    """Pixel loss towards the (pseudo) ground truth."""
    texture_opt: PixelLossOptions | None = None
    """Loss on the amount of local texture (LocalStdLoss), weighed like the pixel loss."""
    artifact_opt: PixelLossOptions | None = None
    """Loss on what the paper's map would still find (ArtifactMapLoss), towards the pseudo ground
    truth."""
    perceptual_opt: PerceptualLossOptions | None = None
    """Loss on features of a VGG network, whose weights must be on this machine."""
    ldl_opt: PixelLossOptions | None = None
    """Pixel loss where LDL's map sees artifacts, towards the (pseudo) ground truth; needs
    ema_decay."""
    preserve_opt: PreserveLossOptions | None = None
    """Pixel loss towards what the network before (path.pretrain_network_g) makes of the same lq,
    also where the ground truth is a photograph."""
    preserve_texture_opt: PreserveTextureOptions | None = None
    """Likewise, on the amount of local texture."""
    gan_opt: GANLossOptions | None = None
    """Adversarial loss."""
    gan_mode: Literal["standard", "relativistic"] = "standard"
    """With gan_opt; relativistic: real and fake are compared with each other's average, as in
    ESRGAN."""
    l1_gt_usm: bool = False
    """Sharpen (USM) the target of pixel_opt and texture_opt. On a pseudo ground truth that would
    sharpen what is outside the mask too."""
    percep_gt_usm: bool = False
    """Sharpen the target of perceptual_opt."""
    gan_gt_usm: bool = False
    """Sharpen what the discriminator sees as real."""
    accumulate: Annotated[int, Field(ge=1)] = 1
    """Batches whose gradients are averaged for a step: as one that is larger, in less memory."""
    clip_grad_norm: Positive | None = None
    """The largest norm that a step's gradient of each network may have; none: any."""
    checkpoint_activations: bool = False
    """Compute the generator's blocks a second time instead of keeping what they computed: less
    memory for about a third more time; the same gradients."""
    trainable: list[str] = []
    """Regular expressions for the names of the generator's weights that learn; none: all do."""
    low_rank: Annotated[int, Field(ge=1)] | None = None
    """Each weight learns a delta of this rank only (LoRA), which is added to it in what is saved:
    few samples then change less that they say nothing about; none: whole weights learn."""
    net_d_iters: Annotated[int, Field(ge=1)] = 1
    """With gan_opt: the generator is updated at every n-th iteration."""
    net_d_init_iters: Annotated[int, Field(ge=0)] | None = None
    """With gan_opt: iterations in which only the discriminator learns; none: a fifth of total_iter,
    at most 200, where a trained generator meets a fresh discriminator, else 0."""

    @model_validator(mode="after")
    def _whole(self) -> "StepOptions":
        losses = {
            "pixel_opt": self.pixel_opt,
            "texture_opt": self.texture_opt,
            "artifact_opt": self.artifact_opt,
            "perceptual_opt": self.perceptual_opt,
            "ldl_opt": self.ldl_opt,
            "gan_opt": self.gan_opt,
        }
        if not any(losses.values()):
            raise ValueError(f"no loss is given; add one of {', '.join(losses)}")
        if self.ldl_opt and not self.ema_decay:
            raise ValueError("ldl_opt needs the moving average: set ema_decay, such as 0.999")
        if self.gan_mode == "relativistic" and self.gan_opt:
            kind = self.gan_opt.spec().get("gan_type")
            if kind == "hinge":  # basicsr's hinge loss takes no "this should look fake" there
                raise ValueError("gan_mode: relativistic does not go with gan_type hinge")
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

    name: Annotated[
        str, AfterValidator(_one_folder), WithJsonSchema({"type": "string", "pattern": _NAME})
    ]
    """Name of the run: the folder under experiments_root."""
    model_type: str = "DeSRAModel"
    """Name in MODEL_REGISTRY."""
    scale: Annotated[int, Field(ge=1)] = 4
    """Upscaling factor."""
    manual_seed: int = 0
    """Seed of weights, crops and degradations."""
    network_g: RegisteredClass
    """The generator."""
    network_d: RegisteredClass | None = None
    """The discriminator; for gan_opt, which needs it."""
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
        if self.train.gan_opt and not (self.network_d and self.train.optim_d):
            raise ValueError("train.gan_opt needs network_d and train.optim_d")
        if self.train.strength < 1 and not self.path.pretrain_network_g:
            raise ValueError("train.strength below 1 needs path.pretrain_network_g to go back to")
        for key in ("preserve_opt", "preserve_texture_opt"):
            if getattr(self.train, key) and not self.path.pretrain_network_g:
                raise ValueError(f"train.{key} needs path.pretrain_network_g, the network before")
        preserves = self.train.preserve_opt or self.train.preserve_texture_opt
        if self.path.preserve_network_g and not preserves:
            raise ValueError(
                "path.preserve_network_g is for train.preserve_opt or train.preserve_texture_opt, "
                "and neither is given"
            )
        if self.train.low_rank and not self.path.pretrain_network_g:
            raise ValueError("train.low_rank needs path.pretrain_network_g to add deltas to")
        return self

    @model_validator(mode="after")
    def _no_idle_keys(self) -> "TrainOptions":
        """A loss that is null was turned off plainly; where there is none, one was forgotten."""
        for losses, sentence in self._idle():
            if not self.train.model_fields_set.intersection(losses):
                raise ValueError(f"{sentence}; add it, or leave these out")
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

    def _idle(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """The losses that are not there, each with a sentence on the keys that it leaves idle."""
        for losses, paths in _ONLY_WITH.items():
            keys = [path for path in paths if _is_set(self, path)]
            if keys and not any(getattr(self.train, loss) for loss in losses):
                wanted = " or ".join(f"train.{loss}" for loss in losses)
                yield losses, f"{', '.join(keys)}: not used without {wanted}"

    @property
    def unused(self) -> list[str]:
        """A sentence for each loss that was turned off by null, on the keys that it leaves idle."""
        return [sentence for _, sentence in self._idle()]

    def updates_generator(self, iteration: int) -> bool:
        """Whether the generator learns in an iteration, counted from 1; by itself it always does.

        Without gan_opt net_d_init_iters and net_d_iters mean nothing.
        """
        alone = self.train.gan_opt is None
        late_enough = iteration > self.discriminator_first
        return alone or (late_enough and iteration % self.train.net_d_iters == 0)

    @property
    def discriminator_first(self) -> int:
        """Iterations in which only the discriminator learns (train.net_d_init_iters)."""
        if self.train.gan_opt is None:
            return 0
        if self.train.net_d_init_iters is not None:
            return self.train.net_d_init_iters
        # Measured on pseudo ground truths: UNetDiscriminatorSN tells nothing for 50 to 100
        # iterations, and at 200 its loss has come down; until then its gradients are noise.
        fresh = self.path.pretrain_network_g and not self.path.pretrain_network_d
        return min(200, self.train.total_iter // 5) if fresh else 0


def _is_set(options: TrainOptions, path: str) -> bool:
    """Whether an option, ``section.key`` or ``key``, asks for more than its default does."""
    *sections, key = path.split(".")
    section: Strict = getattr(options, sections[0]) if sections else options
    value = getattr(section, key)
    return bool(value) and value != type(section).model_fields[key].default
