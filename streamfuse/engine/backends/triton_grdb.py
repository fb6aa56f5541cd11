"""GRDB's blocks with kernels of their own, for CUDA: fewer ways between the GPU's memory and its processors.

With one kernel per step, GRDB in half precision reads and writes 10.6 KB a pixel, by the sizes of its maps.
Here one kernel does a 3x3 convolution with its bias and its activation, reading the maps that the plain
network copies together first; and one does all that closes a block (both gradients, their magnitude,
residual, merge, sum, activation): 2.7 KB a pixel. Maps are (B, H, W, C) in memory, float16, and sums are
float32. The plain network (:mod:`streamfuse.nets.grdb`) stays the reference; whether this one is used is
measured on the machine at hand (:mod:`streamfuse.engine.backends.cuda_trials`).

Triton compiles the kernels when they are first called, which takes a C compiler on the machine.
"""

from __future__ import annotations

import copy
import subprocess
from collections.abc import Callable
from typing import TypeVar

import torch
import triton
from torch import Tensor, nn
from triton import TritonError

from streamfuse.engine.backends.triton_kernels import conv_kernel, end_kernel
from streamfuse.errors import MachineError
from streamfuse.nets.grdb import (
    BLOCK_SLOPE,
    CONV_SLOPE,
    GradientResidualDenseBlock,
    GrdbFusion,
    StreamEncoder,
)

__all__ = ["with_kernels"]

_KERNEL_ERRORS = (TritonError, OSError, AssertionError, subprocess.SubprocessError)
"""What a kernel's first call may raise beside torch's RuntimeError: no compiler, a GPU too old or small."""

Module = TypeVar("Module", bound=nn.Module)

_ROWS, _COLUMNS = 8, 16
"""Pixels of a tile: nearly square, so that neighbouring tiles share little."""


def _grid(x: Tensor) -> tuple[int, int, int]:
    batch, _, height, width = x.shape
    return triton.cdiv(width, _COLUMNS), triton.cdiv(height, _ROWS), batch


def _empty(x: Tensor, channels: int) -> Tensor:
    batch, _, height, width = x.shape
    return torch.empty(
        (batch, channels, height, width), dtype=x.dtype, device=x.device, memory_format=torch.channels_last
    )


def _constant(values: Tensor) -> nn.Parameter:
    return nn.Parameter(values.detach().clone(memory_format=torch.contiguous_format), requires_grad=False)


class _Conv(nn.Module):
    """A 3x3 convolution over one map or two, with a leaky ReLU of ``slope``; 1 is none."""

    def __init__(self, conv: nn.Module, *, slope: float = CONV_SLOPE) -> None:
        super().__init__()
        assert isinstance(conv, nn.Conv2d)
        assert conv.bias is not None
        self._slope = slope
        self._n = conv.out_channels
        weight = conv.weight.detach().permute(2, 3, 1, 0).reshape(9 * conv.in_channels, self._n)
        self.weight = _constant(weight)
        self.bias = _constant(conv.bias)

    def forward(self, first: Tensor, second: Tensor | None = None) -> Tensor:
        """Convolve; maps of (B, C, H, W) in channels-last memory."""
        first = first.contiguous(memory_format=torch.channels_last)
        second = None if second is None else second.contiguous(memory_format=torch.channels_last)
        many, more = first.shape[1], 0 if second is None else second.shape[1]
        out = _empty(first, self._n)
        both = first, first if second is None else second
        conv_kernel[_grid(first)](
            *both, self.weight, self.bias, out, *first.shape[2:], self._slope,
            C1=many, C2=more, N=self._n, N_PADDED=max(16, triton.next_power_of_2(self._n)),
            K=_step(many), ROWS=_ROWS, COLUMNS=_COLUMNS, num_warps=4, num_stages=1, enable_fp_fusion=True,
        )  # fmt: skip
        return out


def _step(channels: int) -> int:
    """Channels to multiply at once: a power of two that leaves no rest, or 16, the fewest there can be."""
    return max(16, min(64, channels & -channels))


