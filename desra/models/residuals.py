"""The sums of a deep residual network in float32, while its convolutions compute in less."""

from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn

_LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5")


def residuals_in_fp32(net: nn.Module) -> nn.Module:
    """Let RRDBNet add up its residuals in float32, also under autocast.

    69 dense blocks add to one sum; kept in bfloat16, with its 8 bits, the sum is rounded 69 times,
    which moves D near the threshold. Convolutions still see the type of autocast, so this costs
    little. For inference: nothing else of the network changes. Returns ``net``.

    Args:
        net: any network; the dense blocks of basicsr's and of spandrel's RRDBNet are found in it.
    """
    for module in net.modules():
        dense = type(module).__name__ in ("ResidualDenseBlock", "ResidualDenseBlock_5C")
        # ESRGAN+ has a further path through its blocks.
        if dense and all(hasattr(module, name) for name in _LAYERS) and not _has_plus(module):
            module.forward = MethodType(_dense_block, module)
    return net


def _has_plus(module: nn.Module) -> bool:
    return getattr(module, "conv1x1", None) is not None


def _dense_block(self: Any, x: Tensor) -> Tensor:
    """``x + 0.2 f(x)`` as both define it (Wang et al., ESRGAN, 2018), the sum in float32."""
    low = x.to(torch.get_autocast_dtype(x.device.type)) if _lowered(x) else x
    seen = [low]
    for layer in (self.conv1, self.conv2, self.conv3, self.conv4):
        found = layer(seen[0] if len(seen) == 1 else torch.cat(seen, 1))
        seen.append(self.lrelu(found) if isinstance(layer, nn.Conv2d) else found)
    return torch.add(x.float(), self.conv5(torch.cat(seen, 1)), alpha=0.2)


def _lowered(x: Tensor) -> bool:
    return torch.is_autocast_enabled(x.device.type)
