"""Losses that basicsr lacks; importing this package registers them in LOSS_REGISTRY."""

from desra.losses import artifact_map_loss, texture_loss

__all__ = ["artifact_map_loss", "texture_loss"]
