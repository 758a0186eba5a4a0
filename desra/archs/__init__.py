"""Networks that basicsr lacks; importing this package registers them in ARCH_REGISTRY."""

from desra.archs import patch_discriminator_arch

__all__ = ["patch_discriminator_arch"]
