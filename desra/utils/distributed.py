"""Training in several processes, as ``torchrun`` starts them; in one, all of this does nothing.

Processes hold the same weights and take different samples. Gradients are averaged once a step,
after all of it has been propagated, rather than by hooks while it is (DistributedDataParallel): a
GAN's step runs each network several times, once with the discriminator's weights held, and
accumulates; averaging at its end is right for all of that, and the same in any order.

torch's own rather than Accelerate or Lightning Fabric: one ``Accelerator`` fixes device and
precision for the whole life of a Python process, while `desra.train.train` may be called again with
others; and both join processes by DistributedDataParallel, so what is in this module would remain.
"""

import os
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from desra.utils.device import full_precision
from desra.utils.errors import InputError

Value = TypeVar("Value")
Device = torch.device

# What is said on the CPU goes through a group of its own, so that a GPU is not waited for.
_control: Any = None


def count() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Which of them this is, from 0."""
    return dist.get_rank() if count() > 1 else 0


def is_main() -> bool:
    """Whether this is the one that writes."""
    return rank() == 0


def own_device(device: Device) -> Device:
    """``cuda`` as the GPU of this process on this machine; any other device as it is.

    Raises:
        InputError: more processes than GPUs.
    """
    number = os.environ.get("LOCAL_RANK")
    if device.type != "cuda" or device.index is not None or number is None:
        return device
    if int(number) >= torch.cuda.device_count():
        raise InputError(
            f"device: process {number} finds no GPU of its own among "
            f"{torch.cuda.device_count()}; start fewer with --nproc_per_node, or use device: cpu"
        )
    return Device("cuda", int(number))


@contextmanager
def joined(device: Device) -> Generator[None]:
    """While inside, the processes that ``torchrun`` has started work together.

    Without torchrun, or where the caller has joined them already, it adds nothing.

    Args:
        device: what networks run on: NCCL joins GPUs, gloo processors.

    Raises:
        InputError: several processes on a device that can't be joined.
    """
    global _control
    wanted = int(os.environ.get("WORLD_SIZE", "1")) > 1
    if not wanted or dist.is_initialized():
        yield
        return
    if device.type not in ("cpu", "cuda"):
        raise InputError(
            f"device: {device.type} trains in one process; leave torchrun out, or use device: cpu"
        )
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    if device.type == "cuda":
        _control = dist.new_group(backend="gloo")
    try:
        yield
    finally:
        _control = None
        dist.destroy_process_group()


# ---------------------------------------------------------------------------- small things said


def gather(value: Value) -> list[Value]:
    """What each process has, in the order of their ranks."""
    if count() == 1:
        return [value]
    values: list[Any] = [None] * count()
    dist.all_gather_object(values, value, group=_control)
    return values


def from_main(make: Callable[[], Value]) -> Value:
    """What ``make`` returns in the main process, in every process.

    Raises:
        InputError: it raised one.
        Exception: what it raised, in the main process; the others, to which not every exception can
            be sent, raise a RuntimeError that tells of it.
    """
    if count() == 1:
        return make()
    # Whether all is well, then the value or what is wrong and whether the user is to blame.
    said: list[Any] = [None, None, None]
    failure: Exception | None = None
    if is_main():
        try:
            said = [True, make(), None]
        except Exception as error:
            failure = error
            said = [False, f"{type(error).__name__}: {error}", None]
            if isinstance(error, InputError):
                said = [False, None, str(error)]
    dist.broadcast_object_list(said, src=0, group=_control)
    if failure is not None:
        raise failure
    well, content, refusal = said
    if well:
        return content
    if refusal is not None:
        raise InputError(refusal)
    raise RuntimeError(f"the main process failed: {content}")


def any_of(flag: int) -> int:
    """The largest of the processes' flags."""
    if count() == 1:
        return flag
    value = torch.tensor(flag)
    dist.all_reduce(value, dist.ReduceOp.MAX, group=_control)
    return int(value)


def average_on_cpu(values: Tensor) -> None:
    """Replace values on the CPU by their means over the processes, in place."""
    if count() > 1:
        dist.all_reduce(values, group=_control)
        values /= count()


# ------------------------------------------------------------------------------------- tensors


def average(tensors: Sequence[Tensor]) -> None:
    """Replace each tensor by its mean over the processes, in place."""
    if count() == 1:
        return
    for dtype in sorted({t.dtype for t in tensors}, key=str):  # the same order everywhere
        group = [t for t in tensors if t.dtype == dtype]
        flat = torch.cat([t.reshape(-1) for t in group])
        dist.all_reduce(flat)
        flat /= count()
        parts = flat.split([t.numel() for t in group])
        for tensor, part in zip(group, parts, strict=True):
            tensor.copy_(part.view(tensor.shape))


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Make each gradient the mean of the processes' gradients.

    With losses that are means over equally many pixels this is the gradient that one process would
    find in all samples together.
    """
    average([p.grad for p in parameters if p.grad is not None])


class _Sum(torch.autograd.Function):
    """The sum over processes; each process's share gets the gradients of all of them."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        total = tensor.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _Sum.forward(ctx, gradients[0])


def _mean_over_processes(tensor: Tensor) -> Tensor:
    return _Sum.apply(tensor) / count()  # pyright: ignore[reportOperatorIssue]


def mean(values: Tensor) -> Tensor:
    """The mean of all elements in all processes, equally many in each, with its gradient."""
    if count() == 1:
        return values.mean()
    return _mean_over_processes(values.mean())


def same_everywhere(net: nn.Module) -> None:
    """Give every process the main one's weights and buffers."""
    if count() > 1:
        for tensor in net.state_dict().values():
            dist.broadcast(tensor, src=0)


class _SyncedBatchNorm(nn.BatchNorm2d):
    """Batch statistics of all processes together; torch's own does so on GPUs only."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        axes = (0, 2, 3)
        images = full_precision(input)
        centre = _mean_over_processes(images.mean(axes))
        centred = images - centre[:, None, None]
        variance = _mean_over_processes(centred.square().mean(axes))
        if self.track_running_stats and self.momentum is not None:
            assert self.running_mean is not None and self.running_var is not None
            assert self.num_batches_tracked is not None
            pixels = input.numel() // input.shape[1] * count()
            with torch.no_grad():
                self.num_batches_tracked += 1
                self.running_mean.lerp_(centre.to(self.running_mean), self.momentum)
                unbiased = variance * (pixels / max(pixels - 1, 1))
                self.running_var.lerp_(unbiased.to(self.running_var), self.momentum)
        normal = centred / torch.sqrt(variance + self.eps)[:, None, None]
        if self.affine:
            normal = normal * self.weight[:, None, None] + self.bias[:, None, None]
        return normal.to(input.dtype)


def with_common_statistics(net: nn.Module, device: Device) -> nn.Module:
    """``net`` whose batch normalisation sees the samples of all processes; names are unchanged.

    Spectral normalisation needs nothing: it depends on weights alone, which are the same.
    """
    if count() == 1:
        return net
    if device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(net)
    for module in net.modules():
        # As the class holds no state of its own, changing it keeps weights, buffers and hooks.
        if type(module) is nn.BatchNorm2d:
            module.__class__ = _SyncedBatchNorm
    return net
