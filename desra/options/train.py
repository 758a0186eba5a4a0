"""The options of ``desra.train``."""

from typing import Annotated

from pydantic import Field, model_validator

from desra.options.base import CommonOptions, Component, NotNegative, Positive, Strict


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
    def _whole(self) -> "TrainOptions":
        if self.train.gan_opt and not (self.network_d and self.train.optim_d):
            raise ValueError("train.gan_opt needs network_d and train.optim_d")
        if self.train.strength < 1 and not self.path.pretrain_network_g:
            raise ValueError("train.strength below 1 needs path.pretrain_network_g to go back to")
        if not (self.train.pixel_opt or self.train.texture_opt or self.train.gan_opt):
            raise ValueError("train: no loss is given; add pixel_opt, texture_opt or gan_opt")
        return self
