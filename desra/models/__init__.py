"""``SRModel`` and ``SRPair`` are for notebooks and detection; ``DeSRAModel`` trains."""

from desra.models.desra_model import DeSRAModel
from desra.models.sr_model import SRModel
from desra.models.sr_pair import SRImages, SRPair, partner_of

__all__ = ["DeSRAModel", "SRImages", "SRModel", "SRPair", "partner_of"]
