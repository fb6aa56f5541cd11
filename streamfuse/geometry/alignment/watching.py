"""Is a registration still right? A cheap look at one registered pair, for the watch over a running rig."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from streamfuse.errors import UsageError
from streamfuse.geometry.alignment.descriptor import Mask, describe
from streamfuse.geometry.alignment.fine import PARAMETERS, Evidence, homography
from streamfuse.geometry.alignment.level import Floats, Gray, Level, corners_of, mapped

__all__ = ["Residual", "residual_shift", "score"]

_STEP: Final = 4
_BLOCK: Final = 8
_REACH: Final = 5
_SURE_SCORE: Final = 0.08
"""At a quarter of the size, a pair of street pictures that fit has this and more."""
_PULL: Final = np.array([0.0, 0.0, 0.0, 0.0, 0.25, 0.25, np.inf, np.inf])
"""A bracket that was bumped shifts and turns the picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Residual:
    """How far a registration is off."""

    H_visible_from_registered: Floats
    """3x3 affine; the identity when nothing is off. On the left of the present homography it mends it."""
    shift_px: tuple[float, float]
    """Of the middle of the picture: where the infrared picture should go, to the right and down."""
    corner_px: float
    """Mean shift of the corners, in visible pixels. About 20 px is the most that can be seen."""
    confidence: float
    """0…1; below a half, look at the next pair instead."""
    score: float
    """Normalised correlation of the edges after mending."""


def score(visible: Gray, registered: Gray, seen: Mask | None = None) -> float:
    """How well a registered pair fits as it is, compared with small displacements of its blocks.

    Args:
        visible: HxW uint8.
        registered: HxW uint8, the infrared picture on the grid of the visible one.
        seen: HxW, where the infrared camera looks; None: everywhere.

    Returns:
        -1…1, where 0 is chance; comparable between pictures of one rig only.

    Raises:
        UsageError: the sizes differ.
    """
    return _evidence(visible, registered, seen).score_at_start(1.0)


def residual_shift(visible: Gray, registered: Gray, seen: Mask | None = None) -> Residual:
    """How far the infrared picture of a registered pair is from where it should be.

    Args:
        visible: HxW uint8.
        registered: HxW uint8, the infrared picture on the grid of the visible one.
        seen: HxW, where the infrared camera looks; None: everywhere.

    Raises:
        UsageError: the sizes differ.
    """
    fit = _evidence(visible, registered, seen).climb((2.0, 1.0), pull=_PULL, before=np.zeros(PARAMETERS))
    height, width = visible.shape
    way = np.asarray(np.linalg.inv(homography(fit.parameters * _STEP, (width, height))), np.float64)
    way /= way[2, 2]
    corners = corners_of((width, height))
    middle = corners.mean(axis=0, keepdims=True)
    dx, dy = (mapped(way, middle) - middle)[0]
    return Residual(
        H_visible_from_registered=way,
        shift_px=(float(dx), float(dy)),
        corner_px=float(np.linalg.norm(mapped(way, corners) - corners, axis=1).mean()),
        confidence=float(np.clip(fit.score / (2 * _SURE_SCORE), 0, 1)),
        score=fit.score,
    )


def _evidence(visible: Gray, registered: Gray, seen: Mask | None) -> Evidence:
    if visible.shape != registered.shape or (seen is not None and seen.shape != visible.shape):
        raise UsageError(
            "the watch compares pictures of one size, got "
            f"{visible.shape}, {registered.shape}{'' if seen is None else f' and {seen.shape}'}"
        )
    height, width = visible.shape
    size_wh = (width // _STEP, height // _STEP)
    one, other = (cv2.resize(gray, size_wh, interpolation=cv2.INTER_AREA) for gray in (visible, registered))
    mask = None
    if seen is not None:
        mask = cv2.resize(seen.astype(np.uint8), size_wh, interpolation=cv2.INTER_NEAREST) > 0
    level = Level((describe(one),), (np.asarray(other, np.uint8),), (mask,), np.eye(3), np.eye(3))
    return Evidence.of(level, np.eye(3), block=_BLOCK, reach=_REACH)
