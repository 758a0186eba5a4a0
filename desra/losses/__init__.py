"""Losses that basicsr lacks; importing this package registers them in LOSS_REGISTRY."""

from desra.losses import texture_loss

__all__ = ["texture_loss"]
