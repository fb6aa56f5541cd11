"""Task networks as ONNX files, the form that ONNX Runtime and TensorRT read."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Final

import onnx
import torch
from torch import nn

__all__ = ["ONNX_FILE", "export_onnx"]

ONNX_FILE: Final = "network.onnx"
_OPSET: Final = 17


def export_onnx(graph: nn.Module, shape: tuple[int, ...], folder: Path) -> None:
    """Write ``network.onnx`` into a folder.

    Args:
        graph: takes (B, H, W, 3) uint8, gives a tuple of tensors.
        shape: of the input, fixed in the file.
        folder: where to.
    """
    device = next(graph.parameters()).device
    example = torch.zeros(shape, dtype=torch.uint8, device=device)
    with warnings.catch_warnings(), torch.inference_mode():
        # The exporter by tracing is the one that needs no further package; torch has deprecated it, and warns
        # that the anchors become constants, which is right for one shape.
        warnings.simplefilter("ignore")
        graph(example)  # what it keeps per shape must be there before it is traced
        torch.onnx.export(
            graph, (example,), folder / ONNX_FILE, opset_version=_OPSET, dynamo=False, input_names=["images"]
        )
    onnx.checker.check_model(str(folder / ONNX_FILE))
