"""Architectures that basicsr lacks; modules named *_arch.py register in ARCH_REGISTRY."""
