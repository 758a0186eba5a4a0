"""An arch of your own: a small x4 network that adds detail to the enlarged LR image.

Train it on the pictures that ship, then upscale with it (in this folder):

    python -m desra.train   -opt own_arch_train.yml
    python -m desra.upscale -opt own_arch_upscale.yml
"""

from torch import Tensor, nn
from torch.nn import functional

from desra.registry import ARCH_REGISTRY  # basicsr's own


@ARCH_REGISTRY.register()
class TinyResidualNet(nn.Module):
    """Map float (N, 3, h, w) in [0, 1] to (N, 3, scale * h, scale * w).

    The arguments are the keys beside ``type`` under ``network_g``.

    Args:
        num_feat: channels of the hidden layers.
        scale: the factor.
    """

    def __init__(self, num_feat: int = 16, scale: int = 4):
        super().__init__()
        self.scale = scale
        self.body = nn.Sequential(
            nn.Conv2d(3, num_feat, 3, padding=1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(num_feat, num_feat, 3, padding=1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(num_feat, 3 * scale**2, 3, padding=1),
            nn.PixelShuffle(scale),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the enlarged image."""
        return self.body(x) + functional.interpolate(x, scale_factor=self.scale)
