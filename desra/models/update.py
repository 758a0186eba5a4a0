"""The step of one network: losses are scaled, gradients averaged and clipped, weights updated."""

import torch
from torch import Tensor

from desra.utils import distributed
from desra.utils.device import grad_scaler


class Update:
    """The steps of one network.

    Args:
        optimizer: of its weights.
        device, dtype: what it computes on and in; float16 has its losses scaled.
        clip: the largest norm of a step's gradient; None: any.

    Raises:
        InputError: float16 on a device without loss scaling.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        device: torch.device,
        dtype: torch.dtype,
        clip: float | None,
    ):
        self.optimizer, self._clip = optimizer, clip
        # One for each network: a discriminator that overflows must not shrink the other's steps.
        self.scaler = grad_scaler(device, dtype)
        self._parameters = [p for group in optimizer.param_groups for p in group["params"]]

    def begin(self) -> None:
        """Forget the gradients of the last step."""
        self.optimizer.zero_grad(set_to_none=True)

    def add(self, loss: Tensor) -> None:
        """Propagate a scalar; gradients add up."""
        self.scaler.scale(loss).backward()

    def step(self) -> None:
        """Update the weights by the gradients of all processes; float16 skips an overflow."""
        distributed.all_reduce_gradients(self._parameters)
        if self._clip is not None:
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self._parameters, self._clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
