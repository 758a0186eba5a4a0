"""The options of ``desra.upscale``."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from desra.options.base import CommonOptions, Positive
from desra.options.detect import NetworkOptions, TileOptions


class UpscaleOptions(CommonOptions):
    """``python -m desra.upscale``: images through one SR network."""

    input: str
    """An image, a folder of them, or embedded:finetune / embedded:heldout (pictures inside)."""
    output: str
    """Folder for the results, with the sub-folders of the input; earlier results are replaced."""
    model: NetworkOptions = NetworkOptions(weights="embedded:gan")
    """The network; its factor is found from it."""
    outscale: Positive | None = None
    """How many times as large as the input the result is, by resizing what the network made
    (Lanczos); none: the network's own factor."""
    suffix: Annotated[str, Field(pattern=r"^[^/\\]*$")] = ""
    """What is added to a file's name, before its extension."""
    format: Literal["png", "tif", "webp", "jpg"] = "png"
    """Format of the results; jpg loses quality and cannot hold transparency."""
    bits: Literal[8, 16] = 8
    """Bits of the results that 16-bit inputs give; 16 needs png or tif."""
    tile: TileOptions = TileOptions()
    """How large images are cut for the network."""
    on_error: Literal["stop", "skip"] = "stop"
    """An unreadable image: stop (before any work, if its header tells), or skip it and sum up at
    the end."""

    @model_validator(mode="after")
    def _deep_enough(self) -> "UpscaleOptions":
        if self.bits == 16 and self.format not in ("png", "tif"):
            raise ValueError(f"bits: 16 needs format png or tif, not {self.format}")
        return self
