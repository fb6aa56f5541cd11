"""Turns networks into OpenVINO's models: the half of that backend that needs torch."""

from __future__ import annotations

import warnings
from typing import Final

import torch

from streamfuse.engine.backends.base import Blueprint
from streamfuse.engine.backends.graph import build_graph
from streamfuse.engine.backends.openvino_quiet import openvino
from streamfuse.engine.backends.recipe import Recipe, blank_inputs
from streamfuse.nets.folding import without_concatenations

__all__ = ["convert"]

_TRACE_SIZE_WH: Final = (32, 16)


def convert(blueprint: Blueprint, recipe: Recipe) -> openvino.Model:
    """Trace the graph of a recipe; images of any size fit the result.

    Raises:
        WeightsError: the weights cannot be read.
    """
    # Sums instead of concatenations: 9 % faster (docs/performance.md).
    graph = build_graph(recipe, without_concatenations(blueprint.build().float()))
    example = tuple(torch.from_numpy(array) for array in blank_inputs(recipe, 1, _TRACE_SIZE_WH))
    with warnings.catch_warnings():
        # What OpenVINO reads is made by torch.jit, which torch has deprecated.
        warnings.filterwarnings("ignore", message=r".*torch\.jit", category=FutureWarning)
        warnings.filterwarnings("ignore", message=r".*torch\.jit", category=DeprecationWarning)
        # Checking the trace would run it again twice; that costs most of the time to start.
        traced = torch.jit.trace(  # type: ignore[no-untyped-call]  # torch leaves it untyped
            graph, example, check_trace=False
        )
        return openvino.convert_model(traced, example_input=example)
