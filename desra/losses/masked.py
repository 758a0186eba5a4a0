"""The weight of each pixel in a loss, by the artifact mask."""

from torch import Tensor


def pixel_weight(mask: Tensor, inside: float, outside: float) -> Tensor:
    """Return the factor of each pixel: ``inside`` where ``mask`` is 1, ``outside`` where it is 0.

    Args:
        mask: float (N, 1, H, W) in [0, 1].
        inside, outside: 0 or more.

    Returns:
        float (N, 1, H, W); broadcast over channels by the loss.
    """
    return outside + (inside - outside) * mask


def weigh_gradient(output: Tensor, weight: Tensor) -> Tensor:
    """Return ``output`` itself, whose gradient is multiplied by ``weight``.

    For losses that are no sum over pixels (adversarial, perceptual): what such a loss asks of a
    pixel is weighed when it arrives there. For one that is such a sum it is the same as weighing
    its terms.

    Args:
        output: float (N, C, H, W).
        weight: float (N, 1, H, W), 0 or more.
    """
    fixed = output.detach()
    return fixed + weight * (output - fixed)
