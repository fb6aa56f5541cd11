"""The one grey plane that the image metrics judge."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamfuse.errors import UsageError
from streamfuse.metrics.arrays import Gray

__all__ = ["gray_of"]

_WEIGHTS = np.linalg.inv([[1.0, 0.956, 0.621], [1.0, -0.272, -0.647], [1.0, -1.106, 1.703]])[0]
"""R, G, B weights of MATLAB's ``rgb2gray``, .298936 .587043 .114021: its YIQ matrix inverted, first row."""


def gray_of(image: NDArray[Any]) -> Gray:
    """The grey levels of an image, as the published metrics see them.

    Args:
        image: HxWx3 RGB or HxW grey, uint8.

    Returns:
        HxW uint8: the weighted sum of R, G and B as MATLAB's ``rgb2gray`` weighs it, rounded half up; a grey
        image as it is.

    Raises:
        UsageError: another shape or type.
    """
    if image.dtype != np.uint8:
        raise UsageError(
            f"metrics want 8-bit images (uint8), got {image.dtype}; bring the image to 8 bits first"
        )
    if image.ndim == 2:
        return image
    if image.ndim != 3 or image.shape[2] != 3:
        raise UsageError(f"metrics want HxWx3 RGB or HxW grey images, got the shape {image.shape}")
    levels = np.floor(image @ _WEIGHTS + 0.5)
    return np.asarray(np.minimum(levels, 255.0).astype(np.uint8))
