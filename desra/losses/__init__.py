"""Losses that basicsr lacks; importing this package registers them in LOSS_REGISTRY."""
