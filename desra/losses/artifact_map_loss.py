"""The paper's map as a training loss: no more is taken away than detection by it asks for."""

from torch import Tensor, nn

from desra.artifacts import WindowSpec
from desra.losses.texture_loss import local_std
from desra.registry import LOSS_REGISTRY

_C = WindowSpec(data_range=1.0).constant  # Eq. 7, for images in [0, 1]


def relative_map(sr: Tensor, reference: Tensor) -> Tensor:
    """Return ``D = (2 s_sr s_ref + C) / (s_sr^2 + s_ref^2 + C)``, the mean over channels (Eq. 7).

    Args:
        sr, reference: float32 (N, C, H, W) in [0, 1]; H and W of 6 or more.

    Returns:
        float32 (N, 1, H, W) in [0, 1], 1 where the texture is the same; images are mirrored at
        their borders.
    """
    std_sr, std_reference = local_std(sr), local_std(reference)
    similarity = (2 * std_sr * std_reference + _C) / (std_sr.square() + std_reference.square() + _C)
    return similarity.mean(dim=1, keepdim=True)


@LOSS_REGISTRY.register()
class ArtifactMapLoss(nn.Module):
    """The artifacts that the paper's map would still find: ``max(0, target - D(sr, gt))``.

    Against the pseudo ground truth, ``gt`` is the MSE-SR output inside the mask. A pixel loss asks
    for that output itself there, so a network learns to blur; this one is content as soon as the
    texture is no longer ``target`` away from it.

    Args:
        loss_weight: factor.
        target: the D that is wanted; above detection's threshold, so that unseen images, too, end
            on its right side.
        reduction: mean, or none for a value a pixel.
    """

    def __init__(self, loss_weight: float = 1.0, target: float = 0.8, reduction: str = "mean"):
        super().__init__()
        if reduction not in ("mean", "none"):
            raise ValueError(f"reduction must be mean or none, not {reduction}")
        if not 0 < target <= 1:
            raise ValueError(f"target must lie between 0 and 1, not {target}")
        self.loss_weight, self.target, self.reduction = loss_weight, target, reduction

    def forward(self, sr: Tensor, gt: Tensor) -> Tensor:
        """Return a scalar, or (N, 1, H, W) for ``none``; ``sr``, ``gt``: float32 (N, C, H, W)."""
        loss = self.loss_weight * (self.target - relative_map(sr, gt)).clamp(min=0)
        return loss.mean() if self.reduction == "mean" else loss
