"""Boxes of the fused image in pixels of the infrared camera's own image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from streamfuse.frames import Detection
from streamfuse.geometry.warp import Registration

__all__ = ["on_infrared", "with_infrared_boxes"]

Floats = npt.NDArray[np.float64]

_CORNERS = ((0, 1), (2, 1), (2, 3), (0, 3))
"""Where x and y of a box's corners stand among its sides."""


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
    """Upright boxes around what boxes of the visible geometry are in the infrared image.

    Args:
        boxes_xyxy: Nx4, left, top, right, bottom as edges of visible pixels (the first pixel spans 0 to 1).
        registration: from infrared to visible; its plane is where the objects are taken to stand.

    Returns:
        Nx4, likewise in infrared pixels and cut off at the edges of the image; NaN for a box that lies
        outside of it, or reaches behind the horizon of the plane.
    """
    boxes = np.asarray(boxes_xyxy, np.float64)
    # The homography maps middles of pixels, which lie half a pixel after their edges.
    corners = boxes[:, _CORNERS] - 0.5
    to_infrared = np.linalg.inv(registration.H_visible_from_infrared)
    x, y, w = np.moveaxis(np.append(corners, np.ones_like(corners[..., :1]), axis=-1) @ to_infrared.T, -1, 0)
    ahead = (w > 0).all(axis=1)
    w = np.where(w > 0, w, np.nan)
    places = np.stack((x / w, y / w), axis=-1) + 0.5
    inside = np.clip(places, 0, registration.infrared_size_wh)
    mapped = np.concatenate((inside.min(axis=1), inside.max(axis=1)), axis=1)
    is_empty = (mapped[:, :2] >= mapped[:, 2:]).any(axis=1)
    mapped[is_empty | ~ahead] = np.nan
    return mapped
