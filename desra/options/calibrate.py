"""The options of ``desra.calibrate``."""

from typing import Annotated

from pydantic import Field, model_validator

from desra.artifacts import WindowSpec
from desra.options.base import CommonOptions, Strict
from desra.options.sections import SegmentOptions, Window


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
    intervals: Annotated[int, Field(ge=1, le=10_000)] = 20
    """Into how many equal intervals [0, 1] is cut."""
    window: Window = WindowSpec()
    """Local variance; as in detect."""
    plots: bool = False
    """Draw the shares of each class into plots/; needs `pip install 'desra[plot]'`."""
