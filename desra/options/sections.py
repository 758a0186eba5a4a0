"""Sections that several stages share: window, class ids, detector, deletion."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from desra.artifacts import DeletionSpec, WindowSpec
from desra.options.base import Positive, Probability, Strict


class WindowOptions(Strict):
    """The Gaussian window of the local variance (Eq. 2) and the range behind its constant C.

    evidence, the default detector, has windows of its own: of these keys size alone plays a part
    there, in the border that the map lacks.
    """

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


#: The paper's own, Eq. 7.
PAPERS_DETECTOR = "relative_local_variance"


class DetectorOptions(Strict):
    """What makes the similarity map of an SR pair."""

    type: str = "evidence"
    """Another: relative_local_variance (the paper's, and the default with `protocol: released` and
    with `segment`, whose class weights are made for it), absolute_local_variance, local_ssim,
    bicubic_reference, ldl, or one of your own."""


class DeletionOptions(Strict):
    """Artifacts give way to the MSE-SR image, with a soft edge: deletion without finetuning."""

    strength: Probability = 1.0
    """Share of the MSE-SR image inside the mask."""
    feather: Annotated[float, Field(ge=0, le=1024)] = 8.0
    """Pixels of the SR image, inside the mask's edge, over which that share rises from 0."""

    def spec(self) -> DeletionSpec:
        """The same for the functions of :mod:`desra.artifacts`."""
        return DeletionSpec(**self.model_dump())
