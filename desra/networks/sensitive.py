"""The parts of an SR network that low precision hurts, kept in float32 while the rest runs in less.

bfloat16 has 8 bits, a grey level of a bright pixel. So what reads the image, and what adds up the
residuals of a deep network, stay in float32, for next to no time. The last layer would be another
such place; its input is large, so it would cost 6 % of the time of RRDBNet on a CPU, and masks
would gain little.
"""

from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn

_LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5")
_IMAGES = (3, 12, 48)  # channels of an image, also folded by 2 or 4 (RRDBNet x2 and x1)


def keep_in_fp32(net: nn.Module) -> nn.Module:
    """Let the sensitive parts compute in float32, also under autocast. For inference.

    Args:
        net: any SR network; its convolutions of an image are found by their channels, and the dense
            blocks of basicsr's and of spandrel's RRDBNet by their names.

    Returns:
        ``net``.
    """
    for module in net.modules():
        if isinstance(module, nn.Conv2d) and module.in_channels in _IMAGES:
            module.forward = MethodType(_convolution, module)
        elif type(module).__name__ in ("ResidualDenseBlock", "ResidualDenseBlock_5C"):
            plus = getattr(module, "conv1x1", None) is not None  # ESRGAN+ has a further path
            if not plus and all(hasattr(module, name) for name in _LAYERS):
                module.forward = MethodType(_dense_block, module)
    return net


def _dense_block(self: Any, x: Tensor) -> Tensor:
    """``x + 0.2 f(x)`` as both define it (Wang et al., ESRGAN, 2018), the sum in float32."""
    lowered = torch.is_autocast_enabled(x.device.type)
    seen = [x.to(torch.get_autocast_dtype(x.device.type)) if lowered else x]
    for layer in (self.conv1, self.conv2, self.conv3, self.conv4):
        found = layer(seen[0] if len(seen) == 1 else torch.cat(seen, 1))
        seen.append(self.lrelu(found) if isinstance(layer, nn.Conv2d) else found)
    return torch.add(x.float(), self.conv5(torch.cat(seen, 1)), alpha=0.2)


def _convolution(self: nn.Conv2d, x: Tensor) -> Tensor:
    with torch.autocast(x.device.type, enabled=False):
        return self._conv_forward(x.float(), self.weight, self.bias)
