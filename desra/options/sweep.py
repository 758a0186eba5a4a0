"""The options of ``desra.sweep``."""

from typing import Annotated

from annotated_types import Ge, Le
from pydantic import Field

from desra.options.base import CommonOptions, Probability
from desra.options.sections import DetectorOptions, Window


class SweepOptions(CommonOptions):
    """``python -m desra.sweep``: what other thresholds and areas would find, without a network.

    What is not given of window, detector, kernel, erode and dilate is as detect had
    it: in the options.yml of the folder, else in detect's defaults.
    """

    input: str
    """Folder that detect wrote; its sr_gan and sr_mse are read, and the LR images that it names."""
    output: str
    """Folder for sweep.csv."""
    thresholds: Annotated[list[Probability], Field(min_length=1)] = [0.5, 0.6, 0.7, 0.8]
    """A pixel with D below it is a candidate."""
    min_areas: Annotated[list[Annotated[int, Ge(0)]], Field(min_length=1)] = [0, 1000, 4000]
    """A region is kept if its area in pixels is greater than this."""
    kernel: Annotated[int, Ge(1), Le(255)] | None = None
    """As in detect's mask; none: as in the folder."""
    erode: Annotated[int, Ge(0), Le(1000)] | None = None
    """As in detect's mask; none: as in the folder."""
    dilate: Annotated[int, Ge(0), Le(1000)] | None = None
    """As in detect's mask; none: as in the folder."""
    window: Window | None = None
    """Local variance, as in detect; none: as in the folder."""
    detector: DetectorOptions | None = None
    """What makes the similarity map; none: as in the folder. A warning tells where detect took
    another."""
    truth: str | None = None
    """True masks: a folder of LabelMe files or of mask images (0 and 255), or a COCO file."""
    gt: str | None = None
    """True HR images for a detector that needs them: a folder, or embedded:finetune / :heldout."""
