"""The two networks that a run begins with, and what follows from them."""

from typing import Any, NamedTuple

from desra.networks.load import load_network, network_g_of
from desra.networks.pair import partner_of
from desra.options.run import RunOptions
from desra.options.sections import NetworkOptions


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
    """Find the networks of the options, and what follows from them.

    Raises:
        InputError: weights that cannot be used, or no partner.
    """
    architecture = opt.sr_gan.network_g
    spec = architecture.spec() if architecture else None
    scale = load_network(opt.sr_gan.weights, spec).scale
    mse = partner_of(opt.sr_gan, opt.sr_mse)
    return Networks(opt.sr_gan, mse, spec or network_g_of(opt.sr_gan.weights), scale)
