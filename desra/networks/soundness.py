"""Tell weights that no network can be run with: of another kind of number, not finite, absurd."""

import math
import re
from collections import defaultdict
from collections.abc import Mapping

import torch
from torch import Tensor

#: How many numbers may be missing between those of the layers in a row, beside a factor of ten.
_SLACK = 64
_INDEX = re.compile(r"(?<![^.])\d+(?![^.])")


def fault_of(tensors: Mapping[str, Tensor]) -> str | None:
    """Return what is wrong with the weights of a network, as the end of a sentence; None: nothing.

    Integers are let pass where they are counters or indices, not where they are a ``weight`` or a
    ``bias``; infinite values too.

    Args:
        tensors: the weights by name.
    """
    return _gap(tensors) or next(filter(None, map(_fault, tensors.items())), None)


def _fault(entry: tuple[str, Tensor]) -> str | None:
    name, tensor = entry
    is_weight = name.rpartition(".")[2] in ("weight", "bias")
    if tensor.layout != torch.strided or tensor.is_meta:
        stored = "without values (on the device meta)" if tensor.is_meta else "sparse"
        return f"has a tensor that is {stored}, {name}, where a dense one is expected"
    kind = str(tensor.dtype).removeprefix("torch.")
    if tensor.is_complex() or tensor.is_quantized or (is_weight and not tensor.is_floating_point()):
        return f"has {kind} numbers in {name}, where float ones are expected"
    if not tensor.is_floating_point():
        return None
    # float8 knows no isnan
    values = tensor.float() if tensor.element_size() == 1 else tensor
    wrong = ~torch.isfinite(values) if is_weight else torch.isnan(values)
    if count := int(torch.count_nonzero(wrong)):
        values_of = f"{count} of {math.prod(tensor.shape)} values in {name}"
        return f"has {values_of} that are no numbers (NaN or infinite)"
    return None


def _gap(tensors: Mapping[str, Tensor]) -> str | None:
    """Return a name whose number is far above those of its row.

    A network of as many layers as the highest number would be built.
    """
    numbers: dict[str, set[int]] = defaultdict(set)
    for name in tensors:
        for match in _INDEX.finditer(name):
            digits = match[0]
            if len(digits) > 9:
                return f"has a tensor named {name[:80]}, a layer that no network has"
            numbers[name[: match.start()]].add(int(digits))
    for row, indices in numbers.items():
        if max(indices) > 10 * len(indices) + _SLACK:
            return (
                f"has a tensor in {row}{max(indices)}, but only {len(indices)} such layers; no "
                "network has such gaps"
            )
    return None
