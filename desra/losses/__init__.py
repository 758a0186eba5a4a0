"""Losses that basicsr lacks; modules named ``*_loss.py`` register in LOSS_REGISTRY.

A loss of the section ``train.losses`` is any class of that registry, called as
``loss(output, target)`` with float32 tensors (N, 3, H, W) in [0, 1]. It says how it is used by its
constructor and by one class attribute:

- A constructor that takes ``reduction`` gets ``reduction="none"``: the loss gives a value a pixel,
  (N, C, H, W) with C of any number, and the artifact mask weighs these values before their mean.
- Any other loss gives one value a batch, a scalar (or, as basicsr's PerceptualLoss, two of them:
  features and style). The mask weighs the gradient that reaches the output.
- A constructor that takes ``loss_weight`` gets the section's ``weight``; else what the loss gives
  is multiplied by it.
- ``needs`` names what it is called with besides, by keyword: :data:`desra.losses.needs.AVERAGE`,
  the output of the averaged network; :data:`desra.losses.needs.DISCRIMINATOR`. A loss that needs
  the discriminator is an :class:`desra.losses.gan_loss.AdversarialLoss` and its name ends in
  GANLoss.
"""
