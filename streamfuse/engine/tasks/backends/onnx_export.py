"""Task networks as ONNX files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import torch
from torch import nn

from streamfuse.engine.backends.onnx_export import onnx_bytes

__all__ = ["INPUT", "OUTPUTS", "export_task"]

INPUT: Final = "images"
OUTPUTS: Final = ("predictions", "prototypes")
"""Names in the file; ``prototypes`` where there are masks."""


def export_task(graph: nn.Module, shape: tuple[int, ...], *, notes: Mapping[str, str] | None = None) -> bytes:
    """The content of an ONNX file.

    Args:
        graph: takes (B, H, W, 3) uint8, gives a tuple of tensors; the file computes in its precision.
        shape: of the input, fixed in the file.
        notes: kept in the file as its metadata.

    Raises:
        MachineError: the network does something that ONNX has no words for.
    """
    device = next(graph.parameters()).device
    example = torch.zeros(shape, dtype=torch.uint8, device=device)
    return onnx_bytes(graph, {INPUT: example}, outputs=OUTPUTS, notes=notes)
