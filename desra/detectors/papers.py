"""The paper's detector, and the one that the paper rejects."""

from __future__ import annotations

from typing import Any

import numpy as np

from desra.artifacts import WindowSpec, absolute_difference_map, artifact_map
from desra.detectors.images import Images, Map
from desra.detectors.registry import register


def batched_map(images: Images, window: WindowSpec, device: str) -> Map:
    """Return the map of `relative_local_variance`, computed on a device of torch.

    Within 1e-7 of the map that the CPU computes without torch, so that a pixel whose D lies that
    near to the threshold may fall on the other side. Its tests run on the CPU only.

    Args:
        images: gan and mse, uint8 ``(H, W, 3)``.
        window: the patch.
        device: torch's name of a device that has float64.
    """
    import torch

    from desra.artifacts.local_variance_torch import artifact_map_batch

    def batch(image: Any) -> Any:
        return torch.from_numpy(image.transpose(2, 0, 1)[None].copy()).to(device)

    with torch.inference_mode():
        D = artifact_map_batch(batch(images.mse), batch(images.gan), window)[0]
    return D.cpu().numpy().astype(np.float64)


@register("mse", local=True, on_device=batched_map)
def relative_local_variance(images: Images, window: WindowSpec) -> Map:
    """Return the paper's D of Eq. 7: relative difference of local texture (`artifact_map`)."""
    assert images.mse is not None  # it is needed
    return artifact_map(images.mse, images.gan, window)


@register("mse", local=True)
def absolute_local_variance(images: Images, window: WindowSpec) -> Map:
    """Return what the paper rejects: d = (s_gan - s_mse)^2 (Eq. 3), as the similarity C / (C + d).

    With C of Eq. 7 it is never above `relative_local_variance`, and equal to it in gray images
    where one of the two is flat: what it adds is to fire on strong contrast.
    """
    assert images.mse is not None
    c = window.constant
    return c / (c + absolute_difference_map(images.mse, images.gan, window))
