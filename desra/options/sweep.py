"""The options of ``desra.sweep``."""

from typing import Annotated

from pydantic import Field, model_validator

from desra.artifacts import MaskRule
from desra.options.base import CommonOptions, Probability
from desra.options.sections import DetectorOptions, WindowOptions


class SweepOptions(CommonOptions):
    """``python -m desra.sweep``: what other thresholds and areas would find, without a network."""

    input: str
    """Folder that detect wrote; its sr_gan and sr_mse are read, and the LR images that it names."""
    output: str
    """Folder for sweep.csv."""
    thresholds: Annotated[list[Probability], Field(min_length=1)] = [0.5, 0.6, 0.7, 0.8]
    """A pixel with D below it is a candidate."""
    min_areas: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)] = [0, 1000, 4000]
    """A region is kept if its area in pixels is greater than this."""
    kernel: Annotated[int, Field(ge=1)] = MaskRule.kernel
    """As in detect's mask."""
    erode: Annotated[int, Field(ge=0)] = MaskRule.erode
    """As in detect's mask."""
    dilate: Annotated[int, Field(ge=0)] = MaskRule.dilate
    """As in detect's mask."""
    window: WindowOptions = WindowOptions()
    """Local variance; as in detect."""
    detector: DetectorOptions = DetectorOptions()
    """What makes the similarity map; a warning tells where detect took another for this folder."""
    truth: str | None = None
    """True masks: a folder of LabelMe files or of mask images (0 and 255), or a COCO file."""
    gt: str | None = None
    """True HR images for a detector that needs them: a folder, or embedded:finetune / :heldout."""

    def rule(self, threshold: float) -> MaskRule:
        """The rule at one threshold that keeps regions of any area."""
        return MaskRule(threshold, self.kernel, self.erode, self.dilate, min_area=0)

    @model_validator(mode="after")
    def _valid(self) -> "SweepOptions":
        self.rule(self.thresholds[0])
        return self
