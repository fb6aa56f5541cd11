"""How far pictures that a rig has registered still lie from each other: aligned once more, by themselves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from streamfuse.config.rig import RigConfig
from streamfuse.errors import CalibrationError, UsageError
from streamfuse.frames import Image
from streamfuse.geometry.alignment.aligner import align
from streamfuse.geometry.rig import RigGeometry
from streamfuse.geometry.warp import Registration
from streamfuse.jobs.calibrating.pictures import PicturePair

__all__ = ["Measured", "measure"]

Floats = npt.NDArray[np.float64]

_GRID_WH: Final = (9, 7)
"""Pixels at which what is left is summed up."""
_NUDGE_PER_M: Final = 1e-3
"""Change of 1/distance by which the direction of parallax is found."""
_MOST_ACROSS: Final = 0.35
"""A shift that parallax explains lies along the baseline but for this share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What is left on pictures, in visible pixels."""

    pairs: int
    distance_m: float
    """At which they were registered."""
    refused: str = ""
    """Why nothing could be measured; empty if it was, and the numbers below hold."""
    off_px: float = math.nan
    """Mean distance of what is one thing, over the common field."""
    shift_px: tuple[float, float] = (math.nan, math.nan)
    """Right and down from where the rig puts the infrared picture to where it belongs, in the middle."""
    uncertainty_px: float = math.nan
    """Of this measurement."""
    scene_m: float | None = None
    """At this distance the rig would be right: the shift lies along the baseline."""

    @property
    def known_px(self) -> float:
        """``off_px``; 0 where nothing could be measured."""
        return 0.0 if self.refused else self.off_px

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        distance: float | str = "inf" if math.isinf(self.distance_m) else self.distance_m
        if self.refused:
            return {"pairs": self.pairs, "distance_m": distance, "refused": self.refused}
        return {
            "pairs": self.pairs,
            "distance_m": distance,
            "off_px": self.off_px,
            "shift_px": list(self.shift_px),
            "uncertainty_px": self.uncertainty_px,
            "scene_m": self.scene_m,
        }


def measure(rig: RigConfig, pairs: Sequence[PicturePair], *, distance_m: float | None = None) -> Measured:
    """Register pairs, cut them to what both cameras see, and align what is left.

    Args:
        rig: that can register.
        pairs: one or more, of the sizes of the rig.
        distance_m: at which they are registered; None: that of the first plane.

    Raises:
        UsageError: pictures of other sizes than the rig's.
    """
    geometry = RigGeometry.of(rig)
    distance_m = geometry.usual_distance_m if distance_m is None else distance_m
    first = pairs[0]
    way = Registration.of(
        geometry,
        visible_size_wh=first.visible.size_wh,
        infrared_size_wh=first.infrared.size_wh,
        distance_m=distance_m,
        crop=True,
    )
    grays = [_registered(way, pair) for pair in pairs]
    try:
        found = align(grays, start=np.eye(3))
    except (CalibrationError, UsageError) as error:  # nothing to hold on to, or a field too small
        return Measured(pairs=len(pairs), distance_m=distance_m, refused=str(error))
    places = _grid(way.field_xywh.width, way.field_xywh.height)
    off = _mapped(found.H_visible_from_infrared, places) - places
    middle = off[len(off) // 2]
    return Measured(
        pairs=len(pairs),
        distance_m=distance_m,
        off_px=float(np.linalg.norm(off, axis=1).mean()),
        shift_px=(float(middle[0]), float(middle[1])),
        uncertainty_px=found.residual_px,
        scene_m=_scene_m(geometry, distance_m, middle),
    )


def _registered(way: Registration, pair: PicturePair) -> tuple[Any, Any]:
    visible, infrared = Image.from_gray(pair.visible.gray), Image.from_gray(pair.infrared.gray)
    return way.cut(visible).planes[0], way.apply(infrared, visible).planes[0]


def _grid(width: int, height: int) -> Floats:
    across, down = (np.linspace(0, side - 1, n) for side, n in zip((width, height), _GRID_WH, strict=True))
    return np.stack(np.meshgrid(across, down), axis=-1).reshape(-1, 2)


def _mapped(matrix: Floats, pixels: Floats) -> Floats:
    moved = np.append(pixels, np.ones_like(pixels[:, :1]), axis=1) @ matrix.T
    return moved[:, :2] / moved[:, 2:]


def _scene_m(geometry: RigGeometry, distance_m: float, shift_px: Floats) -> float | None:
    """The distance whose parallax is this shift; None if it is another direction, or not known."""
    if geometry.lenses is None and len(geometry.planes) < 2:
        return None
    middle = (np.array([geometry.infrared_size_wh]) - 1) / 2
    nudged_m = 1 / (1 / distance_m + _NUDGE_PER_M)
    near, here = (geometry.visible_from_infrared(middle, each)[0] for each in (nudged_m, distance_m))
    slope = (near - here) / _NUDGE_PER_M
    step = float(shift_px @ slope / (slope @ slope))
    across = float(np.linalg.norm(shift_px - step * slope))
    inverse = 1 / distance_m + step
    if inverse <= 0 or not across <= _MOST_ACROSS * float(np.linalg.norm(shift_px)):
        return None
    return 1 / inverse
