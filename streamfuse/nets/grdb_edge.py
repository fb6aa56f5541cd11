"""GRDB at half resolution: the network mixes its sources instead of painting the fused image.

Ours. The published network (:mod:`streamfuse.nets.grdb`) computes every feature at every pixel. Here 2x2
blocks of pixels become channels first, so that the same encoders see a quarter of the positions, and the
decoder does not paint: it says how to mix. For every pixel of full resolution it gives a weight ``w`` and
a correction ``r``::

    F = w V + (1 - w) I + tanh(r) / 2

Detail comes from the sources themselves, untouched by the loss of resolution in between.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

from streamfuse.nets.grdb import StreamEncoder

__all__ = ["EDGE_HALO_PX", "GrdbEdgeFusion"]

EDGE_HALO_PX = 19
"""How far an output pixel sees: nine 3x3 convolutions at half resolution, and its own block of 2x2."""

_SLOPE = 0.2


class GrdbEdgeFusion(nn.Module):
    """Fuses the luma of the visible image with the infrared image at a quarter of GRDB's cost.

    Args:
        gradient: False builds the ablation without the gradient branches.
    """

    def __init__(self, *, gradient: bool = True) -> None:
        super().__init__()
        self.visible = StreamEncoder(4, gradient=gradient)
        self.infrared = StreamEncoder(4, gradient=gradient)
        widths = (96, 64, 32, 16)
        self.decoder = nn.ModuleList(
            [nn.Conv2d(many, few, 3, padding=1) for many, few in itertools.pairwise(widths)]
        )
        self.head = nn.Conv2d(16, 8, 3, padding=1)

    def forward(self, visible_luma: Tensor, infrared: Tensor) -> Tensor:
        """Fuse.

        Args:
            visible_luma: (B, 1, H, W) floating point in 0..1, luma of the visible image; an odd side is
                padded by repeating its last pixel.
            infrared: same shape and range.

        Returns:
            (B, 1, H, W), fused luma; a little outside 0..1 where a correction overshoots.
        """
        height, width = visible_luma.shape[-2:]
        # Without a branch on the size, so that tracing the network keeps it good for every size.
        even = (0, width % 2, 0, height % 2)
        visible_luma, infrared = (
            functional.pad(image, even, mode="replicate") for image in (visible_luma, infrared)
        )
        streams = (self.visible, visible_luma), (self.infrared, infrared)
        x = torch.cat([encode(functional.pixel_unshuffle(image, 2)) for encode, image in streams], dim=1)
        for layer in self.decoder:
            x = functional.leaky_relu(layer(x), _SLOPE)
        mix, correction = functional.pixel_shuffle(self.head(x), 2).float().chunk(2, dim=1)
        weight = torch.sigmoid(mix)
        fused = weight * visible_luma + (1 - weight) * infrared + torch.tanh(correction) / 2
        return fused[..., :height, :width]
