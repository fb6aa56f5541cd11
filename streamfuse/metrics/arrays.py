"""The array types of the metrics."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Doubles", "Gray", "Sources", "doubles"]

Gray = NDArray[np.uint8]
"""HxW grey levels, 0..255."""

Doubles = NDArray[np.float64]

Sources = tuple[Gray, Gray]
"""The visible and the infrared image that were fused; every metric treats them alike."""


def doubles(image: Gray) -> Doubles:
    """The same grey levels, 0..255, as C-contiguous float64."""
    return np.ascontiguousarray(image, np.float64)
