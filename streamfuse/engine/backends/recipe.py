"""Which arrays go into a backend and come out of it."""

from __future__ import annotations

import enum
from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = ["GRAPH_REVISION", "Recipe", "blank_inputs"]

GRAPH_REVISION: Final = 3
"""Of the graphs that are kept on disk; raise it with the arithmetic of a network or of what stands around it
(:mod:`streamfuse.engine.backends.graph`)."""

Array = npt.NDArray[Any]


class Recipe(enum.StrEnum):
    """What stands around the network, and with it which arrays go in and out.

    All images are uint8; B, H, W are batch, rows and columns.
    """

    LUMA = "luma"
    """luma (B, H, W), infrared (B, H, W), levels (2,) float32 -> luma (B, H, W)."""
    RGB = "rgb"
    """RGB (B, H, W, 3), infrared (B, H, W) -> RGB (B, H, W, 3); clamped and rounded, for streams."""
    REFERENCE = "reference"
    """The same arrays; stretched per image and truncated as published, always computed in float32."""


def blank_inputs(recipe: Recipe, batch: int, size_wh: tuple[int, int]) -> tuple[Array, ...]:
    """Black arrays of the right shapes, for tracing and warming up."""
    width, height = size_wh
    infrared = np.zeros((batch, height, width), np.uint8)
    if recipe is Recipe.LUMA:
        return np.zeros_like(infrared), infrared, np.array([0.0, 255.0], np.float32)
    return np.zeros((*infrared.shape, 3), np.uint8), infrared
