"""For which distances a plane of registration will do: what parallax leaves of it elsewhere."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from streamfuse.config.rig import RigConfig
from streamfuse.geometry.rig import parallax_px

__all__ = ["LIMITS_PX", "Parallax", "parallaxes_of"]

LIMITS_PX: Final = (2.0, 5.0)
"""Objects that lie so far from themselves fuse to a sharp one, and to one that is still seen as one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parallax:
    """The registration error of objects that are not at the distance of the plane."""

    baseline_m: float
    focal_px: float
    """Of the visible camera."""
    plane_distance_m: float

    def range_m(self, limit_px: float) -> tuple[float, float]:
        """Nearest and farthest distance with at most this error, of ``f b |1/Z - 1/Z_plane|``."""
        bend = limit_px / (self.focal_px * self.baseline_m)
        inverse = 1.0 / self.plane_distance_m
        return 1.0 / (inverse + bend), 1.0 / (inverse - bend) if inverse > bend else math.inf

    def error_px(self, distance_m: float) -> float:
        """Visible pixels."""
        return parallax_px(
            distance_m,
            plane_distance_m=self.plane_distance_m,
            baseline_m=self.baseline_m,
            focal_px=self.focal_px,
        )


def parallaxes_of(rig: RigConfig, *, baseline_m: float | None = None) -> tuple[Parallax, ...]:
    """Of each plane, the usual one first; none where baseline or focal length are not known.

    Args:
        rig: without planes, one far away stands for those that its lenses and pose can make.
        baseline_m: between the cameras, where the rig has no pose.
    """
    pose = rig.T_visible_from_infrared
    if pose is not None:
        baseline_m = math.hypot(*pose.translation_m)
    lens = None if rig.visible is None else rig.visible.intrinsics
    if not baseline_m or lens is None:
        return ()
    distances = [plane.distance_m for plane in rig.planes] or [math.inf]
    focal_px = math.sqrt(lens.fx * lens.fy)
    return tuple(
        Parallax(baseline_m=baseline_m, focal_px=focal_px, plane_distance_m=each) for each in distances
    )
