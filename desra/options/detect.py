"""The options of ``desra.detect``."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast

from pydantic import Field, model_validator

from desra.artifacts import MaskRule
from desra.options.base import CommonOptions, NotNegative, RegisteredClass, Strict
from desra.options.sections import (
    PAPERS_DETECTOR,
    DeletionOptions,
    DetectorOptions,
    SegmentOptions,
    WindowOptions,
)

#: The paper's rule for the mask, as its released code has it.
#: What sr_mse.weights says to mean the partner that is known of sr_gan.weights.
PARTNER = "partner"
PAPERS_MASK = {"threshold": 0.7, "min_area": 4000, "min_area_unit": "px"}


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
    """A checkpoint (.pth or .safetensors), a name that `python -m desra.weights list` gives, or
    embedded:gan / embedded:mse; sr_mse also takes `partner`, the one that the list names."""
    network_g: RegisteredClass | None = None
    """The architecture; left out, it is found from the weights."""


class TileOptions(Strict):
    """Tiles bound the memory; both networks run on the same grid."""

    size: Annotated[int, Field(ge=0)] = 384
    """Side of a tile in LR pixels; 0: the whole image at once."""
    overlap: Annotated[int, Field(ge=0)] = 32
    """LR pixels that neighbouring tiles share; blended."""

    @model_validator(mode="after")
    def _fits(self) -> "TileOptions":
        if self.size and 2 * self.overlap >= self.size:
            raise ValueError(f"overlap {self.overlap} must be less than half of size {self.size}")
        return self


class MaskOptions(Strict):
    """From the map to the mask."""

    threshold: NotNegative = 0.7
    """A pixel with D below this is a candidate; the default of evidence and of the paper's."""
    kernel: Annotated[int, Field(ge=1)] = 5
    """Side of the square structuring element in pixels."""
    erode: Annotated[int, Field(ge=0)] = 1
    """How often it erodes."""
    dilate: Annotated[int, Field(ge=0)] = 3
    """How often it dilates after that."""
    min_area: NotNegative = 1000
    """A region is kept if its area is greater than this; with `protocol: released` the paper's
    is the default, 4000 px."""
    min_area_unit: Literal["px", "px_at_x4", "px_per_megapixel"] = "px_at_x4"
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


class DetectOptions(CommonOptions):
    """``python -m desra.detect``: LR images or SR pairs -> map, mask, pseudo ground truth."""

    input: InputOptions
    """What to look at."""
    output: str
    """Folder for the results and for these options (options.yml); each image's rows and files are
    redone only if settings changed."""
    scale: Annotated[int, Field(ge=1)] = 4
    """Upscaling factor; both networks must have it."""
    sr_gan: NetworkOptions = NetworkOptions(weights="embedded:gan")
    """The GAN-trained network, whose artifacts are looked for."""
    sr_mse: NetworkOptions | None = NetworkOptions(weights=PARTNER)
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
    deletion: DeletionOptions | None = None
    """Also write deleted/<stem>.png: the GAN-SR image with its artifacts replaced; null: don't."""
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

    @model_validator(mode="before")
    @classmethod
    def _the_papers(cls, content: Any) -> Any:
        """What belongs to the paper's detector brings it along, key by key, where no other value
        is named."""
        if not isinstance(content, Mapping):
            return content
        given = dict(cast(Mapping[str, Any], content))
        released = given.get("protocol") == "released"
        classes = _keys(given.get("segment", {})).get("type", "none") != "none"
        defaults: dict[str, dict[str, Any]] = {}
        if released or classes:
            defaults["detector"] = {"type": PAPERS_DETECTOR}
        if released:
            defaults["mask"] = PAPERS_MASK
        for key, section in defaults.items():
            if isinstance(given.get(key, {}), (Mapping, Strict)):
                given[key] = section | _keys(given.get(key, {}))
        return given


def _keys(section: Any) -> dict[str, Any]:
    """The keys that a section names itself; of what is no section none."""
    if isinstance(section, Strict):
        return section.model_dump(exclude_unset=True)
    return dict(cast(Mapping[str, Any], section)) if isinstance(section, Mapping) else {}
