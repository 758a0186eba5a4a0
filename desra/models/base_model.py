"""The contract between a model that trains and the training around it."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from desra.options.train import TrainOptions


class TrainableModel(ABC):
    """Networks, their optimisers, and the step that updates them.

    A model of your own is a subclass that is registered in MODEL_REGISTRY, in a module that
    ``import`` names, and chosen by ``model_type``. It is built with the options of the run alone:
    ``MyModel(opt)``.

    Attributes:
        opt: the options of the run.
        device: where it computes.
        dtype: what its networks compute in.
        net_g: the generator; its weights are checked to be finite before they are saved.
        optimizers: by name; the rate of the first group of ``g`` is what the log calls ``lr``.
    """

    opt: TrainOptions
    device: torch.device
    dtype: torch.dtype
    net_g: nn.Module
    optimizers: dict[str, torch.optim.Optimizer]

    @abstractmethod
    def optimize(self, batch: dict[str, Any], iteration: int) -> dict[str, Tensor]:
        """Make one step.

        Args:
            batch: ``lq`` float32 (N, 3, h, w), ``gt`` float32 ``(N, 3, h*scale, w*scale)``, both in
                [0, 1]; ``mask`` float32 ``(N, 1, h*scale, w*scale)``, 1 on artifacts; perhaps
                ``gt_usm``, ``gt`` sharpened.
            iteration: counted from 1.

        Returns:
            The losses by name, detached scalars, of this process.

        Raises:
            InputError: the options do not go with the batch.
        """

    @abstractmethod
    def weights(self) -> dict[str, dict[str, Tensor]]:
        """Return what a checkpoint holds: the state of the generator, ``params`` and
        ``params_ema``."""

    @abstractmethod
    def averaged(self) -> nn.Module:
        """Return a network with the weights that are saved as ``params_ema``, in eval mode.

        It is a copy: what is done to it leaves the model as it is.
        """

    @abstractmethod
    def preview(self, lq: Tensor) -> Tensor:
        """Return what the averaged network makes now.

        Args:
            lq: float32 (N, 3, h, w) in [0, 1].

        Returns:
            float32 ``(N, 3, h*scale, w*scale)``.
        """

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Return all that a resumed run needs besides the iteration: tensors and plain values."""

    @abstractmethod
    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` returned."""
