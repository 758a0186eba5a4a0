"""LDL's loss: a pixel loss where a GAN's output is an artifact rather than a detail.

Source: Liang et al., "Details or Artifacts: A Locally Discriminative Learning Approach to Realistic
Image Super-Resolution" (CVPR 2022).
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from desra.losses.needs import AVERAGE
from desra.registry import LOSS_REGISTRY, build
from desra.utils.errors import InputError

_TINY = 1e-12


def artifact_weight(gt: Tensor, output: Tensor, output_ema: Tensor, size: int = 7) -> Tensor:
    """Return ``Var(R)^(1/5) Var_7x7(R)``, and 0 where ``R < R_ema``; ``R = sum_c |gt - output|``.

    Equals basicsr's ``get_refined_artifact_map`` and, like it, lets the gradient through; but its
    gradient is finite where a sample has no error at all, where basicsr's is NaN.

    Args:
        gt, output, output_ema: float32 (N, C, H, W) in [0, 1]: the truth, and what the network and
            its moving average make; H and W greater than ``size // 2``.
        size: side of the window of the local variance, odd.

    Returns:
        float32 (N, 1, H, W), 0 or more.
    """
    residual = (gt - output).abs().sum(1, keepdim=True)
    residual_ema = (gt - output_ema).abs().sum(1, keepdim=True)
    whole = residual.var(dim=(1, 2, 3), keepdim=True).clamp(min=_TINY) ** (1 / 5)
    padded = F.pad(residual, [size // 2] * 4, mode="reflect")
    local = padded.unfold(2, size, 1).unfold(3, size, 1).var(dim=(-2, -1))
    return torch.where(residual < residual_ema, 0.0, whole * local)


@LOSS_REGISTRY.register()
class LDLLoss(nn.Module):
    """A pixel loss of output and truth, both multiplied by LDL's map of artifacts.

    Args:
        criterion: the name of the pixel loss in the registry, or a section: ``type`` and arguments.
        loss_weight: factor.
        reduction: mean, or none for a value a pixel.

    Raises:
        ValueError: no such pixel loss, or arguments that it does not take.
    """

    needs: ClassVar = frozenset({AVERAGE})

    def __init__(
        self,
        criterion: str | Mapping[str, Any] = "L1Loss",
        loss_weight: float = 1.0,
        reduction: str = "mean",
    ):
        super().__init__()
        spec = {"type": criterion} if isinstance(criterion, str) else dict(criterion)
        if not isinstance(spec.get("type"), str):
            raise ValueError("criterion must be the name of a pixel loss or a section with a type")
        own = {"loss_weight": loss_weight, "reduction": reduction}
        try:
            self.criterion = build(LOSS_REGISTRY, spec, "criterion", **own)
        except InputError as error:  # whose section this is, only the caller knows
            raise ValueError(str(error)) from error

    def forward(self, sr: Tensor, gt: Tensor, average: Tensor) -> Tensor:
        """Return a scalar, or (N, C, H, W) for ``none``.

        Args:
            sr, gt, average: float32 (N, C, H, W) in [0, 1]; ``average`` is what the averaged
                network makes.
        """
        weight = artifact_weight(gt, sr, average)
        return self.criterion(weight * sr, weight * gt)
