"""Choose the device and the precision of networks, by the options ``device`` and ``precision``."""

from contextlib import AbstractContextManager, nullcontext

import torch

from desra.utils.errors import InputError

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def select_device(name: str = "auto") -> torch.device:
    """Return the device of a name: ``auto`` is cuda if there is one, else mps, else cpu; any other
    name is torch's own.

    Raises:
        InputError: a name that torch does not know, or a device that this machine lacks.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).split("\n")[0]
        raise InputError(f"device: '{name}' cannot be used here ({reason}); try 'auto'") from error
    return device


def select_precision(name: str, device: torch.device) -> torch.dtype:
    """Return the dtype that convolutions compute in, for fp32, bf16, fp16 or auto.

    ``auto`` is bfloat16 where the device computes it natively (CPUs with avx512_bf16 or amx, CUDA
    from Ampere on), float16 on older CUDA, and float32 elsewhere.

    Raises:
        InputError: an unknown name, or float16 on a CPU.
    """
    if name == "auto":
        if device.type == "cuda":
            native = torch.cuda.is_bf16_supported(including_emulation=False)
            return torch.bfloat16 if native else torch.float16
        if device.type == "cpu":
            cpu = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
            native = cpu.get("avx512_bf16") or cpu.get("amx_bf16")
            return torch.bfloat16 if native else torch.float32
        return torch.float32
    if name not in DTYPES:
        raise InputError(f"precision: '{name}' is not one of auto, {', '.join(DTYPES)}")
    if name == "fp16" and device.type == "cpu":
        raise InputError("precision: fp16 is not for a CPU; use auto, bf16 or fp32")
    return DTYPES[name]


def is_out_of_memory(error: RuntimeError) -> bool:
    """Return whether an error says that a GPU or the CPU is out of memory."""
    message = str(error)
    return (
        isinstance(error, torch.cuda.OutOfMemoryError)
        or "DefaultCPUAllocator: can't allocate memory" in message
        or "MPS backend out of memory" in message
    )


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[None]:
    """Return the context of mixed precision in ``dtype``; it does nothing for float32."""
    if dtype == torch.float32:
        return nullcontext()
    return torch.autocast(device.type, dtype)  # pyright: ignore[reportReturnType]


def full_precision(tensor: torch.Tensor) -> torch.Tensor:
    """Convert bfloat16 or float16, as autocast makes it, to float32; return others unchanged."""
    return tensor.float() if tensor.dtype in (torch.bfloat16, torch.float16) else tensor


def grad_scaler(device: torch.device, dtype: torch.dtype) -> torch.amp.GradScaler:
    """Return the scaler that keeps small gradients from becoming 0 in float16; it does nothing for
    other dtypes.

    Raises:
        InputError: float16 on a device for which torch has no gradient scaling.
    """
    enabled = dtype == torch.float16
    if enabled and device.type != "cuda":
        raise InputError(
            f"precision: fp16 is not for training on {device.type} (no loss scaling); use auto, "
            "bf16 or fp32"
        )
    return torch.amp.GradScaler("cuda", enabled=enabled)


def _exact_output(_module: torch.nn.Module, _inputs: object, output: torch.Tensor) -> torch.Tensor:
    return full_precision(output)


def keep_residual_in_fp32(net: torch.nn.Module) -> torch.nn.Module:
    """Make a network that ends in ``PixelShuffle`` + upscaled input add the two in float32.

    Such networks (SRVGGNetCompact) add in place. Under autocast the sum would be rounded to the 8
    bits of bfloat16, an error of one or two grey levels in bright regions.

    Returns:
        ``net``, changed in place.
    """
    for module in net.modules():
        if isinstance(module, torch.nn.PixelShuffle):
            module.register_forward_hook(_exact_output)
    return net
