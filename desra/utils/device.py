"""One ``device: auto`` and one ``precision: auto`` for everything that runs a network."""

from contextlib import AbstractContextManager, nullcontext

import torch

from desra.utils.errors import InputError

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def select_device(name: str = "auto") -> torch.device:
    """``auto``: cuda if there is one, else mps, else cpu. Any other name is torch's own.

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
    """The dtype that convolutions compute in.

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
    """Whether this is a device's or the CPU's word for "no memory left", and nothing else."""
    message = str(error)
    return (
        isinstance(error, torch.cuda.OutOfMemoryError)
        or "DefaultCPUAllocator: can't allocate memory" in message
        or "MPS backend out of memory" in message
    )


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[None]:
    """Mixed precision in ``dtype``; nothing for float32."""
    if dtype == torch.float32:
        return nullcontext()
    return torch.autocast(device.type, dtype)  # pyright: ignore[reportReturnType]


def full_precision(tensor: torch.Tensor) -> torch.Tensor:
    """What autocast made bfloat16 or float16 as float32; float32 and float64 as they are."""
    return tensor.float() if tensor.dtype in (torch.bfloat16, torch.float16) else tensor


def grad_scaler(device: torch.device, dtype: torch.dtype) -> torch.amp.GradScaler:
    """What keeps small gradients from becoming 0 in float16; it does nothing for other types.

    Raises:
        InputError: float16 on a device that torch scales no gradients on.
    """
    wanted = dtype == torch.float16
    if wanted and device.type != "cuda":
        raise InputError(
            f"precision: fp16 is not for training on {device.type} (no loss scaling); use auto, "
            "bf16 or fp32"
        )
    return torch.amp.GradScaler("cuda", enabled=wanted)


def _exact_output(_module: torch.nn.Module, _inputs: object, output: torch.Tensor) -> torch.Tensor:
    return full_precision(output)


def keep_residual_in_fp32(net: torch.nn.Module) -> torch.nn.Module:
    """Let a network that ends in ``PixelShuffle`` + upscaled input add the two in float32.

    Such networks (SRVGGNetCompact) add in place, so under autocast the sum would be rounded to the
    8 bits of bfloat16: one or two grey levels lost in bright regions. Returns ``net``.
    """
    for module in net.modules():
        if isinstance(module, torch.nn.PixelShuffle):
            module.register_forward_hook(_exact_output)
    return net
