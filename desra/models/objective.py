"""What a training step minimises: the losses of the options, built once, each by its name."""

import copy
import inspect
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from desra.losses.gan_loss import AdversarialLoss, Discriminator, DiscriminatorLoss
from desra.losses.masked import pixel_weight, weigh_gradient
from desra.losses.needs import AVERAGE, DISCRIMINATOR, needs_of
from desra.losses.usm import usm_sharp
from desra.models.trial import kept_randomness
from desra.models.vgg import load_vgg
from desra.options.train import LossOptions, StepOptions
from desra.registry import LOSS_REGISTRY, build, find, vgg_from
from desra.utils.arguments import shown
from desra.utils.errors import InputError

#: Side in pixels of the image on which losses are tried before a training.
_TRIED = 64


class Targets(NamedTuple):
    """What the losses of a batch compare the output with: float32 (N, 3, H, W) in [0, 1]."""

    gt: Tensor
    """The (pseudo) ground truth."""
    gt_usm: Tensor | None = None
    """The same sharpened, if a loss asks for it."""


class _Term(NamedTuple):
    """A loss of the sum, and what it is called with."""

    name: str
    loss: Any
    section: LossOptions
    per_pixel: bool
    """Whether it gives a value a pixel, which the mask weighs; else its gradient is weighed."""
    factor: float
    """What its value is multiplied by: the section's weight, where the loss does not do so."""
    needs: frozenset[str]

    def values(
        self, output: Tensor, target: Tensor, mask: Tensor, **needed: Any
    ) -> list[Tensor | None]:
        """Return its scalars: one; of basicsr's perceptual loss features and style, or None.

        Raises:
            InputError: a loss that should give a value a pixel does not.
        """
        arguments = {key: value for key, value in needed.items() if key in self.needs}
        weight = pixel_weight(mask, self.section.inside, self.section.outside)
        if self.per_pixel:
            each = self.loss(output, target, **arguments)
            shape = tuple(each.shape) if isinstance(each, Tensor) else None
            if shape is None or len(shape) != 4 or shape[-2:] != mask.shape[-2:]:
                raise InputError(
                    f"train.losses.{self.name}: with reduction none, {self.section.type} must give "
                    f"a value a pixel, (N, C, {mask.shape[-2]}, {mask.shape[-1]}), not "
                    f"{shape or type(each).__name__}; a loss of one value a batch takes no "
                    "reduction"
                )
            # A plain mean over all pixels: basicsr's own weighted mean divides by the sum of the
            # weights, so that a crop's artifacts would weigh less the more of them it holds.
            return [self._scaled((each * weight).mean())]
        if not self.section.inside == self.section.outside == 1:
            output = weigh_gradient(output, weight)
        result = self.loss(output, target, **arguments)
        parts = result if isinstance(result, tuple) else (result,)
        for part in parts:
            if not (part is None or (isinstance(part, Tensor) and part.numel() == 1)):
                shape = tuple(part.shape) if isinstance(part, Tensor) else type(part).__name__
                raise InputError(
                    f"train.losses.{self.name}: {self.section.type} takes no reduction, so it must "
                    f"give one value a batch, a scalar tensor, not {shape}; for inside and outside "
                    "to weigh each pixel it takes reduction and, for none, gives (N, C, H, W)"
                )
        return [part if part is None else self._scaled(part) for part in parts]

    def _scaled(self, value: Tensor) -> Tensor:
        return value if self.factor == 1 else self.factor * value


