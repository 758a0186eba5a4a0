"""The model that trains and finetunes: one step of losses that know the mask, of D, of the EMA."""

import copy
import re
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from desra.models.base_model import TrainableModel
from desra.models.low_rank import add_low_rank, merged
from desra.models.objective import Objective, Targets
from desra.models.recompute import recompute_blocks
from desra.models.schedules import make_optimizer, make_schedule
from desra.models.trial import try_network
from desra.models.update import Update
from desra.networks import checkpoints
from desra.networks.load import probe_scale
from desra.options.base import RegisteredClass
from desra.options.train import TrainOptions
from desra.registry import ARCH_REGISTRY, MODEL_REGISTRY, build
from desra.utils import distributed
from desra.utils.device import (
    autocast,
    full_precision,
    keep_residual_in_fp32,
    select_device,
    select_precision,
)
from desra.utils.errors import InputError, listed


def _let_learn(net: nn.Module, patterns: Sequence[str], rank: int | None) -> None:
    """Let those weights learn in whose names one of ``patterns`` is found; none: all. With ``rank``
    they learn by low-rank deltas.

    Raises:
        InputError: a pattern that is found in no name, or that no delta fits.
    """
    names = [name for name, _ in net.named_parameters()]
    for pattern in patterns:
        if not any(re.search(pattern, name) for name in names):
            raise InputError(
                f"train.trainable: '{pattern}' is found in no name of the generator's weights; "
                f"these are {listed(names)}"
            )
    chosen = [n for n in names if any(re.search(pattern, n) for pattern in patterns)]
    if rank is not None:
        add_low_rank(net, rank, chosen if patterns else None)
    elif patterns:
        for name, parameter in net.named_parameters():
            parameter.requires_grad_(name in chosen)


def _layout(net: nn.Module) -> torch.memory_format:
    """Return channels_last, which convolutions like, unless there are fully connected layers.

    Networks with these reshape their features, some (VGGStyleDiscriminator) as only the usual
    layout allows.
    """
    dense = any(isinstance(module, nn.Linear) for module in net.modules())
    return torch.contiguous_format if dense else torch.channels_last


class _Part(NamedTuple):
    """Some of the samples of a step."""

    lq: Tensor
    mask: Tensor
    targets: Targets


def _add(losses: dict[str, Tensor], name: str, value: Tensor, parts: int) -> None:
    """Add a part's share of the mean over parts."""
    share = value.detach() / parts
    losses[name] = losses[name] + share if name in losses else share


def _set_requires_grad(net: nn.Module, wanted: bool) -> None:
    for parameter in net.parameters():
        parameter.requires_grad_(wanted)


