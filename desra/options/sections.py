"""Sections that several stages share, and their defaults: networks, tiles, window, detector, mask.

The settings of the method (`WindowSpec`, `MaskRule`, `DeletionSpec`) are dataclasses of
`desra.artifacts`, and `Tiles` is one of this module: the functions take them, and the options have
them as sections.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal, cast

from annotated_types import Ge
from pydantic import (
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    ValidatorFunctionWrapHandler,
    WrapSerializer,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema

from desra.artifacts import MaskRule, WindowSpec
from desra.artifacts.bounds import SECTION
from desra.options.base import CommonOptions, RegisteredClass, Strict

#: What sr_mse.weights says to mean the partner that is known of sr_gan.weights.
PARTNER = "partner"
#: The paper's own detector, Eq. 7.
PAPERS_DETECTOR = "relative_local_variance"
#: The paper's rule for the mask, as its released code has it.
PAPERS_MASK = {"threshold": 0.7, "min_area": 4000, "min_area_unit": "px"}
#: The rule for the mask where the options say nothing, made for evidence.
DEFAULT_RULE = MaskRule(threshold=0.7, min_area=1000, min_area_unit="px_at_x4")


class NetworkOptions(Strict):
    """An SR network: weights, and the architecture where it cannot be told from them."""

    weights: str
    """A checkpoint (.pth or .safetensors), a name that `python -m desra.weights list` gives, or
    embedded:gan / embedded:mse; sr_mse also takes `partner`, the one that the list names."""
    network_g: RegisteredClass | None = None
    """The architecture; left out, it is found from the weights."""


@dataclass(frozen=True)
class Tiles:
    """Tiles bound the memory; both networks run on the same grid.

    With an overlap of 24 or more, networks that look about that far (the embedded ones) stay within
    0.2 grey levels of the whole image, with 16 within 3, with 8 within 26. Networks that look much
    further (RRDBNet of 23 blocks) differ in their texture near the seams with any overlap: with 32
    by up to 30 grey levels, with 64 by up to 12. What fits into a tile is not cut.

    Raises:
        ValueError: negative values, or an overlap that is too large.
    """

    __pydantic_config__: ClassVar[Any] = SECTION

    size: Annotated[int, Ge(0)] = 384
    """Side of a tile in LR pixels; 0: the whole image at once."""
    overlap: Annotated[int, Ge(0)] = 32
    """LR pixels that neighbouring tiles share, blended; less than half of the size."""

    def __post_init__(self) -> None:
        if self.size < 0 or self.overlap < 0:
            raise ValueError(f"size {self.size} and overlap {self.overlap} must be 0 or more")
        if self.size and 2 * self.overlap >= self.size:
            raise ValueError(f"overlap {self.overlap} must be less than half of size {self.size}")


class _Over:
    """Keys of a section go over a default that differs from that of the section's class.

    Args:
        default: the section where no key is given.
    """

    def __init__(self, default: MaskRule) -> None:
        self._default = default

    def _fill(self, value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
        section = validate(value)
        if not isinstance(value, Mapping):
            return section
        keys = cast(Mapping[str, Any], value)
        return replace(self._default, **{key: getattr(section, key) for key in keys})

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_wrap_validator_function(self._fill, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        section = handler(schema)
        for key, content in handler.resolve_ref_schema(section)["properties"].items():
            content["default"] = getattr(self._default, key)
        return section


def without_idle_keys(window: Any, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
    """Return a window as plain data; k2 is left out where it is the paper's."""
    content: dict[str, Any] = write(window)
    if content["k2"] == WindowSpec.k2:
        del content["k2"]
    return content


Window = Annotated[WindowSpec, WrapSerializer(without_idle_keys)]
Mask = Annotated[MaskRule, _Over(DEFAULT_RULE)]


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

    intervals: Annotated[int, Field(ge=1, le=10_000)] = 20
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

    type: str = "evidence"
    """Another: relative_local_variance (the paper's, and the default with `protocol: released` and
    with `segment`, whose class weights are made for it), absolute_local_variance, local_ssim,
    bicubic_reference, ldl, or one of your own."""


class PairSections(CommonOptions):
    """The sections of the two networks, in every stage that runs them."""

    sr_gan: NetworkOptions = NetworkOptions(weights="embedded:gan")
    """The GAN-trained network, whose artifacts are looked for."""
    sr_mse: NetworkOptions | None = NetworkOptions(weights=PARTNER)
    """Its MSE- or L1-trained partner, the reference; null: the bicubically upscaled LR image, with
    a detector that needs no partner."""
    tile: Tiles = Tiles()
    """How large images are cut for the networks."""


class MapSections(Strict):
    """The sections that decide about the map, in every stage that makes one."""

    window: Window = WindowSpec()
    """Local variance."""
    detector: DetectorOptions = DetectorOptions()
    """What makes the similarity map."""


class FinderSections(MapSections):
    """The sections that decide what is an artifact, in every stage that looks for some."""

    mask: Mask = DEFAULT_RULE
    """Threshold, morphology, area."""
