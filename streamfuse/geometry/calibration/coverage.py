"""How much of a picture, and of the angles that a board can be held at, a set of views covers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final

import cv2
import numpy as np

from streamfuse.geometry.boards.board import BoardView, Floats, SizeWH

__all__ = ["covered_share", "missing_places", "tilt_range_deg"]

_GRID_WH: Final = (96, 72)
_PLACES: Final = (("upper", "middle", "lower"), ("left", "centre", "right"))


def covered_share(views: Iterable[BoardView], size_wh: SizeWH) -> float:
    """Part of the picture, 0 to 1, that lies within the corners of at least one view."""
    return float(np.mean(_covered(views, size_wh)))


def missing_places(views: Iterable[BoardView], size_wh: SizeWH) -> list[str]:
    """Ninths of the picture, in words, of which less than a fifth is covered."""
    covered = _covered(views, size_wh)
    height, width = (side // 3 for side in covered.shape)
    rows, columns = _PLACES
    return [
        "centre"
        if (y, x) == (1, 1)
        else f"{row} {column}".replace("middle ", "").replace(" centre", " middle")
        for y, row in enumerate(rows)
        for x, column in enumerate(columns)
        if covered[y * height : (y + 1) * height, x * width : (x + 1) * width].mean() < 0.2
    ]


def tilt_range_deg(poses: Sequence[Floats]) -> float:
    """Largest angle between the planes of two poses of a board (six numbers each), degrees."""
    normals = np.array([cv2.Rodrigues(pose[:3])[0][:, 2] for pose in poses])
    return math.degrees(math.acos(np.clip((normals @ normals.T).min(), -1.0, 1.0)))


def _covered(views: Iterable[BoardView], size_wh: SizeWH) -> Floats:
    mask = np.zeros(_GRID_WH[::-1], np.uint8)
    scale = np.array(_GRID_WH) / size_wh
    for view in views:
        hull = cv2.convexHull(((view.pixels + 0.5) * scale).astype(np.float32))
        cv2.fillConvexPoly(mask, np.round(hull).astype(np.int32), 1)
    return mask.astype(np.float64)