class _End(nn.Module):
    """What closes a block, after its convolutions."""

    def __init__(self, block: GradientResidualDenseBlock) -> None:
        super().__init__()
        merge, residual, gradient = block.merge, block.residual, block.gradient
        assert residual is not None
        assert gradient is not None
        assert merge.bias is not None
        assert residual.bias is not None
        self._n = merge.out_channels
        kernels = [conv.weight.detach().reshape(-1, 9).T for conv in (gradient.horizontal, gradient.vertical)]
        matrices = [conv.weight.detach()[:, :, 0, 0].T for conv in (merge, residual)]
        self.gradients = _constant(torch.cat(kernels))
        self.matrix = _constant(torch.cat(matrices))
        self.bias = _constant(merge.bias + residual.bias)

    def forward(self, x: Tensor, a: Tensor, b: Tensor) -> Tensor:
        """Close the block; three maps of (B, C, H, W), in channels-last memory or brought there."""
        x, a, b = (each.contiguous(memory_format=torch.channels_last) for each in (x, a, b))
        out = _empty(x, self._n)
        end_kernel[_grid(x)](
            x, a, b, self.gradients, self.matrix, self.bias, out, *x.shape[2:], BLOCK_SLOPE,
            C=x.shape[1], N=self._n, N_PADDED=triton.next_power_of_2(self._n),
            ROWS=_ROWS, COLUMNS=_COLUMNS, num_warps=4, num_stages=1, enable_fp_fusion=True,
        )  # fmt: skip
        return out


class _Block(nn.Module):
    """A block whose end is one kernel; its convolutions are torch's, or ours."""

    def __init__(self, block: nn.Module, *, ours: bool) -> None:
        super().__init__()
        assert isinstance(block, GradientResidualDenseBlock)
        self._ours = ours
        self.dense_a = _Conv(block.dense_a) if ours else block.dense_a
        self.dense_b = _Conv(block.dense_b) if ours else block.dense_b
        self.end = _End(block)

    def forward(self, x: Tensor) -> Tensor:
        """As :class:`GradientResidualDenseBlock`."""
        if self._ours:
            a = self.dense_a(x)
            b = self.dense_b(x, a)
        else:
            a = nn.functional.leaky_relu(self.dense_a(x), CONV_SLOPE, inplace=True)
            b = nn.functional.leaky_relu(self.dense_b(torch.cat((x, a), dim=1)), CONV_SLOPE, inplace=True)
        closed: Tensor = self.end(x, a, b)
        return closed


class _Encoder(nn.Module):
    def __init__(self, encoder: StreamEncoder) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            _Conv(encoder.stem), *(_Block(each, ours=True) for each in encoder.blocks)
        )

    def forward(self, image: Tensor) -> Tensor:
        features: Tensor = self.layers(image)
        return features


class _Grdb(nn.Module):
    """:class:`GrdbFusion` with nothing but our kernels up to its last step."""

    def __init__(self, network: GrdbFusion) -> None:
        super().__init__()
        self.visible, self.infrared = _Encoder(network.visible), _Encoder(network.infrared)
        *hidden, last = network.decoder
        self.decoder = nn.ModuleList([*map(_Conv, hidden), _Conv(last, slope=1.0)])

    def forward(self, visible_luma: Tensor, infrared: Tensor) -> Tensor:
        first, *rest = self.decoder
        x = first(self.visible(visible_luma), self.infrared(infrared))
        for layer in rest:
            x = layer(x)
        return torch.tanh(x) / 2 + 0.5


class _Whole(nn.Module):
    """A network with kernels, whose errors are ours."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, visible_luma: Tensor, infrared: Tensor) -> Tensor:
        try:
            fused: Tensor = self.network(visible_luma, infrared)
        except _KERNEL_ERRORS as error:
            said = str(error).strip().partition("\n")[0]
            raise MachineError(
                f"Triton could not compile a kernel: {type(error).__name__}: {said}"
            ) from error
        return fused


def with_kernels(network: nn.Module) -> dict[str, nn.Module]:
    """Networks that compute what ``network`` does, by the name of what they do it with.

    ``block-end``: torch's convolutions, and one kernel of ours for all that closes a block. ``convolution``:
    those of encoders and decoder are ours, too.

    Returns:
        Networks with copies of the weights; none for a network without GRDB's blocks.
    """
    blocks = [module for module in network.modules() if isinstance(module, GradientResidualDenseBlock)]
    if not blocks or any(block.gradient is None for block in blocks):
        return {}
    ends = _replaced(network, GradientResidualDenseBlock, lambda block: _Block(block, ours=False))
    if isinstance(network, GrdbFusion):
        whole: nn.Module = _Grdb(network)
    else:
        whole = _replaced(network, StreamEncoder, _Encoder)
    return {"block-end": _Whole(ends), "convolution": _Whole(whole)}


def _replaced(network: nn.Module, kind: type[Module], by: Callable[[Module], nn.Module]) -> nn.Module:
    changed = copy.deepcopy(network)
    for parent in list(changed.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, kind):
                setattr(parent, name, by(child))
    return changed
