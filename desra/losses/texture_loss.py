"""Texture as the method measures it, the local standard deviation (Eq. 2), as a training loss."""

import torch
from torch import Tensor, nn

from desra.losses.filters import correlate, gaussian_window
from desra.registry import LOSS_REGISTRY


def local_std(image: Tensor, size: int = 11, sigma: float = 1.5, eps: float = 1e-6) -> Tensor:
    """Return the standard deviation in a Gaussian window around each pixel, channel by channel.

    Args:
        image: float32 (N, C, H, W) in [0, 1]; H and W greater than ``size // 2``.
        size, sigma: of the window, in pixels.
        eps: variance that is added under the root, so that flat areas have a finite gradient:
            (0.001)^2, a quarter of a grey level.

    Returns:
        float32 (N, C, H, W); the image is mirrored at its border.
    """
    window = gaussian_window(size, sigma, like=image)
    # Centred first: in float32 the difference of two large means would lose the small ones.
    centred = image - image.mean(dim=(2, 3), keepdim=True)
    variance = correlate(centred**2, window) - correlate(centred, window) ** 2
    return torch.sqrt(variance.clamp(min=0) + eps)


@LOSS_REGISTRY.register()
class LocalStdLoss(nn.Module):
    """The difference of the amount of texture, ``|std(sr) - std(gt)|``.

    Where in the window the texture lies does not matter.

    A pixel loss alone answers uncertainty with blur, outside the mask too. This one keeps the
    amount of texture there without holding every pixel.

    Args:
        loss_weight: factor.
        reduction: mean, or none for a value a pixel.
    """

    def __init__(self, loss_weight: float = 1.0, reduction: str = "mean"):
        super().__init__()
        if reduction not in ("mean", "none"):
            raise ValueError(f"reduction must be mean or none, not {reduction}")
        self.loss_weight, self.reduction = loss_weight, reduction

    def forward(self, sr: Tensor, gt: Tensor) -> Tensor:
        """Return a scalar, or (N, C, H, W) for ``none``; ``sr``, ``gt``: float32 (N, C, H, W)."""
        loss = self.loss_weight * (local_std(sr) - local_std(gt)).abs()
        return loss.mean() if self.reduction == "mean" else loss
