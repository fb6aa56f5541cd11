"""Boxes of the fused image in pixels of the infrared camera's own image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from streamfuse.frames import Detection
from streamfuse.geometry.warp import Registration

__all__ = ["on_infrared", "with_infrared_boxes"]

Floats = npt.NDArray[np.float64]

_STEPS: Final = np.linspace(0.0, 1.0, 5)
_AROUND: Final[Floats] = np.array(
    [(x, y) for x in _STEPS for y in _STEPS if {x, y} & {0.0, 1.0}]  # lenses bend what is straight
)
"""Points around a box, as shares of its sides."""


def with_infrared_boxes(detections: Sequence[Detection], registration: Registration) -> tuple[Detection, ...]:
    """The detections with their boxes in the infrared image, as far as that camera sees them."""
    if not detections:
        return ()
    mapped = on_infrared(np.array([found.box_xyxy for found in detections]), registration)
    return tuple(
        found if math.isnan(left) else replace(found, box_infrared_xyxy=(left, top, right, bottom))
        for found, (left, top, right, bottom) in zip(detections, mapped.tolist(), strict=True)
    )


def on_infrared(boxes_xyxy: npt.ArrayLike, registration: Registration) -> Floats:
    """Upright boxes around what boxes of registered pictures are in the infrared image.

    Args:
        boxes_xyxy: Nx4, left, top, right, bottom as edges of pixels (the first pixel spans 0 to 1).
        registration: from infrared to visible; its distance is where the objects are taken to stand.

    Returns:
        Nx4, likewise in infrared pixels and cut off at the edges of the image; NaN for a box that lies
        outside of it, or reaches to where nothing is (behind the horizon of a plane, beyond a lens).
    """
    boxes = np.asarray(boxes_xyxy, np.float64).reshape(-1, 4)
    around = boxes[:, None, :2] + (boxes[:, None, 2:] - boxes[:, None, :2]) * _AROUND
    # Registration maps middles of pixels, which lie half a pixel after their edges.
    places = registration.to_infrared(around - 0.5).reshape(around.shape) + 0.5
    inside = np.clip(places, 0, registration.infrared_size_wh)
    mapped = np.concatenate((inside.min(axis=1), inside.max(axis=1)), axis=1)
    mapped[~(mapped[:, :2] < mapped[:, 2:]).all(axis=1)] = np.nan
    return mapped
