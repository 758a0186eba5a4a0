"""What a training step minimises: the losses of the options, built once, each by its name."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from desra.losses.gan_loss import Judge, Judged, discriminator_losses, generator_loss
from desra.losses.ldl_loss import artifact_weight
from desra.losses.masked import pixel_weight, weigh_gradient
from desra.losses.usm import usm_sharp
from desra.models.vgg import find_weights, load_features
from desra.options.train import MaskedLossOptions, StepOptions
from desra.registry import LOSS_REGISTRY, build, vgg_from
from desra.utils.errors import InputError


class Targets(NamedTuple):
    """What each kind of loss takes for the truth: float32 (N, 3, H, W), ``gt`` or it sharpened."""

    gt: Tensor
    pixel: Tensor
    perceptual: Tensor
    gan: Tensor


class _Masked(NamedTuple):
    """A loss and what pixels count in it."""

    loss: Any
    section: MaskedLossOptions

    def weight(self, mask: Tensor) -> Tensor:
        return pixel_weight(mask, self.section.inside, self.section.outside)

    def mean(self, output: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        """Of a loss that gives a value a pixel.

        A plain mean over all pixels: basicsr's own weighted mean divides by the sum of the weights,
        so that a crop's artifacts would weigh less the more of them it holds.
        """
        return (self.loss(output, target) * self.weight(mask)).mean()

    def seen(self, output: Tensor, mask: Tensor) -> Tensor:
        """``output`` for a loss that gives one value a batch: its gradient is weighed."""
        if self.section.inside == self.section.outside == 1:
            return output
        return weigh_gradient(output, self.weight(mask))


class Objective:
    """The losses of both networks.

    Args:
        step: the options; their sections name the losses and weigh them.
        device: where perceptual networks go.

    Raises:
        InputError: unknown losses, arguments that they do not take, or no VGG weights.
    """

    def __init__(self, step: StepOptions, device: torch.device):
        self._step = step
        self._device = device
        self._pixel = self._masked(step.pixel_opt, "pixel_opt", reduction="none")
        self._texture = self._masked(step.texture_opt, "texture_opt", reduction="none")
        self._artifact = self._masked(step.artifact_opt, "artifact_opt", reduction="none")
        self._ldl = self._masked(step.ldl_opt, "ldl_opt", reduction="none")
        self._preserve = {
            name: self._masked(section, key, reduction="none")
            for name, key, section in (
                ("l_g_keep", "preserve_opt", step.preserve_opt),
                ("l_g_keep_tex", "preserve_texture_opt", step.preserve_texture_opt),
            )
        }
        self._gan = self._masked(step.gan_opt, "gan_opt")
        self._relativistic = step.gan_mode == "relativistic"
        self._perceptual = self._masked(step.perceptual_opt, "perceptual_opt")

    def _masked(self, section: MaskedLossOptions | None, key: str, **extra: Any) -> _Masked | None:
        if section is None:
            return None
        spec = section.spec()
        if section.type == "PerceptualLoss" and spec.get("criterion") == "l2":
            raise InputError(f"train.{key}.criterion: l2 is broken in basicsr; use l1 or fro")
        with vgg_from(self._vgg):
            loss = build(LOSS_REGISTRY, spec, f"train.{key}", **extra)
        if isinstance(loss, nn.Module):
            loss = loss.to(self._device, torch.get_default_dtype()).requires_grad_(False)
        return _Masked(loss, section)

    def _vgg(self, vgg_type: str) -> nn.Module:
        section = self._step.perceptual_opt
        return load_features(vgg_type, find_weights(vgg_type, section and section.vgg_weights))

    @property
    def needs_average(self) -> bool:
        """Whether :meth:`generator` takes what the averaged network makes (for LDL's map)."""
        return self._ldl is not None

    @property
    def needs_before(self) -> bool:
        """Whether :meth:`generator` takes what the network before makes."""
        return any(self._preserve.values())

    def targets(self, gt: Tensor, gt_usm: Tensor | None = None) -> Targets:
        """The truths of a batch, sharpened where the options say so.

        Args:
            gt: float32 (N, 3, H, W) in [0, 1].
            gt_usm: it sharpened, where the dataset has done so; else it is done here.

        Raises:
            InputError: crops too small for sharpening.
        """
        wanted = (self._step.l1_gt_usm, self._step.percep_gt_usm, self._step.gan_gt_usm)
        if any(wanted) and gt_usm is None:
            with torch.no_grad():
                gt_usm = usm_sharp(gt)
        return Targets(gt, *(gt_usm if want and gt_usm is not None else gt for want in wanted))

    def generator(
        self,
        output: Tensor,
        targets: Targets,
        mask: Tensor,
        judge: Judge | None = None,
        average: Tensor | None = None,
        before: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """The generator's losses by name, to be summed.

        Args:
            output: what it made, float32 (N, 3, H, W).
            targets: of the same shape.
            mask: float32 (N, 1, H, W), 1 on artifacts.
            judge: the discriminator, with ``gan_opt``; its parameters should need no gradient.
            average, before: what the averaged network, and the network before, make of the same lq.

        Returns:
            Scalars with gradients.
        """
        losses: dict[str, Tensor] = {}
        if self._pixel:
            losses["l_g_pix"] = self._pixel.mean(output, targets.pixel, mask)
        if self._texture:
            losses["l_g_tex"] = self._texture.mean(output, targets.pixel, mask)
        if self._artifact:
            losses["l_g_art"] = self._artifact.mean(output, targets.gt, mask)
        if self._ldl:
            assert average is not None
            weight = artifact_weight(targets.gt, output, average)
            losses["l_g_ldl"] = self._ldl.mean(weight * output, weight * targets.gt, mask)
        for name, preserve in self._preserve.items():
            if preserve:
                assert before is not None
                losses[name] = preserve.mean(output, before, mask)
        if self._perceptual:
            seen = self._perceptual.seen(output, mask)
            found = self._perceptual.loss(seen, targets.perceptual)
            # basicsr's gives (features, style), either of them None; others one value.
            parts = found if isinstance(found, tuple) else (found, None)
            for name, part in zip(("l_g_percep", "l_g_style"), parts, strict=True):
                if part is not None:
                    losses[name] = part
        if self._gan:
            assert judge is not None
            seen = self._gan.seen(output, mask)
            losses["l_g_gan"] = generator_loss(
                self._gan.loss, judge, seen, targets.gan, self._relativistic
            )
        return losses

    def discriminator(self, judge: Judge, fake: Tensor, targets: Targets) -> Iterator[Judged]:
        """The discriminator's losses, each to be propagated before the next is made."""
        assert self._gan is not None
        return discriminator_losses(self._gan.loss, judge, fake, targets.gan, self._relativistic)
