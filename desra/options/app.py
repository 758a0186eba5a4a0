"""The options of ``desra.app``."""

from typing import Annotated

from pydantic import Field

from desra.options.base import CommonOptions
from desra.options.detect import PARTNER, MaskOptions, NetworkOptions, TileOptions
from desra.options.sections import DeletionOptions, DetectorOptions, WindowOptions


class AppOptions(CommonOptions):
    """``python -m desra.app``: look at one image after the other in a browser."""

    sr_gan: NetworkOptions = NetworkOptions(weights="embedded:gan")
    """The GAN-trained network, whose artifacts are looked for."""
    sr_mse: NetworkOptions | None = NetworkOptions(weights=PARTNER)
    """Its MSE- or L1-trained partner, the reference; null: the bicubically upscaled LR image, with
    a detector that needs no partner."""
    tile: TileOptions = TileOptions()
    """How large images are cut for the networks."""
    window: WindowOptions = WindowOptions()
    """Local variance; as in detect."""
    detector: DetectorOptions = DetectorOptions()
    """What makes the similarity map; as in detect."""
    mask: MaskOptions = MaskOptions(min_area_unit="px_per_megapixel")
    """Where the sliders stand at first, and the morphology; as in detect, but that an area is in
    pixels for each million pixels of the SR image, since images of all sizes are looked at."""
    deletion: DeletionOptions = DeletionOptions()
    """Where the other sliders stand at first; as in detect."""
    max_pixels: Annotated[int, Field(ge=1)] = 1_000_000
    """Larger LR images (width times height) are refused: the page keeps both SR images and the map
    in memory, about 220 MB for an LR image of a million pixels at scale 4."""
    host: str = "127.0.0.1"
    """The address that is listened on; 0.0.0.0: every one, and then the page is open to all who
    can reach this machine."""
    port: Annotated[int, Field(ge=0, le=65535)] | None = None
    """The port; none: the first free one from 7860 on."""