def _load_optimizer(name: str, optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Set an optimiser to a state, and check what torch itself does not.

    Raises:
        ValueError: what it keeps of a weight has not the weight's size, or is no number, or a
            setting is none.
    """
    groups = [dict(group) for group in optimizer.param_groups]
    optimizer.load_state_dict(state)
    for before, group in zip(groups, optimizer.param_groups, strict=True):
        for key, value in before.items():
            if key not in group or (key != "params" and not _alike(value, group[key])):
                raise ValueError(f"optimizers.{name}: {key} is not like {value}")
    for weight, kept in optimizer.state.items():
        for key, value in kept.items():
            if not isinstance(value, Tensor | int | float | None):
                raise ValueError(f"optimizers.{name}: {key} is a {type(value).__name__}")
            if not isinstance(value, Tensor) or key in _OTHER_SIZES or value.numel() == 1:
                continue
            if value.shape != weight.shape or not value.is_floating_point():
                raise ValueError(
                    f"optimizers.{name}: {key} has shape {tuple(value.shape)} and {value.dtype}, "
                    f"and its weight {tuple(weight.shape)} and {weight.dtype}"
                )


def _alike(setting: Any, kept: Any) -> bool:
    """Return whether a kept setting of an optimiser is of the kind of the one that it has now."""
    if isinstance(setting, list | tuple):
        pairs = isinstance(kept, list | tuple) and len(kept) == len(setting)
        return pairs and all(map(_alike, setting, kept))
    if isinstance(setting, bool) or setting is None:  # torch decides for itself where it is None
        return isinstance(kept, bool) or (setting is None and kept is None)
    if isinstance(setting, int | float | Tensor):
        return isinstance(kept, int | float | Tensor) and not isinstance(kept, bool)
    return isinstance(kept, type(setting))


#: What Adafactor keeps in another size than a weight's.
_OTHER_SIZES = ("row_var", "col_var")


@MODEL_REGISTRY.register()
class DeSRAModel(TrainableModel):
    """A generator, perhaps a discriminator, their optimisers, and the step that updates them.

    With a pixel loss alone it trains an MSE-SR network, with an adversarial loss a GAN-SR network.
    With samples of (lq, pseudo ground truth, mask) it finetunes artifacts away (DeSRA, sec. 3.3).

    Args:
        opt: the options of the run.

    Raises:
        InputError: unknown names, arguments or weights.
    """

    def __init__(self, opt: TrainOptions):
        step = opt.train
        self.opt = opt
        self.device = distributed.local_device(select_device(opt.device))
        self.dtype = select_precision(opt.precision, self.device)
        # That of weights and samples: float32, unless torch has been told to take float64.
        self._exact = torch.get_default_dtype()
        self.net_g = self._network(opt.network_g, opt.path.pretrain_network_g, "network_g")
        self.objective = Objective(step, self.device)
        self.net_before: nn.Module | None = None
        if step.strength < 1 or step.low_rank or self.objective.needs_before:
            self.net_before = copy.deepcopy(self.net_g).eval().requires_grad_(False)
        self.net_preserved = self.net_before
        if opt.path.preserve_network_g and self.net_before is not None:
            self.net_preserved = copy.deepcopy(self.net_before)
            checkpoints.load_into(
                self.net_preserved, opt.path.preserve_network_g, "path.preserve_network_g"
            )
        _let_learn(self.net_g, step.trainable, step.low_rank)
        self.ema = (
            AveragedModel(self.net_g, multi_avg_fn=get_ema_multi_avg_fn(step.ema_decay))
            if step.ema_decay
            else None
        )
        if self.ema is not None:
            self.ema.module.eval()
        self.optimizers = {"g": make_optimizer(step.optim_g, self.net_g, "train.optim_g")}

        self.net_d: nn.Module | None = None
        if step.adversarial:
            assert opt.network_d and step.optim_d  # TrainOptions has made sure
            self.net_d = self._network(opt.network_d, opt.path.pretrain_network_d, "network_d")
            self.optimizers["d"] = make_optimizer(step.optim_d, self.net_d, "train.optim_d")
        self._check_crops()
        self._try_networks()
        self.schedulers = {name: make_schedule(step, o) for name, o in self.optimizers.items()}
        self._updates = {
            name: Update(o, self.device, self.dtype, step.clip_grad_norm)
            for name, o in self.optimizers.items()
        }
        if step.checkpoint_activations:
            recompute_blocks(self.net_g)

    def _network(self, section: RegisteredClass, weights: str | None, key: str) -> nn.Module:
        net: nn.Module = build(ARCH_REGISTRY, section.spec(), key)
        if key == "network_g" and (factor := probe_scale(net)) != self.opt.scale:
            raise InputError(
                f"network_g: {section.type} is an x{factor} network, but scale is {self.opt.scale}"
            )
        if weights:
            checkpoints.load_into(net, weights, f"path.pretrain_{key}")
        net.train()
        net = keep_residual_in_fp32(net).to(self.device, memory_format=_layout(net))  # pyright: ignore
        distributed.broadcast_weights(net)
        return distributed.sync_batch_norm(net, self.device)

    def _check_crops(self) -> None:
        """Check the size of crops.

        Some networks take one size (VGGStyleDiscriminator), some multiples of one (SwinIR).

        Raises:
            InputError: the datasets make others.
        """
        wanted = getattr(self.net_d, "input_size", None)
        windows = [getattr(module, "window_size", 1) for module in self.net_g.modules()]
        window = max(size for size in windows if isinstance(size, int))
        for name in ("train", "clean"):
            section = getattr(self.opt.datasets, name)
            size = section.spec().get("gt_size") if section else None
            if wanted is not None and size not in (None, wanted):
                raise InputError(
                    f"network_d: {type(self.net_d).__name__} judges crops of {wanted} pixels, but "
                    f"datasets.{name}.gt_size is {size}; make them equal (input_size may be 128 "
                    "or 256) or use UNetDiscriminatorSN, which takes any size"
                )
            if isinstance(size, int) and size // self.opt.scale % window:
                raise InputError(
                    f"datasets.{name}.gt_size: {size} / {self.opt.scale} must be a multiple of "
                    f"the window of {type(self.net_g).__name__}, {window}"
                )

    def _try_networks(self) -> None:
        """Run a copy of each network on noise of the size of the crops, if that is known.

        Raises:
            InputError: one cannot take them.
        """
        section = self.opt.datasets.train
        size, scale = section.spec().get("gt_size") if section else None, self.opt.scale
        if not isinstance(size, int) or (low := size // scale) < 1:
            return
        try_network(self.net_g, "network_g", low, (3, low * scale, low * scale), self.device)
        if self.net_d is not None:
            try_network(self.net_d, "network_d", size, None, self.device)

    # ------------------------------------------------------------------------------------- step

    def optimize(self, batch: dict[str, Any], iteration: int) -> dict[str, Tensor]:
        """Make one step, see :meth:`TrainableModel.optimize`.

        The batch is taken in ``train.accumulate`` equal parts.

        Raises:
            InputError: it cannot be cut into so many.
        """
        parts = self._parts(batch)
        losses: dict[str, Tensor] = {}
        update_g = self.opt.updates_generator(iteration)

        if update_g:
            self._updates["g"].begin()
        fakes = [self._propagate_g(part, update_g, len(parts), losses) for part in parts]
        if update_g:
            self._updates["g"].step()
            if self.ema is not None:
                self.ema.update_parameters(self.net_g)
        if self.net_d is not None:
            self._updates["d"].begin()
            for part, fake in zip(parts, fakes, strict=True):
                self._propagate_d(part, fake, len(parts), losses)
            self._updates["d"].step()
        self._advance_schedules()
        return losses

    def _advance_schedules(self) -> None:
        """Advance by an iteration, also where a network has made no step (yet)."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Detected call of `lr_scheduler.step")
            for scheduler in self.schedulers.values():
                if scheduler is not None:
                    scheduler.step()

    def _parts(self, batch: dict[str, Any]) -> list[_Part]:
        """Return the batch on the device, in as many parts as a step accumulates."""
        count = self.opt.train.accumulate
        if len(batch["lq"]) % count:
            raise InputError(
                f"train.accumulate: {len(batch['lq'])} samples cannot be cut into {count} parts"
            )
        placed = {
            key: batch[key].to(
                self.device, self._exact, memory_format=torch.channels_last, non_blocking=True
            )
            for key in ("lq", "gt", "mask", "gt_usm")
            if key in batch
        }
        parts: list[_Part] = []
        for pieces in zip(*(tensor.chunk(count) for tensor in placed.values()), strict=True):
            part = dict(zip(placed, pieces, strict=True))
            targets = self.objective.targets(part["gt"], part.get("gt_usm"))
            parts.append(_Part(part["lq"], part["mask"], targets))
        return parts

    def _propagate_g(
        self, part: _Part, update: bool, parts: int, losses: dict[str, Tensor]
    ) -> Tensor:
        """Propagate the generator's losses of a part, add them to ``losses``, return its output."""
        with torch.set_grad_enabled(update), autocast(self.device, self.dtype):
            output = full_precision(self.net_g(part.lq))
        if update:
            terms = self._losses_g(output, part.lq, part.targets, part.mask)
            self._updates["g"].add(torch.stack(list(terms.values())).sum() / parts)
            for name, loss in terms.items():
                _add(losses, name, loss, parts)
        return output.detach()

    def _propagate_d(
        self, part: _Part, fake: Tensor, parts: int, losses: dict[str, Tensor]
    ) -> None:
        """Propagate the discriminator's losses of a part and add them to ``losses``."""
        for half in self.objective.discriminator(self._discriminate, fake, part.targets):
            self._updates["d"].add(half.loss / parts)
            _add(losses, f"l_d_{half.name}", half.loss, parts)
            _add(losses, f"out_d_{half.name}", half.logits.mean(), parts)

    def _discriminate(self, images: Tensor) -> Tensor:
        """Return the discriminator's logits, float32."""
        assert self.net_d is not None
        images = images.contiguous(memory_format=_layout(self.net_d))
        with autocast(self.device, self.dtype):
            return full_precision(self.net_d(images))

    @torch.no_grad()
    def _fixed(self, net: nn.Module, lq: Tensor) -> Tensor:
        """Return the output of a network that does not learn, float32."""
        with autocast(self.device, self.dtype):
            return full_precision(net(lq))

    def _losses_g(
        self, output: Tensor, lq: Tensor, targets: Targets, mask: Tensor
    ) -> dict[str, Tensor]:
        """Return the generator's losses by name, with gradients, to be summed."""
        average = before = None
        if self.objective.needs_average:
            assert self.ema is not None  # Objective has made sure
            average = self._fixed(self.ema.module, lq)
        if self.objective.needs_before:
            assert self.net_preserved is not None
            before = self._fixed(self.net_preserved, lq)
        if self.net_d is None:
            return self.objective.generator(output, targets, mask, None, average, before)
        _set_requires_grad(self.net_d, False)
        losses = self.objective.generator(
            output, targets, mask, self._discriminate, average, before
        )
        _set_requires_grad(self.net_d, True)
        return losses

    # ------------------------------------------------------------------------------ checkpoints

    def weights(self) -> dict[str, dict[str, Tensor]]:
        """Return ``params`` and ``params_ema``, as Real-ESRGAN's tools read them."""
        params = merged(self.net_g)
        ema = merged(self.ema.module) if self.ema is not None else params
        return {"params": self._weakened(params), "params_ema": self._weakened(ema)}

    def _weakened(self, params: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return ``params`` drawn back towards those before training, by ``train.strength``."""
        strength = self.opt.train.strength
        if self.net_before is None or strength == 1:
            return params
        return checkpoints.blended(self.net_before.state_dict(), params, strength)

    def averaged(self) -> nn.Module:
        """Return a network with the weights that are saved as ``params_ema``, in eval mode."""
        trained = self.net_g if self.ema is None else self.ema.module
        plain = self.net_before if self.opt.train.low_rank else trained  # without deltas
        assert plain is not None  # __init__ has made it
        net = copy.deepcopy(plain)
        net.load_state_dict(self.weights()["params_ema"])
        return net.eval().requires_grad_(False)

    @torch.no_grad()
    def preview(self, lq: Tensor) -> Tensor:
        """Return the averaged network's output: (N, 3, h, w) -> ``(N, 3, h*scale, w*scale)``."""
        net = self.net_g if self.ema is None else self.ema.module
        learning = net.training
        net.eval()
        output = self._fixed(net, lq.to(self.device, self._exact))
        net.train(learning)
        return output

    def state(self) -> dict[str, Any]:
        """Return all that a resumed run needs besides the iteration."""
        return {
            "net_g": self.net_g.state_dict(),
            "net_d": self.net_d.state_dict() if self.net_d is not None else None,
            "ema": self.ema.state_dict() if self.ema is not None else None,
            "optimizers": {k: o.state_dict() for k, o in self.optimizers.items()},
            "schedulers": {k: s.state_dict() if s else None for k, s in self.schedulers.items()},
            "scalers": {k: u.scaler.state_dict() for k, u in self._updates.items()},
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` returned."""
        self.net_g.load_state_dict(state["net_g"])
        if self.net_d is not None:
            self.net_d.load_state_dict(state["net_d"])
        if self.ema is not None:
            self.ema.load_state_dict(state["ema"])
        for name, optimizer in self.optimizers.items():
            _load_optimizer(name, optimizer, state["optimizers"][name])
        for name, scheduler in self.schedulers.items():
            if scheduler is not None:
                scheduler.load_state_dict(state["schedulers"][name])
        for name, update in self._updates.items():
            if state["scalers"][name]:  # empty where nothing is scaled
                update.scaler.load_state_dict(state["scalers"][name])
