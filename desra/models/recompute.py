"""Activation checkpointing: blocks are computed a second time rather than remembered.

Source: Chen et al., "Training deep nets with sublinear memory cost" (arXiv 1604.06174).
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint


def _blocks(net: nn.Module) -> Iterator[nn.Module]:
    """The outermost repeated blocks: equal, composite children of a ModuleList or Sequential."""
    if isinstance(net, nn.Sequential | nn.ModuleList):
        children = [child for child in net if any(child.children())]
        if len(children) > 1 and len({type(child) for child in children}) == 1:
            yield from children
            return
    for child in net.children():
        yield from _blocks(child)


def _forward(compute: Callable[..., Any], *inputs: Any, **named: Any) -> Any:
    if not torch.is_grad_enabled():
        return compute(*inputs, **named)
    return checkpoint(compute, *inputs, use_reentrant=False, **named)


def recompute_blocks(net: nn.Module) -> int:
    """Let a network's repeated blocks (RRDB, residual blocks, groups of a transformer) keep their
    inputs only; a network that has none, such as SRVGGNetCompact, as a whole.

    Weights, names and gradients stay as they are.

    Returns:
        How many blocks there are.
    """
    blocks = list(_blocks(net)) or [net]
    for block in blocks:
        block.forward = partial(_forward, block.forward)
    return len(blocks)
