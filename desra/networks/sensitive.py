"""Keep those parts of an SR network in float32 that low precision hurts.

bfloat16 has 8 bits of precision: a step is a grey level of a bright pixel. So the convolutions of
the image and the sums of residuals stay in float32, which costs next to no time. The last layer
would cost 6 % of the time of RRDBNet on a CPU, as its input is large, and improve masks little.
"""

from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn

_LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5")
_IMAGES = (3, 12, 48)  # channels of an image, also folded by 2 or 4 (RRDBNet x2 and x1)


def keep_in_fp32(net: nn.Module) -> nn.Module:
    """Make the sensitive parts of a network compute in float32, also under autocast; for inference.

    Args:
        net: any SR network, changed in place. The convolutions of an image are recognised by their
            channels, the dense blocks of basicsr's and spandrel's RRDBNet by their names.

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
    """Return ``x + 0.2 f(x)`` (Wang et al., ESRGAN, arXiv 1809.00219), the sum in float32."""
    lowered = torch.is_autocast_enabled(x.device.type)
    features = [x.to(torch.get_autocast_dtype(x.device.type)) if lowered else x]
    for layer in (self.conv1, self.conv2, self.conv3, self.conv4):
        output = layer(features[0] if len(features) == 1 else torch.cat(features, 1))
        features.append(self.lrelu(output) if isinstance(layer, nn.Conv2d) else output)
    return torch.add(x.float(), self.conv5(torch.cat(features, 1)), alpha=0.2)


def _convolution(self: nn.Conv2d, x: Tensor) -> Tensor:
    with torch.autocast(x.device.type, enabled=False):
        return self._conv_forward(x.float(), self.weight, self.bias)
