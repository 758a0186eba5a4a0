"""The options of ``desra.app``."""

from typing import Annotated

from pydantic import Field

from desra.artifacts import DeletionSpec
from desra.options.base import CommonOptions
from desra.options.sections import FinderSections, PairSections


class AppOptions(FinderSections, PairSections, CommonOptions):
    """``python -m desra.app``: look at one image after the other in a browser.

    The sliders stand at first where mask and deletion say.
    """

    deletion: DeletionSpec = DeletionSpec()
    """How artifacts give way to the MSE-SR image."""
    max_pixels: Annotated[int, Field(ge=1)] = 1_000_000
    """Larger LR images (width times height) are refused: the page keeps both SR images and the map
    in memory, about 220 MB for an LR image of a million pixels at scale 4."""
    host: str = "127.0.0.1"
    """The address that is listened on; 0.0.0.0: every one, and then the page is open to all who
    can reach this machine."""
    port: Annotated[int, Field(ge=0, le=65535)] | None = None
    """The port; none: the first free one from 7860 on."""
