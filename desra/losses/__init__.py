"""Losses that basicsr lacks; modules named *_loss.py register in LOSS_REGISTRY."""
