"""Turns task networks into OpenVINO's models: the half of that runner that needs torch."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import nn

from streamfuse.engine.backends.openvino_quiet import openvino

__all__ = ["convert"]


def convert(graph: nn.Module, shape: tuple[int, ...]) -> openvino.Model:
    """Trace a graph for one shape of image.

    Args:
        graph: takes (B, H, W, 3) uint8, gives a tuple of tensors.
        shape: (H, W, 3).
    """
    example: Any = torch.zeros((1, *shape), dtype=torch.uint8)
    with warnings.catch_warnings(), torch.inference_mode():
        # What OpenVINO reads is made by torch.jit, which torch has deprecated; and the tracer warns that
        # the anchors become constants, which is right for one shape.
        warnings.simplefilter("ignore")
        graph(example)  # what it keeps per shape must be there before it is traced
        traced = torch.jit.trace(  # type: ignore[no-untyped-call]  # torch leaves it untyped
            graph, example, check_trace=False
        )
        model = openvino.convert_model(traced, example_input=example)
    model.reshape(openvino.PartialShape(example.shape))
    return model
