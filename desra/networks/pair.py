"""The GAN-SR network and its MSE-SR partner, run on one tile grid."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from desra.detectors.images import Images
from desra.io.images import enlarge
from desra.networks.sr_network import SRNetwork
from desra.networks.zoo import ZOO
from desra.options.sections import PARTNER, NetworkOptions, PairSections, Tiles
from desra.utils.errors import InputError

logger = logging.getLogger("desra")


def partner_of(gan: NetworkOptions, mse: NetworkOptions | None) -> NetworkOptions | None:
    """Return the MSE-trained partner that the options mean; None: they want none.

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


def _warn_if_no_partner(gan: SRNetwork, mse: SRNetwork) -> None:
    """Warn of a pair whose second network cannot be the one that the first one came from."""
    ours, theirs = gan.net.state_dict(), mse.net.state_dict()
    if not ours or not theirs:
        return
    shapes = [{key: value.shape for key, value in state.items()} for state in (ours, theirs)]
    if shapes[0] != shapes[1]:
        logger.warning(
            "sr_mse is a network of another kind or size than sr_gan: what the two make then "
            "differs everywhere, and much is found that is no artifact; the partner is the "
            "MSE-trained network that the GAN-trained one came from"
        )
    elif all(torch.equal(ours[key], theirs[key].to(ours[key].device)) for key in ours):
        logger.warning(
            "sr_gan and sr_mse are the same network: the two images are equal, and hardly "
            "anything can be found; give the MSE-trained network that the GAN-trained one came "
            "from as sr_mse (--partner)"
        )


class SRPair:
    """The GAN-SR network and its MSE-SR partner, to be called with one LR image.

    Args:
        gan: the network whose artifacts are looked for.
        mse: its MSE- or L1-trained partner; None: the bicubically upscaled image takes its place.

    Raises:
        InputError: their scales differ.

    Example:
        >>> import numpy as np
        >>> from desra.models import SRPair
        >>> pair = SRPair.from_checkpoints("embedded:gan", "embedded:mse")  # or SRPair.embedded()
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
            _warn_if_no_partner(gan, mse)
            mse.tiles = gan.tiles  # texture at the seams must not differ between the two
        self.gan, self.mse, self.scale = gan, mse, gan.scale

    @classmethod
    def embedded(cls, **settings: Any) -> "SRPair":
        """Load the two networks that ship with desra (x4)."""
        return cls.from_checkpoints("embedded:gan", "embedded:mse", **settings)

    @classmethod
    def from_checkpoints(
        cls, gan: str | Path, mse: str | Path | None = None, **settings: Any
    ) -> "SRPair":
        """Load two networks.

        Args:
            gan, mse: weights, as of :meth:`SRNetwork.from_checkpoint`; without ``mse`` the
                bicubically upscaled image takes its place.
            settings: ``device``, ``precision``, ``tiles`` of :class:`SRNetwork`.

        Raises:
            InputError: as :meth:`SRNetwork.from_checkpoint`, or their scales differ.
        """
        partner = None if mse is None else SRNetwork.from_checkpoint(mse, **settings)
        return cls(SRNetwork.from_checkpoint(gan, **settings), partner)

    @classmethod
    def from_options(cls, opt: PairSections, scale: int | None = None) -> "SRPair":
        """Load the networks that the options of a stage name, see `partner_of`.

        Raises:
            InputError: as :meth:`SRNetwork.from_checkpoint`, or their scales differ.
        """
        mse = partner_of(opt.sr_gan, opt.sr_mse)
        partner = None if mse is None else SRNetwork.from_options(mse, opt.tile, opt, scale)
        return cls(SRNetwork.from_options(opt.sr_gan, opt.tile, opt, scale), partner)

    @property
    def gives(self) -> frozenset[str]:
        """What it gives detectors beside ``gan``, by the fields of `Images`."""
        return frozenset({"lq", "flipped"} if self.mse is None else {"mse", "lq", "flipped"})

    def __call__(
        self,
        lq: NDArray[Any],
        stem: str = "",
        bits: Literal[8, 16] = 8,
        make: Callable[[tuple[int, ...], np.dtype[Any]], NDArray[Any]] = np.empty,
        flipped: bool = False,
    ) -> Images:
        """Upscale an LR image with both networks.

        Args:
            lq: uint8 or uint16 ``(h, w, 3)`` RGB.
            stem: its name.
            bits: of the results.
            make: gives the arrays that they are written into, such as :func:`files.scratch`.
            flipped: also upscale the image mirrored left to right, by the GAN-trained network.

        Returns:
            ``gan``, ``mse`` and ``lq``, with ``flipped`` where it is asked for; the results are
            ``(h*scale, w*scale, 3)``.

        Raises:
            ValueError, InputError: as :meth:`SRNetwork.__call__`.
        """
        shape, dtype = self.gan.result_of(lq.shape, bits)
        gan = make(shape, dtype)
        mirrored = make(shape, dtype) if flipped else None
        runs = [(self.gan, lq, gan)]
        if mirrored is not None:
            runs.append((self.gan, lq[:, ::-1], mirrored))
        if self.mse is None:
            mse = enlarge(lq, shape[:2], bits == 16)
        else:
            mse = make(shape, dtype)
            runs.append((self.mse, lq, mse))
        self._run(runs, bits)
        back = None if mirrored is None else mirrored[:, ::-1]
        return Images(gan, mse, lq, scale=self.scale, stem=stem, flipped=back)

    def _run(
        self, runs: list[tuple[SRNetwork, NDArray[Any], NDArray[Any]]], bits: Literal[8, 16]
    ) -> None:
        """Run networks on one tile grid; where memory runs out, all again on the smaller tiles."""
        grids: list[Tiles] = []
        while not grids or any(grid != grids[-1] for grid in grids):
            grids = []
            for network, image, result in runs:
                network.tiles = self.gan.tiles
                network(image, bits, result)
                self.gan.tiles = network.tiles
                grids.append(network.tiles)
