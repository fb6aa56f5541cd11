"""The array types of the street, and the short way to make one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Doubles", "Floats", "Ints", "Mask", "Point3", "floats"]

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
Mask = NDArray[np.bool_]
Doubles = NDArray[np.float64]

Point3 = tuple[float, float, float]
"""x, y, z in metres; a direction; or R, G, B."""


def floats(values: ArrayLike | NDArray[Any]) -> Floats:
    """A float32 array, C-contiguous as compiled code wants it; copied only where needed."""
    return np.ascontiguousarray(values, np.float32)
