"""The options of ``desra.detect``."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast

from pydantic import Field, model_validator

from desra.artifacts import DeletionSpec
from desra.options.base import CommonOptions, Strict
from desra.options.sections import (
    PAPERS_DETECTOR,
    PAPERS_MASK,
    FinderSections,
    MapSections,
    PairSections,
    SegmentOptions,
)


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


class _DetectFiles(CommonOptions):
    """What detect reads and writes."""

    input: InputOptions
    """What to look at."""
    output: str
    """Folder for the results and for these options (options.yml); each image's rows and files are
    redone only if settings changed."""
    scale: Annotated[int, Field(ge=1, le=64)] = 4
    """Upscaling factor; both networks must have it."""


class _Classes(Strict):
    """What the pixels show."""

    segment: SegmentOptions = SegmentOptions()
    """Class ids, whose weights spare textures that an MSE-SR network cannot make (Eq. 9)."""


# In options.yml the keys stand in the order of the bases, the last one first.
class DetectOptions(FinderSections, _Classes, MapSections, PairSections, _DetectFiles):
    """``python -m desra.detect``: LR images or SR pairs -> map, mask, pseudo ground truth."""

    masks: str | None = None
    """Masks by a human, used instead of the detected ones for the images that have one: a folder
    of LabelMe files or of mask images (0 and 255), or a COCO file."""
    deletion: DeletionSpec | None = None
    """Also write deleted/<stem>.png: the GAN-SR image with its artifacts replaced; null: don't."""
    export: list[Literal["labelme", "labelme_polygons", "coco", "coco_polygons"]] = []
    """Also write the masks for correction by hand: labelme/<stem>.json, coco.json; as polygons:
    labelme_polygons/<stem>.json (whose points can be dragged, to a pixel), coco_polygons.json (for
    Label Studio)."""
    protocol: Literal["full", "released"] = "full"
    """full: masks as large as the image; released: cropped by the window's border, as the paper's
    released code leaves them (not to be trained on)."""
    sr_bits: Literal[8, 16] = 8
    """Bits of the SR images that 16-bit inputs give; the map is of 8 bits always."""
    max_pixels: Annotated[int, Field(ge=1)] = 200_000_000
    """LR images of more pixels (width times height) are refused before they are decoded: a file of
    some kB may claim as many as it likes."""
    verify: bool = False
    """Compare the SHA-256 of all results that are there with what was written; else only of those
    whose time of change is another. Inputs are hashed in any case."""
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
        sections = dict(cast(Mapping[str, Any], content))
        released = sections.get("protocol") == "released"
        classes = _keys(sections.get("segment", {})).get("type", "none") != "none"
        defaults: dict[str, dict[str, Any]] = {}
        if released or classes:
            defaults["detector"] = {"type": PAPERS_DETECTOR}
        if released:
            defaults["mask"] = PAPERS_MASK
        for key, section in defaults.items():
            if isinstance(sections.get(key, {}), (Mapping, Strict)):
                sections[key] = section | _keys(sections.get(key, {}))
        return sections


def _keys(section: Any) -> dict[str, Any]:
    """Return the keys that a section names itself; of what is no section none."""
    if isinstance(section, Strict):
        return section.model_dump(exclude_unset=True)
    return dict(cast(Mapping[str, Any], section)) if isinstance(section, Mapping) else {}
