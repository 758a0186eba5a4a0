"""Finetuning by low-rank deltas: each weight learns a product of two thin matrices beside itself.

Source: Hu et al., "LoRA: Low-rank adaptation of large language models" (arXiv 2106.09685). Few
samples say little about millions of weights, and Adam moves all of them by the same length, also
where that is noise; it moves the little that is there instead.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from desra.utils.errors import InputError, listed


class _LowRank(nn.Module):
    """``w -> w + B A`` for a weight seen as a matrix (outputs, all else); at first B is 0."""

    def __init__(self, weight: Tensor, rank: int):
        super().__init__()
        outputs, inputs = weight.shape[0], weight[0].numel()
        rank = min(rank, outputs, inputs)
        like = {"device": weight.device, "dtype": weight.dtype}
        self.A = nn.Parameter(torch.randn((rank, inputs), **like) / inputs**0.5)
        self.B = nn.Parameter(torch.zeros((outputs, rank), **like))

    def forward(self, weight: Tensor) -> Tensor:
        with torch.autocast(weight.device.type, enabled=False):
            return weight + (self.B @ self.A).view_as(weight)


def add_low_rank(net: nn.Module, rank: int, chosen: Sequence[str] | None = None) -> None:
    """Let deltas of ``rank`` learn, and nothing else of ``net``, which computes as before.

    Args:
        net: its convolutions and fully connected layers get deltas.
        rank: of each; a smaller matrix has its own.
        chosen: the names of the weights that get one; None: all.

    Raises:
        InputError: none of the chosen weights is one of such a layer.
    """
    net.requires_grad_(False)
    layers = [
        (name, module)
        for name, module in net.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear) and not parametrize.is_parametrized(module)
        if chosen is None or f"{name}.weight" in chosen
    ]
    if not layers:
        raise InputError(
            "train.low_rank: no convolution or fully connected layer is among the chosen weights "
            f"({listed(chosen or [])}); choose others with trainable, or leave it out"
        )
    for _, module in layers:
        parametrize.register_parametrization(module, "weight", _LowRank(module.weight, rank))


def merged(net: nn.Module) -> dict[str, Tensor]:
    """Return the state of ``net`` by its plain names, each delta added to its weight."""
    plain: dict[str, Tensor] = {}
    for key, value in net.state_dict().items():
        owner, _, rest = key.rpartition(".parametrizations.weight.")
        module = net.get_submodule(owner) if owner else None
        if module is None or not isinstance(module.parametrizations.weight[0], _LowRank):  # pyright: ignore
            plain[key] = value
        elif rest == "original":
            plain[f"{owner}.weight"] = module.weight.detach()  # pyright: ignore
    return plain
