"""One training step: losses that know the mask, adversarial loss, EMA. Trains and finetunes."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from desra import checkpoints
from desra.device import autocast, keep_residual_in_fp32, select_device, select_precision
from desra.errors import InputError
from desra.losses.pixel import pixel_weight
from desra.models.sr_model import probe_scale
from desra.options import Component, TrainOptions
from desra.registry import ARCH_REGISTRY, LOSS_REGISTRY, MODEL_REGISTRY, build

_LR_SCHEDULERS = ("MultiStepLR", "CosineAnnealingLR", "StepLR", "ConstantLR")


def _from_torch(namespace: Any, section: Component, key: str, *first: Any, **extra: Any) -> Any:
    """An optimiser or a schedule of torch by its name."""
    cls = getattr(namespace, section.type, None)
    if cls is None or not isinstance(cls, type):
        raise InputError(f"{key}.type: {namespace.__name__} has no '{section.type}'")
    try:
        return cls(*first, **extra, **{k: v for k, v in section.spec().items() if k != "type"})
    except (TypeError, ValueError) as error:
        raise InputError(f"{key}: {section.type} does not take these options: {error}") from error


def _set_requires_grad(net: nn.Module, wanted: bool) -> None:
    for parameter in net.parameters():
        parameter.requires_grad_(wanted)


@MODEL_REGISTRY.register()
class DeSRAModel:
    """A generator, perhaps a discriminator, their optimisers, and the step that updates them.

    With ``pixel_opt`` alone it trains an MSE-SR network; with ``gan_opt`` a GAN-SR network; with
    samples of (lq, pseudo ground truth, mask) it finetunes artifacts away (DeSRA, section 3.3).

    Args:
        opt: the options of the run.

    Raises:
        InputError: unknown names, arguments or weights.
    """

    def __init__(self, opt: TrainOptions):
        step = opt.train
        self.opt = opt
        self.device = select_device(opt.device)
        self.dtype = select_precision(opt.precision, self.device)
        if opt.precision == "auto" and self.dtype == torch.float16:
            self.dtype = torch.float32  # small gradients would become 0: no loss scaling here
        self.net_g = self._network(opt.network_g, opt.path.pretrain_network_g, "network_g")
        self.ema = (
            AveragedModel(self.net_g, multi_avg_fn=get_ema_multi_avg_fn(step.ema_decay))
            if step.ema_decay
            else None
        )
        self.before: dict[str, Tensor] | None = None
        if step.strength < 1:
            self.before = {k: v.clone() for k, v in self.net_g.state_dict().items()}
        self.optimizers = {"g": self._optimizer(step.optim_g, self.net_g, "train.optim_g")}

        sections = {"pix": ("pixel_opt", step.pixel_opt), "tex": ("texture_opt", step.texture_opt)}
        self.masked_losses = {
            name: (section, self._loss(section, f"train.{key}", reduction="none"))
            for name, (key, section) in sections.items()
            if section is not None
        }
        self.gan_loss = self._loss(step.gan_opt, "train.gan_opt")
        self.net_d: nn.Module | None = None
        if self.gan_loss:
            assert opt.network_d and step.optim_d  # TrainOptions has made sure
            self.net_d = self._network(opt.network_d, opt.path.pretrain_network_d, "network_d")
            self.optimizers["d"] = self._optimizer(step.optim_d, self.net_d, "train.optim_d")
        self.schedulers = {name: self._scheduler(o) for name, o in self.optimizers.items()}

    def _network(self, section: Component, weights: str | None, key: str) -> nn.Module:
        net: nn.Module = build(ARCH_REGISTRY, section.spec(), key)
        if key == "network_g" and (factor := probe_scale(net)) != self.opt.scale:
            raise InputError(
                f"network_g: {section.type} is an x{factor} network, but scale is {self.opt.scale}"
            )
        if weights:
            checkpoints.load_into(net, weights, f"path.pretrain_{key}")
        net.train()
        return keep_residual_in_fp32(net).to(self.device, memory_format=torch.channels_last)  # pyright: ignore

    def _loss(self, section: Component | None, key: str, **extra: Any) -> nn.Module | None:
        return build(LOSS_REGISTRY, section.spec(), key, **extra) if section else None

    def _optimizer(self, section: Component, net: nn.Module, key: str) -> torch.optim.Optimizer:
        return _from_torch(torch.optim, section, key, net.parameters())

    def _scheduler(self, optimizer: torch.optim.Optimizer) -> Any:
        step = self.opt.train
        parts: list[Any] = []
        if step.warmup_iter:
            # LinearLR multiplies the rate that it finds; LambdaLR would set it anew at every step
            # and so undo the schedule chained to it.
            parts.append(
                torch.optim.lr_scheduler.LinearLR(
                    optimizer, 1 / step.warmup_iter, total_iters=step.warmup_iter - 1
                )
            )
        if step.scheduler:
            if step.scheduler.type not in _LR_SCHEDULERS:
                raise InputError(
                    f"train.scheduler.type: '{step.scheduler.type}' is not one of "
                    f"{', '.join(_LR_SCHEDULERS)}"
                )
            extra = {}
            if step.scheduler.type == "CosineAnnealingLR" and "T_max" not in step.scheduler.spec():
                extra["T_max"] = step.total_iter
            parts.append(
                _from_torch(
                    torch.optim.lr_scheduler, step.scheduler, "train.scheduler", optimizer, **extra
                )
            )
        return torch.optim.lr_scheduler.ChainedScheduler(parts) if parts else None

    # ------------------------------------------------------------------------------------- step

    def optimize(self, batch: dict[str, Any], iteration: int) -> dict[str, Tensor]:
        """One step.

        Args:
            batch: ``lq`` float32 (N, 3, h, w), ``gt`` float32 (N, 3, h*scale, w*scale), both in
                [0, 1]; ``mask`` float32 (N, 1, h*scale, w*scale), 1 on artifacts.
            iteration: counted from 1.

        Returns:
            The losses by name, detached scalars.
        """
        step = self.opt.train
        lq, gt, mask = (
            batch[key].to(self.device, memory_format=torch.channels_last, non_blocking=True)
            for key in ("lq", "gt", "mask")
        )
        losses: dict[str, Tensor] = {}
        update_g = iteration > step.net_d_init_iters and iteration % step.net_d_iters == 0

        with torch.set_grad_enabled(update_g), autocast(self.device, self.dtype):
            output = self.net_g(lq).float()

        if update_g:
            self._update_g(output, gt, mask, losses)
        if self.net_d is not None:
            self._update_d(output.detach(), gt, losses)
        for scheduler in self.schedulers.values():
            if scheduler is not None:
                scheduler.step()
        return losses

    def _update_g(
        self, output: Tensor, gt: Tensor, mask: Tensor, losses: dict[str, Tensor]
    ) -> None:
        total = output.new_zeros(())
        for name, (section, loss) in self.masked_losses.items():
            # A plain mean over all pixels: basicsr's own weighted mean divides by the sum of the
            # weights, so that a crop's artifacts would weigh less the more of them it holds.
            weight = pixel_weight(mask, section.inside, section.outside)
            losses[f"l_g_{name}"] = (loss(output, gt) * weight).mean()
            total = total + losses[f"l_g_{name}"]
        if self.net_d is not None and self.gan_loss is not None:
            _set_requires_grad(self.net_d, False)
            with autocast(self.device, self.dtype):
                logits = self.net_d(output)
            losses["l_g_gan"] = self.gan_loss(logits.float(), True, is_disc=False)
            total = total + losses["l_g_gan"]
            _set_requires_grad(self.net_d, True)
        self.optimizers["g"].zero_grad(set_to_none=True)
        total.backward()
        self.optimizers["g"].step()
        if self.ema is not None:
            self.ema.update_parameters(self.net_g)
        for name in list(losses):
            losses[name] = losses[name].detach()

    def _update_d(self, fake: Tensor, real: Tensor, losses: dict[str, Tensor]) -> None:
        assert self.net_d is not None and self.gan_loss is not None
        self.optimizers["d"].zero_grad(set_to_none=True)
        # Real and fake apart, as basicsr does, so that batch statistics are not mixed.
        for name, images, is_real in (("real", real, True), ("fake", fake, False)):
            with autocast(self.device, self.dtype):
                logits = self.net_d(images).float()
            loss = self.gan_loss(logits, is_real, is_disc=True)
            loss.backward()
            losses[f"l_d_{name}"] = loss.detach()
            losses[f"out_d_{name}"] = logits.detach().mean()
        self.optimizers["d"].step()

    # ------------------------------------------------------------------------------ checkpoints

    def weights(self) -> dict[str, dict[str, Tensor]]:
        """``params`` and ``params_ema`` of the generator, as Real-ESRGAN's tools read them."""
        params = self.net_g.state_dict()
        ema = self.ema.module.state_dict() if self.ema is not None else params
        return {"params": self._weakened(params), "params_ema": self._weakened(ema)}

    def _weakened(self, params: dict[str, Tensor]) -> dict[str, Tensor]:
        """``params`` drawn back towards the weights before training, by ``train.strength``."""
        if self.before is None:
            return params
        strength = self.opt.train.strength
        return {
            name: torch.lerp(self.before[name], value, strength)
            if value.is_floating_point()
            else value
            for name, value in params.items()
        }

    def state(self) -> dict[str, Any]:
        """All that a resumed run needs besides the iteration."""
        return {
            "net_g": self.net_g.state_dict(),
            "net_d": self.net_d.state_dict() if self.net_d is not None else None,
            "ema": self.ema.state_dict() if self.ema is not None else None,
            "optimizers": {k: o.state_dict() for k, o in self.optimizers.items()},
            "schedulers": {k: s.state_dict() if s else None for k, s in self.schedulers.items()},
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue from what :meth:`state` gave."""
        self.net_g.load_state_dict(state["net_g"])
        if self.net_d is not None:
            self.net_d.load_state_dict(state["net_d"])
        if self.ema is not None:
            self.ema.load_state_dict(state["ema"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        for name, scheduler in self.schedulers.items():
            if scheduler is not None:
                scheduler.load_state_dict(state["schedulers"][name])
