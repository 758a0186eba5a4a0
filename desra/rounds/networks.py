"""The two networks that a run begins with, and what follows from them."""

from pathlib import Path
from typing import Any, NamedTuple

from desra.errors import InputError
from desra.networks import load_network, network_g_of
from desra.options import NetworkOptions, RunOptions
from desra.zoo import ZOO


class Networks(NamedTuple):
    """The networks that a run begins with.

    Attributes:
        gan, mse: as detect takes them.
        network_g: as train takes it.
        scale: of both.
    """

    gan: NetworkOptions
    mse: NetworkOptions | None
    network_g: dict[str, Any]
    scale: int


def find_networks(opt: RunOptions) -> Networks:
    """The networks of the options, and what follows from them.

    Raises:
        InputError: weights that cannot be used, or no partner.
    """
    named = opt.sr_gan.network_g
    spec = named.spec() if named else None
    scale = load_network(opt.sr_gan.weights, spec).scale
    return Networks(opt.sr_gan, partner_of(opt), spec or network_g_of(opt.sr_gan.weights), scale)


def partner_of(opt: RunOptions) -> NetworkOptions | None:
    """The MSE-trained partner that is given or known; None: the detector needs none.

    Raises:
        InputError: none is known.
    """
    if opt.sr_mse is not None:
        return opt.sr_mse
    weights = opt.sr_gan.weights
    known = {name: entry.partner for name, entry in ZOO.items()} | {"embedded:gan": "embedded:mse"}
    if partner := known.get(weights):
        return NetworkOptions(weights=partner)
    none = Path("none")
    plan = opt.detect_options(none, none, opt.sr_gan, None, 4)
    if plan.detector.type == "bicubic_reference":
        return None
    raise InputError(
        f"sr_mse: give the MSE-trained partner of {weights} (--partner FILE), which the artifacts "
        "are found with; options/realesrgan/make_mse_partner.yml makes one, and "
        "detect: {detector: {type: bicubic_reference}} does without"
    )
