"""What a loss may be called with besides the output and its target."""

from typing import Any

AVERAGE = "average"
"""Keyword: what the averaged network makes of the same lq, float32 (N, 3, H, W)."""
DISCRIMINATOR = "discriminator"
"""Keyword: images, float32 (N, 3, H, W) -> the discriminator's logits, float32."""
KNOWN = frozenset({AVERAGE, DISCRIMINATOR})


def needs_of(loss: Any) -> frozenset[str]:
    """Return what a loss declares in its attribute ``needs``.

    Args:
        loss: a loss or its class; without the attribute it needs nothing.

    Raises:
        ValueError: something else than the names of this module.
    """
    needs = frozenset(getattr(loss, "needs", ()))
    if unknown := needs - KNOWN:
        raise ValueError(
            f"needs names {', '.join(sorted(unknown))}; a loss may need {', '.join(sorted(KNOWN))}"
        )
    return needs
