"""Fusion networks as ONNX files, with the arithmetic around them: bytes in, bytes out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import torch
from torch import nn

from streamfuse.engine.backends.graph import build_graph
from streamfuse.engine.backends.onnx_export import onnx_bytes
from streamfuse.engine.backends.recipe import Recipe, blank_inputs

__all__ = ["INPUTS", "OUTPUT", "export_fusion"]

INPUTS: Final = ("visible", "infrared", "levels")
"""Names in the file, in the order of :class:`Recipe`; ``levels`` for luma alone."""
OUTPUT: Final = "fused"

_AXES: Final = {0: "batch", 1: "height", 2: "width"}
_TRACE_SIZE_WH: Final = (32, 16)


def export_fusion(
    network: nn.Module,
    recipe: Recipe,
    *,
    batch: int | None = None,
    size_wh: tuple[int, int] | None = None,
    notes: Mapping[str, str] | None = None,
) -> bytes:
    """The content of an ONNX file, with the arrays of a recipe by :data:`INPUTS` and :data:`OUTPUT`.

    Args:
        network: on any device; the file computes in its precision.
        recipe: what stands around it.
        batch: of the file; None: any.
        size_wh: of the images in pixels; None: any.
        notes: kept in the file as its metadata.

    Raises:
        MachineError: the network does something that ONNX has no words for.
    """
    device = next(network.parameters()).device
    arrays = blank_inputs(recipe, batch or 1, size_wh or _TRACE_SIZE_WH)
    example = {name: torch.from_numpy(array).to(device) for name, array in zip(INPUTS, arrays, strict=False)}
    fixed = {0} if batch else set()
    fixed |= {1, 2} if size_wh else set()
    axes = {place: name for place, name in _AXES.items() if place not in fixed}
    free = dict.fromkeys(("visible", "infrared", "fused"), axes) if axes else {}
    return onnx_bytes(build_graph(recipe, network), example, outputs=("fused",), free=free, notes=notes)
