"""The weight of LDL's loss: where a GAN's output is an artifact rather than a detail.

Source: Liang et al., "Details or Artifacts: A Locally Discriminative Learning Approach to Realistic
Image Super-Resolution" (CVPR 2022).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

_TINY = 1e-12


def artifact_weight(gt: Tensor, output: Tensor, output_ema: Tensor, size: int = 7) -> Tensor:
    """``Var(R)^(1/5) Var_7x7(R)``, and 0 where ``R < R_ema``; ``R = sum_c |gt - output|``.

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
