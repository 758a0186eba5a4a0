"""The GAN-SR network and its MSE-SR partner, run on one tile grid."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from desra.io.images import enlarge
from desra.networks.sr_network import SRNetwork
from desra.networks.zoo import ZOO
from desra.options.base import CommonOptions
from desra.options.detect import PARTNER, NetworkOptions, TileOptions
from desra.utils.errors import InputError


@dataclass(frozen=True)
class SRImages:
    """The two outputs for one LR image: uint8 or uint16 (H, W, 3), RGB, of equal size."""

    stem: str
    mse: NDArray[Any]
    gan: NDArray[Any]


def partner_of(gan: NetworkOptions, mse: NetworkOptions | None) -> NetworkOptions | None:
    """The MSE-trained partner that the options mean; None: they want none.

    Args:
        gan: the section of the GAN network.
        mse: that of its partner; with ``weights: partner`` it is the one that is known of ``gan``.

    Raises:
        InputError: none is known.
    """
    if mse is None or mse.weights != PARTNER:
        return mse
    known = {name: entry.partner for name, entry in ZOO.items()} | {"embedded:gan": "embedded:mse"}
    if partner := known.get(gan.weights):
        return NetworkOptions(weights=partner)
    raise InputError(
        f"sr_mse: give the MSE-trained partner of {gan.weights} (--partner FILE), which artifacts "
        "are found with; options/realesrgan/make_mse_partner.yml makes one, and sr_mse: null with "
        "detector: {type: bicubic_reference} does without"
    )


class SRPair:
    """Both networks of the method, to be called with one LR image.

    Args:
        gan: the network whose artifacts are looked for.
        mse: its MSE- or L1-trained partner; None: the bicubically upscaled image takes its place.

    Raises:
        InputError: their scales differ.

    Example:
        >>> import numpy as np
        >>> from desra.models import SRNetwork, SRPair
        >>> pair = SRPair(SRNetwork.from_checkpoint("embedded:gan"),
        ...               SRNetwork.from_checkpoint("embedded:mse"))  # or SRPair.embedded()
        >>> sr = pair(np.zeros((8, 6, 3), np.uint8))
        >>> sr.gan.shape, sr.mse.shape
        ((32, 24, 3), (32, 24, 3))
    """

    def __init__(self, gan: SRNetwork, mse: SRNetwork | None):
        if mse is not None:
            if gan.scale != mse.scale:
                raise InputError(
                    f"the GAN-SR network is x{gan.scale} and its partner sr_mse x{mse.scale}: a "
                    "pair needs one scale"
                )
            mse.tiles = gan.tiles  # texture at the seams must not differ between the two
        self.gan, self.mse, self.scale = gan, mse, gan.scale

    @classmethod
    def embedded(cls, **settings: Any) -> "SRPair":
        """The two networks that ship with desra (x4)."""
        return cls(
            SRNetwork.from_checkpoint("embedded:gan", **settings),
            SRNetwork.from_checkpoint("embedded:mse", **settings),
        )

    @classmethod
    def from_options(
        cls,
        gan: NetworkOptions,
        mse: NetworkOptions | None,
        tile: TileOptions,
        common: CommonOptions,
        scale: int | None = None,
    ) -> "SRPair":
        """Load the networks that two sections of the options name, see `partner_of`.

        Raises:
            InputError: as :meth:`SRNetwork.from_checkpoint`, or their scales differ.
        """
        mse = partner_of(gan, mse)
        partner = SRNetwork.from_options(mse, tile, common, scale) if mse is not None else None
        return cls(SRNetwork.from_options(gan, tile, common, scale), partner)

    def __call__(
        self,
        lq: NDArray[Any],
        stem: str = "",
        bits: Literal[8, 16] = 8,
        make: Callable[[tuple[int, ...], np.dtype[Any]], NDArray[Any]] = np.empty,
    ) -> SRImages:
        """Upscale ``lq``, uint8 or uint16 (h, w, 3) RGB, with both networks.

        Args:
            lq: the LR image.
            stem: its name.
            bits: of the results.
            make: gives the arrays that they are written into, such as :func:`files.scratch`.

        Returns:
            Both results, ``(h*scale, w*scale, 3)``.

        Raises:
            ValueError, InputError: as :meth:`SRNetwork.__call__`.
        """
        shape, dtype = self.gan.result_of(lq.shape, bits)
        gan = self.gan(lq, bits, make(shape, dtype))
        if self.mse is None:
            return SRImages(stem, mse=enlarge(lq, shape[:2], bits == 16), gan=gan)
        mse = make(shape, dtype)
        while True:
            self.mse.tiles = self.gan.tiles
            self.mse(lq, bits, mse)
            if self.mse.tiles == self.gan.tiles:
                return SRImages(stem, mse=mse, gan=gan)
            self.gan.tiles = self.mse.tiles  # memory ran out: both again, on the smaller tiles
            self.gan(lq, bits, gan)
