"""Ground truth: what can be seen of whom, by drawing everybody's number instead of their looks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from streamfuse.io.synthetic import raster
from streamfuse.io.synthetic.actors import Actor, Appearance
from streamfuse.io.synthetic.arrays import Floats, Ints, Mask
from streamfuse.io.synthetic.backdrop import Street3d, backdrop
from streamfuse.io.synthetic.cameras import Camera

__all__ = ["Surveyor", "TruthObject"]

Box = tuple[float, float, float, float]

_SMALLEST_PX = 12
_LEAST_SHARE = 0.12
"""Objects that show less than this, in pixels or of their own area, are left out."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TruthObject:
    """One object that can be seen."""

    class_name: str
    """``person``, ``bicycle`` or ``car``; a cyclist is a person and a bicycle."""
    actor: Actor
    """Who it is, the same at all times; rider and bicycle are one."""
    box_xyxy: Box
    """Left, top, right, bottom of all of it, hidden parts too, in visible pixels, cut at the image."""
    mask: Mask
    """HxW: the visible pixels that show it."""
    distance_m: float
    """From the cameras, along the ground."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Drawn:
    """One object that was drawn, hidden or not."""

    class_name: str
    actor: Actor
    box_xyxy: Box
    distance_m: float
    area_px: int


class Surveyor:
    """Tells what a camera sees of the actors present."""

    def __init__(self, street: Street3d, camera: Camera) -> None:
        self._camera = camera
        self._still = backdrop(street, camera, supersampling=1).inverse_depth
        self._space = raster.Workspace.for_image(camera.size_wh, 1)

    def survey(self, present: list[Appearance]) -> tuple[TruthObject, ...]:
        """Everything that shows, the farthest first."""
        owners, depth = np.zeros(self._still.shape, np.int32), self._still.copy()
        drawn: list[_Drawn] = []
        for appearance in present:
            self._number(appearance, owners, depth, drawn)
        found = []
        for number, thing in enumerate(drawn, start=1):
            mask = owners == number
            if np.count_nonzero(mask) >= max(_SMALLEST_PX, _LEAST_SHARE * thing.area_px):
                found.append(
                    TruthObject(
                        class_name=thing.class_name,
                        actor=thing.actor,
                        box_xyxy=thing.box_xyxy,
                        mask=mask,
                        distance_m=thing.distance_m,
                    )
                )
        return tuple(found)

    def _number(self, appearance: Appearance, owners: Ints, depth: Floats, drawn: list[_Drawn]) -> None:
        """Draw the number of each part of an actor where it is nearest, and list the parts."""
        mesh, size_wh = appearance.actor.mesh, self._camera.size_wh
        points, window = raster.project(appearance.corners, self._camera.matrix, size_wh)
        left, top, right, bottom = window
        if left >= right or top >= bottom:
            return
        raster.cover(points, mesh.triangles, window, 1, self._space)
        own = self._space.owner[: bottom - top, : right - left]
        near = self._space.inverse_depth[: bottom - top, : right - left]
        behind = depth[top:bottom, left:right]
        shown = (own > 0) & (near >= behind)
        behind[shown] = near[shown]
        part_of = np.where(own > 0, mesh.parts[own - 1], -1)
        for part, name in enumerate(appearance.actor.classes):
            region = part_of == part
            if region.any():
                corners = points[np.unique(mesh.triangles[mesh.parts == part])]
                drawn.append(
                    _Drawn(
                        class_name=name,
                        actor=appearance.actor,
                        box_xyxy=_box(corners, size_wh),
                        distance_m=appearance.distance_m,
                        area_px=int(region.sum()),
                    )
                )
                owners[top:bottom, left:right][shown & region] = len(drawn)


def _box(points: Floats, size_wh: tuple[int, int]) -> Box:
    """Bounds of projected corners as pixel edges, cut at the image."""
    ahead = points[points[:, 2] > 0, :2]
    left, top = np.clip(ahead.min(axis=0), 0, size_wh).tolist()
    right, bottom = np.clip(ahead.max(axis=0) + 1, 0, size_wh).tolist()
    return left, top, right, bottom
