"""Bytes in, bytes out: a network with the arithmetic before and after it, in one graph.

Scaling, colour range, clamping and rounding are part of what a backend compiles, so they run where
the network runs and only 8-bit images travel to and from a device.

Bytes become floating point before anything else is done with them, and the other way round at the end:
TensorRT can do nothing else with bytes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from streamfuse.engine.backends.recipe import Recipe
from streamfuse.nets.color import reference_postprocess, rgb_to_ycrcb, stream_postprocess, ycrcb_to_rgb

__all__ = ["LumaGraph", "RgbGraph", "build_graph"]


class _FusionGraph(nn.Module):
    """Runs a network in the precision of its weights, with float32 around it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self._dtype = next(network.parameters()).dtype

    def _fuse_luma(self, luma: Tensor, infrared: Tensor) -> Tensor:
        """Both (B, 1, H, W) float32 in 0..1; so is the result."""
        fused: Tensor = self.network(luma.to(self._dtype), infrared.to(self._dtype))
        return fused.float().clamp(0.0, 1.0)


class LumaGraph(_FusionGraph):
    """:attr:`Recipe.LUMA`. ``levels`` = (code of black, codes from black to white) of the luma."""

    def forward(self, luma: Tensor, infrared: Tensor, levels: Tensor) -> Tensor:
        """Fuse luma in its own colour range with full-range infrared."""
        black, span = levels[0], levels[1]
        visible = ((luma.float() - black) / span).clamp(0.0, 1.0)
        fused = self._fuse_luma(visible.unsqueeze(1), infrared.float().unsqueeze(1) / 255.0)
        return (fused[:, 0] * span + black).round().to(torch.uint8)


class RgbGraph(_FusionGraph):
    """:attr:`Recipe.RGB` and :attr:`Recipe.REFERENCE`, which differ in their last step."""

    def __init__(self, network: nn.Module, postprocess: Callable[[Tensor], Tensor]) -> None:
        super().__init__(network)
        self._postprocess = postprocess

    def forward(self, rgb: Tensor, infrared: Tensor) -> Tensor:
        """Fuse the luma of RGB with infrared and keep the colour differences."""
        luma, cr, cb = rgb_to_ycrcb(rgb.float().permute(0, 3, 1, 2) / 255.0)
        fused = self._fuse_luma(luma, infrared.float().unsqueeze(1) / 255.0)
        return self._postprocess(ycrcb_to_rgb(fused, cr, cb).permute(0, 2, 3, 1))


def build_graph(recipe: Recipe, network: nn.Module) -> nn.Module:
    """The graph of a recipe around ``network``, which it shares."""
    if recipe is Recipe.LUMA:
        return LumaGraph(network).eval()
    ending = stream_postprocess if recipe is Recipe.RGB else reference_postprocess
    return RgbGraph(network, ending).eval()
