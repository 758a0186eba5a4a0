"""The similarity map D for batches that already lie on a device (Eq. 2-7).

Detection on a GPU (cuda) uses it, within 1e-7 of what it computes without torch on the CPU; the
tests hold the two together on the CPU, and no test has run on a GPU.

Apart from the package's other modules because it needs torch:
``from desra.artifacts.local_variance_torch import artifact_map_batch``.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from desra.artifacts.local_variance import WindowSpec

_PAPERS = WindowSpec()


def artifact_map_batch(sr_mse: Tensor, sr_gan: Tensor, window: WindowSpec = _PAPERS) -> Tensor:
    """Return `desra.artifacts.artifact_map` for a batch: 1 = same texture, **low = artifact**.

    Args:
        sr_mse: outputs of the MSE-trained network, ``(N, C, H, W)``, C 1 or 3, uint8 or
            floating, with values on ``0..window.data_range`` (quantise float outputs in [0, 1]
            first: ``(x.clamp(0, 1) * 255).round()``).
        sr_gan: outputs of the GAN-trained network, same shape and device.
        window: the patch; the paper's by default.

    Returns:
        ``(N, H - 2b, W - 2b)`` in [0, 1] on the device of the input, float64, within 1e-7 of
        the NumPy map. A device without float64 (mps) has its batch computed on the CPU and
        gets float32 back, which is as close: float32 arithmetic would not do, as E[x^2] -
        E[x]^2 cancels.

    Raises:
        ValueError: unequal shapes or devices, another layout, or values that are not finite.
    """
    for name, batch in (("sr_mse", sr_mse), ("sr_gan", sr_gan)):
        if batch.ndim != 4 or batch.shape[1] not in (1, 3):
            raise ValueError(
                f"{name} must be (N, C, H, W) with 1 or 3 channels, got {tuple(batch.shape)}"
            )
        if batch.is_floating_point() and not bool(torch.isfinite(batch).all()):
            raise ValueError(f"{name} has values that are not finite (NaN or infinite)")
    if sr_mse.shape != sr_gan.shape or sr_mse.device != sr_gan.device:
        raise ValueError(
            "sr_mse and sr_gan must have the same shape and device, got "
            f"{tuple(sr_mse.shape)} on {sr_mse.device} and "
            f"{tuple(sr_gan.shape)} on {sr_gan.device}"
        )
    home = sr_mse.device
    has_float64 = home.type != "mps"
    work = home if has_float64 else torch.device("cpu")
    var_mse = _variance(sr_mse.to(work).to(torch.float64), window)
    var_gan = _variance(sr_gan.to(work).to(torch.float64), window)
    c = window.constant
    similarity = (2.0 * torch.sqrt(var_mse * var_gan) + c) / (var_mse + var_gan + c)
    similarity = similarity.mean(dim=1).clamp(max=1.0)
    return similarity if has_float64 else similarity.to(torch.float32).to(home)


def _variance(x: Tensor, window: WindowSpec) -> Tensor:
    """Return the weighted variance ``(N, C, H - 2b, W - 2b)``, never below ``window.epsilon``."""
    n, channels, height, width = x.shape
    shape = (n, channels, *window.map_size((height, width)))
    if 0 in shape:
        return x.new_empty(shape)
    kernel = torch.as_tensor(window.kernel, device=x.device)

    def blur(planes: Tensor) -> Tensor:
        rows = functional.conv2d(planes, kernel.view(1, 1, -1, 1))
        return functional.conv2d(rows, kernel.view(1, 1, 1, -1))

    planes = x.reshape(n * channels, 1, height, width)
    variance = blur(planes.square()) - blur(planes).square()
    return variance.clamp(min=0.0).add(window.epsilon).view(shape)