def _try_loss(term: _Term, device: torch.device) -> None:
    """Take the gradient of a copy of a loss, on an image of noise.

    Raises:
        InputError: it fails, or gives what the training cannot use.
    """
    key, kind = f"train.losses.{term.name}", term.section.type
    contract = (
        "it is called as loss(output, target) with float32 (N, 3, H, W) and must give a scalar, "
        "or (N, C, H, W) if it takes reduction and that is none"
    )
    try:
        trial = term._replace(loss=copy.deepcopy(term.loss))
    except Exception:  # what cannot be copied might change by a trial
        return
    with kept_randomness(device):
        output, target, average = torch.rand(3, 1, 3, _TRIED, _TRIED, device=device)
        mask = torch.zeros_like(output[:, :1])
        mask[..., : _TRIED // 2] = 1
        try:
            values = trial.values(output.requires_grad_(), target, mask, average=average)
            total = sum(value.sum() for value in values if value is not None)
            if isinstance(total, Tensor) and total.requires_grad:
                total.backward()
                return
        except InputError:
            raise
        except Exception as error:
            raise InputError(
                f"{key}: {kind} fails ({type(error).__name__}: {error}; given: "
                f"{shown(term.section.spec())}); {contract}"
            ) from error
    raise InputError(f"{key}: {kind} gives no gradient to the output; {contract}")


class Objective:
    """The losses of both networks.

    Args:
        step: the options; ``losses`` are summed in their order.
        device: where losses that hold networks go.

    Raises:
        InputError: unknown losses, arguments that they do not take, what a loss needs is not there,
            no VGG weights, or a loss that fails on an image of noise.
    """

    def __init__(self, step: StepOptions, device: torch.device):
        self._device = device
        self._terms = [self._term(name, section) for name, section in step.active.items()]
        self._adversarial = self._the_adversarial()
        for term in self._terms:
            if AVERAGE in term.needs and not step.ema_decay:
                raise InputError(
                    f"train.losses.{term.name}: {term.section.type} needs the moving average: set "
                    "ema_decay, such as 0.999"
                )
        for term in self._terms:
            if DISCRIMINATOR not in term.needs:
                _try_loss(term, device)

    def _term(self, name: str, section: LossOptions) -> _Term:
        key, spec = f"train.losses.{name}", section.spec()
        cls = find(LOSS_REGISTRY, section.type, key)
        taken = inspect.signature(cls).parameters
        extra: dict[str, Any] = {}
        if "reduction" in taken:
            extra["reduction"] = "none"
        if "loss_weight" in taken:
            extra["loss_weight"] = section.weight
        with vgg_from(partial(load_vgg, weights=spec.get("vgg_weights"), key=key)):
            loss = self._built(spec, key, extra)
        if isinstance(loss, nn.Module):
            loss = loss.to(self._device, torch.get_default_dtype()).requires_grad_(False)
        try:
            needs = needs_of(loss)
        except ValueError as error:
            raise InputError(f"{key}: {section.type}: {error}") from error
        factor = 1.0 if "loss_weight" in taken else section.weight
        return _Term(name, loss, section, "reduction" in taken, factor, needs)

    def _built(self, spec: dict[str, Any], key: str, extra: dict[str, Any]) -> Any:
        try:
            return build(LOSS_REGISTRY, spec, key, **extra)
        except InputError as error:
            if "reduction" not in str(error).partition("; it takes")[0]:
                raise
            raise InputError(
                f"{error}; a loss that takes reduction is built with reduction none and must then "
                "give a value a pixel, (N, C, H, W), for the mask to weigh"
            ) from error

    def _the_adversarial(self) -> _Term | None:
        """The loss of the discriminator, which the options know by the name of its type."""
        for term in self._terms:
            kind, named = term.section.type, term.section.adversarial
            if named and not isinstance(term.loss, AdversarialLoss):
                raise InputError(
                    f"train.losses.{term.name}: {kind} must be a subclass of "
                    "desra.losses.gan_loss.AdversarialLoss, since its name ends in GANLoss"
                )
            if DISCRIMINATOR in term.needs and not named:
                raise InputError(
                    f"train.losses.{term.name}: {kind} needs the discriminator, so its name must "
                    "end in GANLoss"
                )
        return next((term for term in self._terms if term.section.adversarial), None)

    def loss(self, name: str) -> Any:
        """Return the loss of a name, as it was built.

        Raises:
            KeyError: there is none.
        """
        return {term.name: term.loss for term in self._terms}[name]

    @property
    def needs_average(self) -> bool:
        """Return whether :meth:`generator` takes the output of the averaged network."""
        return any(AVERAGE in term.needs for term in self._terms)

    @property
    def needs_before(self) -> bool:
        """Return whether :meth:`generator` takes the output of the network before."""
        return any(term.section.towards == "before" for term in self._terms)

    def targets(self, gt: Tensor, gt_usm: Tensor | None = None) -> Targets:
        """Return the truths of a batch, sharpened if a loss asks for that.

        Args:
            gt: float32 (N, 3, H, W) in [0, 1].
            gt_usm: it sharpened, where the dataset has done so; else it is done here.

        Raises:
            InputError: crops too small for sharpening.
        """
        if not any(term.section.towards == "gt_usm" for term in self._terms):
            return Targets(gt)
        if gt_usm is None:
            with torch.no_grad():
                gt_usm = usm_sharp(gt)
        return Targets(gt, gt_usm)

    def generator(
        self,
        output: Tensor,
        targets: Targets,
        mask: Tensor,
        discriminator: Discriminator | None = None,
        average: Tensor | None = None,
        before: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Return the generator's losses by their names in the log, to be summed.

        Args:
            output: the generator's, float32 (N, 3, H, W).
            targets: of the same shape.
            mask: float32 (N, 1, H, W), 1 on artifacts.
            discriminator: for an adversarial loss; its parameters should need no gradient.
            average, before: the outputs of the averaged network and of the network before for the
                same lq.

        Returns:
            Scalars with gradients, ``l_g_<name>``. The style part of a perceptual loss is
            ``l_g_style``, or ``l_g_<name>_style`` where that is taken.
        """
        losses: dict[str, Tensor] = {}
        names = {f"l_g_{term.name}" for term in self._terms}
        needed = {AVERAGE: average, DISCRIMINATOR: discriminator}
        for term in self._terms:
            target = self._target(term, targets, before)
            values = term.values(output, target, mask, **needed)
            style = "l_g_style"
            if style in names or style in losses:
                style = f"l_g_{term.name}_style"
            for name, value in zip((f"l_g_{term.name}", style), values, strict=False):
                if value is not None:
                    losses[name] = value
        return losses

    def _target(self, term: _Term, targets: Targets, before: Tensor | None = None) -> Tensor:
        target = {"gt": targets.gt, "gt_usm": targets.gt_usm, "before": before}[
            term.section.towards
        ]
        assert target is not None  # by targets() and needs_before
        return target

    def discriminator(
        self, discriminator: Discriminator, fake: Tensor, targets: Targets
    ) -> Iterator[DiscriminatorLoss]:
        """Yield the discriminator's losses, each to be propagated before the next is made.

        Args:
            discriminator: its parameters need gradients.
            fake: the generator's output, float32 (N, 3, H, W); needs no gradient.
            targets: of the same shape.
        """
        term = self._adversarial
        assert term is not None
        return term.loss.discriminator_losses(fake, self._target(term, targets), discriminator)
