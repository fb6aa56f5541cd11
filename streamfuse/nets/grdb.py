"""The GRDB fusion network: two shallow encoders, gradient residual dense blocks, one decoder.

Source: Tang, Yuan, Ma, "Image fusion in the loop of high-level vision tasks" (SeAFusion),
Information Fusion 82 (2022) 28-42; layer by layer as in the authors' released code and weights.

The network is purely local. It has no normalisation and no pooling, so it makes no flicker by
itself, takes images of any size, and a tile with a border of ``HALO_PX`` gives the same pixels as the
full frame.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = [
    "BLOCK_SLOPE",
    "CONV_SLOPE",
    "HALO_PX",
    "GradientMagnitude",
    "GradientResidualDenseBlock",
    "GrdbFusion",
    "StreamEncoder",
]

HALO_PX = 9
"""How far an output pixel sees in each direction: nine 3x3 convolutions stand in its longest path."""

CONV_SLOPE = 0.2
BLOCK_SLOPE = 0.1
"""Slopes of the leaky ReLUs: after a convolution, and after the sum that closes a block."""

_SOBEL_X = ((1.0, 0.0, -1.0), (2.0, 0.0, -2.0), (1.0, 0.0, -1.0))


def _conv(in_channels: int, out_channels: int, kernel: int) -> nn.Conv2d:
    """A convolution with bias that keeps the size of the map by padding with zeros."""
    return nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2)


def _leaky(x: Tensor) -> Tensor:
    return functional.leaky_relu(x, CONV_SLOPE)


class GradientMagnitude(nn.Module):
    """``|x * Gx| + |x * Gy|`` per channel, (B, C, H, W) to the same shape.

    Both kernels start as Sobel's and are trained with the rest. In the published weights they have
    moved away from it (by 0.18 at most), so they belong to the weights and are not constants.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.horizontal = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.vertical = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        sobel_x = torch.tensor(_SOBEL_X)
        with torch.no_grad():
            self.horizontal.weight.copy_(sobel_x.expand_as(self.horizontal.weight))
            self.vertical.weight.copy_(sobel_x.T.expand_as(self.vertical.weight))

    def forward(self, x: Tensor) -> Tensor:
        """Gradient magnitude of each channel."""
        magnitude: Tensor = self.horizontal(x).abs() + self.vertical(x).abs()
        return magnitude


class GradientResidualDenseBlock(nn.Module):
    """A dense main path plus a residual path that carries gradients; (B, Cin, H, W) to (B, Cout, H, W).

    Without ``gradient`` the residual path is left out: the plain dense block of the paper's ablation.
    """

    def __init__(self, in_channels: int, out_channels: int, *, gradient: bool = True) -> None:
        super().__init__()
        self.dense_a = _conv(in_channels, in_channels, 3)
        self.dense_b = _conv(2 * in_channels, in_channels, 3)
        self.merge = _conv(3 * in_channels, out_channels, 1)
        self.gradient = GradientMagnitude(in_channels) if gradient else None
        self.residual = _conv(in_channels, out_channels, 1) if gradient else None

    def forward(self, x: Tensor) -> Tensor:
        """Merge everything the block has seen, add the gradients."""
        seen = torch.cat((x, _leaky(self.dense_a(x))), dim=1)
        seen = torch.cat((seen, _leaky(self.dense_b(seen))), dim=1)
        merged = self.merge(seen)
        if self.gradient is not None and self.residual is not None:
            merged = merged + self.residual(self.gradient(x))
        return functional.leaky_relu(merged, BLOCK_SLOPE)


class StreamEncoder(nn.Module):
    """Features of one stream: (B, C, H, W) to (B, 48, H, W), by default of one plane."""

    def __init__(self, in_channels: int = 1, *, gradient: bool = True) -> None:
        super().__init__()
        self.stem = _conv(in_channels, 16, 3)
        self.blocks = nn.Sequential(
            GradientResidualDenseBlock(16, 32, gradient=gradient),
            GradientResidualDenseBlock(32, 48, gradient=gradient),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Encode one stream."""
        features: Tensor = self.blocks(_leaky(self.stem(image)))
        return features


class GrdbFusion(nn.Module):
    """Fuses the luma of the visible image with the infrared image.

    166,657 parameters. The published file counts 226 more: batch normalisations that its decoder
    declares and never calls. 51 billion multiplications at 640x480.
    """

    def __init__(self) -> None:
        super().__init__()
        self.visible = StreamEncoder()
        self.infrared = StreamEncoder()
        self.decoder = nn.ModuleList([_conv(96, 64, 3), _conv(64, 32, 3), _conv(32, 16, 3), _conv(16, 1, 3)])

    def forward(self, visible_luma: Tensor, infrared: Tensor) -> Tensor:
        """Fuse.

        Args:
            visible_luma: (B, 1, H, W) floating point in 0..1, luma of the visible image.
            infrared: same shape and range.

        Returns:
            (B, 1, H, W), fused luma in (0, 1).
        """
        x = torch.cat((self.visible(visible_luma), self.infrared(infrared)), dim=1)
        *hidden, last = self.decoder
        for layer in hidden:
            x = _leaky(layer(x))
        return torch.tanh(last(x)) / 2 + 0.5
