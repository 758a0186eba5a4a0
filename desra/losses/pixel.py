"""What each pixel counts in a loss, by the artifact mask."""

from torch import Tensor


def pixel_weight(mask: Tensor, inside: float, outside: float) -> Tensor:
    """The factor of each pixel: ``inside`` where ``mask`` is 1, ``outside`` where it is 0.

    Args:
        mask: float (N, 1, H, W) in [0, 1].
        inside, outside: 0 or more.

    Returns:
        float (N, 1, H, W); broadcast over channels by the loss.
    """
    return outside + (inside - outside) * mask
