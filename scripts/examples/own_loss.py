"""A loss of your own: the difference of the images' gradients.

Detect, then finetune with it (in this folder):

    python -m desra.detect -opt options/detect.yml
    python -m desra.train  -opt own_loss.yml
"""

from torch import Tensor, nn
from torch.nn import functional

from desra.registry import LOSS_REGISTRY  # basicsr's own


@LOSS_REGISTRY.register()
class GradientLoss(nn.Module):
    """|gradient(sr) - gradient(gt)|, horizontal and vertical.

    Args:
        loss_weight: factor, ``weight`` in YAML.
        reduction: ``none`` gives a value for each pixel, which desra weighs by the mask (``inside``
            and ``outside`` in YAML); ``mean`` a scalar.
    """

    def __init__(self, loss_weight: float = 1.0, reduction: str = "mean"):
        super().__init__()
        self.loss_weight, self.reduction = loss_weight, reduction

    def forward(self, sr: Tensor, gt: Tensor) -> Tensor:
        """float32 (N, C, H, W) in [0, 1] twice -> a scalar, or (N, C, H, W) for ``none``."""
        difference = functional.pad(sr - gt, (0, 1, 0, 1), mode="replicate")
        horizontal = difference[..., :-1, 1:] - difference[..., :-1, :-1]
        vertical = difference[..., 1:, :-1] - difference[..., :-1, :-1]
        loss = self.loss_weight * (horizontal.abs() + vertical.abs())
        return loss.mean() if self.reduction == "mean" else loss
