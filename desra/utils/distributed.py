"""Training in several processes, as ``torchrun`` starts them. In a single process all of this does
nothing.

All processes hold the same weights and take different samples. Gradients are averaged once a step,
after the whole backward pass, rather than by hooks during it (DistributedDataParallel): a GAN's
step runs each network several times, once with the discriminator's weights held, and accumulates.
Averaging at its end is right for all of that, and the same in any order.

torch's own collectives rather than Accelerate or Lightning Fabric: one ``Accelerator`` fixes device
and precision for the whole life of a Python process, while `desra.train.train` may be called again
with others; and both wrap networks in DistributedDataParallel.
"""

import os
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from desra.utils.errors import InputError

Value = TypeVar("Value")
Device = torch.device

# Python objects and tensors on the CPU go through a gloo group, so that a GPU is not waited for.
# None: the default group, which is gloo already.
_cpu_group: Any = None


def world_size() -> int:
    """Return how many processes train together; 1 outside a process group."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Return the number of this process, from 0; 0 outside a process group."""
    return dist.get_rank() if world_size() > 1 else 0


def is_main_process() -> bool:
    """Return whether this process has rank 0: it alone writes files and logs."""
    return rank() == 0


def local_device(device: Device) -> Device:
    """Return the GPU of this process for ``cuda``, by ``LOCAL_RANK``; any other device unchanged.

    Raises:
        InputError: more processes than GPUs.
    """
    local_rank = os.environ.get("LOCAL_RANK")
    if device.type != "cuda" or device.index is not None or local_rank is None:
        return device
    if int(local_rank) >= torch.cuda.device_count():
        raise InputError(
            f"device: process {local_rank} finds no GPU of its own among "
            f"{torch.cuda.device_count()}; start fewer with --nproc_per_node, or use device: cpu"
        )
    return Device("cuda", int(local_rank))


@contextmanager
def process_group(device: Device) -> Generator[None]:
    """Join the processes that ``torchrun`` has started, while inside.

    Does nothing without torchrun, or where the caller has made a process group already.

    Args:
        device: what networks run on; the backend is NCCL for GPUs and gloo for CPUs.

    Raises:
        InputError: several processes on another kind of device.
    """
    global _cpu_group
    several = int(os.environ.get("WORLD_SIZE", "1")) > 1
    if not several or dist.is_initialized():
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
        _cpu_group = dist.new_group(backend="gloo")
    try:
        yield
    finally:
        _cpu_group = None
        dist.destroy_process_group()


# ------------------------------------------------------------------------------ Python objects


def all_gather(value: Value) -> list[Value]:
    """Return the values of all processes, in the order of their ranks; values are pickled."""
    if world_size() == 1:
        return [value]
    values: list[Any] = [None] * world_size()
    dist.all_gather_object(values, value, group=_cpu_group)
    return values


def broadcast(make: Callable[[], Value]) -> Value:
    """Call ``make`` in the main process, and return its result in every process.

    Raises:
        InputError: ``make`` raised one; raised in every process.
        Exception: what ``make`` raised, in the main process. As not every exception can be pickled,
            the other processes raise a RuntimeError with its text.
    """
    if world_size() == 1:
        return make()
    # Success, then the result or what failed, and the sentence of an InputError.
    message: list[Any] = [None, None, None]
    failure: Exception | None = None
    if is_main_process():
        try:
            message = [True, make(), None]
        except Exception as error:
            failure = error
            message = [False, f"{type(error).__name__}: {error}", None]
            if isinstance(error, InputError):
                message = [False, None, str(error)]
    dist.broadcast_object_list(message, src=0, group=_cpu_group)
    if failure is not None:
        raise failure
    success, content, input_error = message
    if success:
        return content
    if input_error is not None:
        raise InputError(input_error)
    raise RuntimeError(f"the main process failed: {content}")


# ------------------------------------------------------------------------------------- tensors


def all_reduce_max(number: int) -> int:
    """Return the largest of the processes' integers."""
    if world_size() == 1:
        return number
    value = torch.tensor(number)
    dist.all_reduce(value, dist.ReduceOp.MAX, group=_cpu_group)
    return int(value)


def all_reduce_mean(tensors: Sequence[Tensor]) -> None:
    """Replace each tensor by its mean over the processes, in place.

    Args:
        tensors: on one device, of any shapes and dtypes; the same ones in every process.
    """
    if world_size() == 1 or not tensors:
        return
    group = _cpu_group if tensors[0].device.type == "cpu" else None
    for dtype in sorted({t.dtype for t in tensors}, key=str):  # the same order in all processes
        same_dtype = [t for t in tensors if t.dtype == dtype]
        flat = torch.cat([t.reshape(-1) for t in same_dtype])
        dist.all_reduce(flat, group=group)
        flat /= world_size()
        parts = flat.split([t.numel() for t in same_dtype])
        for tensor, part in zip(same_dtype, parts, strict=True):
            tensor.copy_(part.view(tensor.shape))


def all_reduce_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace each gradient by its mean over the processes, in place.

    With losses that are means over equally many pixels this is the gradient that a single process
    would get from all samples together.
    """
    all_reduce_mean([p.grad for p in parameters if p.grad is not None])


class _AllReduceSum(torch.autograd.Function):
    """The sum over processes; its backward sums the gradients (deprecated in torch itself)."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        total = tensor.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _AllReduceSum.forward(ctx, gradients[0])


def mean(values: Tensor) -> Tensor:
    """Return the mean of all elements in all processes, a scalar that gradients pass through.

    Args:
        values: equally many elements in each process.
    """
    if world_size() == 1:
        return values.mean()
    return _AllReduceSum.apply(values.mean()) / world_size()  # pyright: ignore[reportOperatorIssue]


def broadcast_weights(net: nn.Module) -> None:
    """Replace weights and buffers by those of the main process, in place."""
    if world_size() > 1:
        for tensor in net.state_dict().values():
            dist.broadcast(tensor, src=0)


def sync_batch_norm(net: nn.Module, device: Device) -> nn.Module:
    """Return ``net`` with batch statistics of the samples of all processes; names are unchanged.

    On GPUs ``torch.nn.SyncBatchNorm``, which torch has for no other device.

    Raises:
        InputError: BatchNorm layers and several processes on a CPU.
    """
    if world_size() == 1:
        return net
    if device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(net)
    if any(isinstance(module, _BatchNorm) for module in net.modules()):
        raise InputError(
            f"{type(net).__name__} has BatchNorm layers, whose statistics several processes share "
            "on GPUs only; leave torchrun out, use GPUs, or choose a network without BatchNorm, "
            "such as UNetDiscriminatorSN"
        )
    return net
