"""Networks in a form that computes the same with less traffic to memory, for runtimes that fuse sums.

A dense block concatenates what it has seen before each convolution. A convolution of a concatenation is the
sum of one convolution for each part, and a runtime that adds into the output of a convolution need not copy
the parts together first.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from streamfuse.nets.grdb import BLOCK_SLOPE, CONV_SLOPE, GradientResidualDenseBlock

__all__ = ["without_concatenations"]


def without_concatenations(network: nn.Module) -> nn.Module:
    """A copy of a network in which no gradient residual dense block concatenates; to roundings the same."""
    network = copy.deepcopy(network)
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, GradientResidualDenseBlock):
                setattr(module, name, _SumBlock(child))
    return network.eval()


class _SumBlock(nn.Module):
    """What a block computes, as sums."""

    def __init__(self, block: GradientResidualDenseBlock) -> None:
        super().__init__()
        channels = block.dense_a.in_channels
        self.dense_a = block.dense_a
        self.dense_b = _parts(block.dense_b, channels)
        self.merge = _parts(block.merge, channels)
        self.gradient = block.gradient
        self.residual = block.residual

    def forward(self, x: Tensor) -> Tensor:
        """As the block's."""
        first = functional.leaky_relu(self.dense_a(x), CONV_SLOPE)
        second = functional.leaky_relu(_sum(self.dense_b, x, first), CONV_SLOPE)
        merged = _sum(self.merge, x, first, second)
        if self.gradient is not None and self.residual is not None:
            merged = merged + self.residual(self.gradient(x))
        return functional.leaky_relu(merged, BLOCK_SLOPE)


def _parts(convolution: nn.Conv2d, channels: int) -> nn.ModuleList:
    """A convolution as one for each ``channels`` of its input; the first has the bias."""
    parts = nn.ModuleList()
    for weight in torch.split(convolution.weight.detach(), channels, dim=1):
        part = nn.Conv2d(
            channels,
            convolution.out_channels,
            (weight.shape[2], weight.shape[3]),
            padding=(weight.shape[2] // 2, weight.shape[3] // 2),
            bias=not parts,
        )
        with torch.no_grad():
            part.weight.copy_(weight)
            if part.bias is not None and convolution.bias is not None:
                part.bias.copy_(convolution.bias)
        parts.append(part)
    return parts


def _sum(parts: nn.ModuleList, *inputs: Tensor) -> Tensor:
    first, *rest = (part(x) for part, x in zip(parts, inputs, strict=True))
    total: Tensor = first
    for term in rest:
        total = total + term
    return total
