"""Models; modules named *_model.py register in MODEL_REGISTRY. ``DeSRAModel`` trains.

A model of your own is a ``TrainableModel``.

For notebooks the networks' wrapper and the pair are here, too, from `desra.networks`.
"""

from desra.utils.lazy import attach

__getattr__, __dir__ = attach(
    __name__,
    {
        "DeSRAModel": "desra.models.desra_model",
        "TrainableModel": "desra.models.base_model",
        "SRNetwork": "desra.networks.sr_network",
        "SRPair": "desra.networks.pair",
        "partner_of": "desra.networks.pair",
    },
)
