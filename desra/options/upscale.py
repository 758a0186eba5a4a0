"""The options of ``desra.upscale``."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast

from pydantic import Field, model_validator

from desra.artifacts import DeletionSpec
from desra.options.base import CommonOptions
from desra.options.sections import FinderSections, NetworkOptions, PairSections


class _UpscaleFiles(CommonOptions):
    """What upscale reads and writes."""

    input: str
    """An image, a folder of them, or embedded:finetune / embedded:heldout (pictures inside)."""
    output: str
    """Folder for the results, with the sub-folders of the input; earlier results are replaced."""


class UpscaleOptions(FinderSections, PairSections, _UpscaleFiles):
    """``python -m desra.upscale``: images through one SR network.

    With sr_mse artifacts are found as detect finds them, by window, detector and mask.
    """

    sr_gan: NetworkOptions = NetworkOptions(weights="embedded:gan")
    """The network, usually GAN-trained; its factor is found from it."""
    sr_mse: NetworkOptions | None = None
    """Its MSE- or L1-trained partner: artifacts are found with it, as detect does, and give way to
    what it makes. None: nothing is looked for."""
    deletion: DeletionSpec | None = None
    """How they give way; with sr_mse it need not be given, and null turns it off."""
    outscale: Annotated[float, Field(gt=0, le=64)] | None = None
    """How many times as large as the input the result is, by resizing what the network made
    (Lanczos); none: the network's own factor."""
    suffix: Annotated[str, Field(pattern=r"^[^/\\]*$")] = ""
    """What is added to a file's name, before its extension."""
    format: Literal["png", "tif", "webp", "jpg"] = "png"
    """Format of the results; jpg loses quality and cannot hold transparency."""
    bits: Literal[8, 16] = 8
    """Bits of the results that 16-bit inputs give; 16 needs png or tif."""
    max_pixels: Annotated[int, Field(ge=1)] = 200_000_000
    """LR images of more pixels (width times height) are refused before they are decoded: a file of
    some kB may claim as many as it likes."""
    on_error: Literal["stop", "skip"] = "stop"
    """An unreadable image: stop (before any work, if its header tells), or skip it and sum up at
    the end."""

    @model_validator(mode="before")
    @classmethod
    def _partner_deletes(cls, content: Any) -> Any:
        """A partner alone is reason enough to delete."""
        if isinstance(content, Mapping):
            sections = cast(Mapping[str, Any], content)
            if sections.get("sr_mse") is not None and "deletion" not in sections:
                return {**sections, "deletion": {}}
        return cast(Any, content)

    @model_validator(mode="after")
    def _has_partner(self) -> "UpscaleOptions":
        if self.deletion is not None and self.sr_mse is None:
            raise ValueError(
                "deletion needs sr_mse, the MSE-trained partner of the network (--partner WEIGHTS)"
            )
        return self

    @model_validator(mode="after")
    def _deep_enough(self) -> "UpscaleOptions":
        if self.bits == 16 and self.format not in ("png", "tif"):
            raise ValueError(f"bits: 16 needs format png or tif, not {self.format}")
        return self
