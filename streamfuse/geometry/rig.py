"""Where a visible pixel lies in the infrared image, and back, for objects at a distance.

An object at ``distance_m`` stands for the plane z = distance_m, parallel to the visible sensor. With both
lenses and the pose known, pixels go through the whole model, and the planes of the rig file correct it by
what they differ from the model's own planes. Without a model, the planes are all there is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final, Self, TypeVar

import numpy as np
import numpy.typing as npt

from streamfuse.config.rig import Rig, RigConfig
from streamfuse.errors import UsageError
from streamfuse.geometry.camera import Camera
from streamfuse.geometry.field import Field, field_of
from streamfuse.geometry.lenses import Lenses, plane_homography, within
from streamfuse.geometry.passage import Passage, full_grid, nodes
from streamfuse.geometry.planes import Dense, Plane, between
from streamfuse.geometry.pose import Pose
from streamfuse.geometry.rig_config import camera_config, camera_of, pose_config, pose_of

__all__ = [
    "Dense",
    "Passage",
    "Plane",
    "RigGeometry",
    "camera_config",
    "camera_of",
    "common_field",
    "full_grid",
    "parallax_px",
    "plane_homography",
    "pose_config",
    "pose_of",
]

Floats = npt.NDArray[np.float64]
SizeWH = tuple[int, int]
NumberT = TypeVar("NumberT", float, Floats)

_MODEL_PX: Final = 8
"""How far apart a smooth correction is held against the model."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RigGeometry:
    """Both cameras of a rig, and how they see the same scene.

    Raises:
        UsageError: nothing tells how one image lies on the other.
    """

    visible_size_wh: SizeWH
    infrared_size_wh: SizeWH
    visible: Camera | None = None
    infrared: Camera | None = None
    T_visible_from_infrared: Pose | None = None
    planes: tuple[Plane, ...] = ()

    def __post_init__(self) -> None:
        if self.lenses is None and not self.planes:
            raise UsageError(
                "rig: neither planes nor both lenses with their pose are known; run `streamfuse calibrate "
                "align`"
            )

    @classmethod
    def of(cls, rig: Rig | RigConfig) -> Self:
        """From a rig file.

        Raises:
            UsageError: it is the identity, which has no size, or it lacks sizes or a registration.
        """
        config = rig.config if isinstance(rig, Rig) else rig
        if config is None or config.visible is None or config.infrared is None:
            raise UsageError("rig: sizes of both cameras are needed; run `streamfuse calibrate align`")
        return cls(
            visible_size_wh=config.visible.size_wh,
            infrared_size_wh=config.infrared.size_wh,
            visible=camera_of(config.visible),
            infrared=camera_of(config.infrared),
            T_visible_from_infrared=pose_of(config.T_visible_from_infrared),
            planes=tuple(map(Plane.of, config.planes)),
        )

    @property
    def lenses(self) -> Lenses | None:
        """The whole model, where it is known."""
        if self.visible is None or self.infrared is None or self.T_visible_from_infrared is None:
            return None
        return Lenses(
            visible=self.visible,
            infrared=self.infrared,
            T_visible_from_infrared=self.T_visible_from_infrared,
        )

    @property
    def usual_distance_m(self) -> float:
        """Of the first plane; ``inf`` without planes."""
        return self.planes[0].distance_m if self.planes else math.inf

    def at(self, distance_m: float | None = None) -> Passage:
        """The way between the images for objects at a distance; None: at :attr:`usual_distance_m`.

        Raises:
            UsageError: the distance is not positive.
            CalibrationError: the cameras have nothing in common there.
        """
        distance_m = self.usual_distance_m if distance_m is None else distance_m
        if not distance_m > 0:
            raise UsageError(f"a distance must be more than 0 m, or inf, got {distance_m:g}")
        lenses = self.lenses
        if lenses is None:
            plane = between(self.planes, distance_m, middle=_middle(self.infrared_size_wh))
        elif self.planes:
            corrections = [_beyond_model(plane, lenses) for plane in self.planes]
            plane = between(corrections, distance_m, middle=_middle(self.visible_size_wh))
        else:
            plane = Plane(distance_m=distance_m, H=np.eye(3))
        return Passage(lenses=lenses, plane=plane)

    def infrared_from_visible(self, pixels: npt.ArrayLike, distance_m: float | None = None) -> Floats:
        """See :meth:`Passage.infrared_from_visible`."""
        return self.at(distance_m).infrared_from_visible(pixels)

    def visible_from_infrared(self, pixels: npt.ArrayLike, distance_m: float | None = None) -> Floats:
        """See :meth:`Passage.visible_from_infrared`."""
        return self.at(distance_m).visible_from_infrared(pixels)

    def corrected(self, correction: npt.ArrayLike) -> Self:
        """The rig after a bump: what it puts at visible pixel p is seen at ``correction`` (3x3) times p.

        Smooth corrections stay where they are in the image: bumps are small against their waves.
        """
        moved = np.asarray(correction, np.float64)
        distance_m = self.usual_distance_m
        planes = self.planes or (Plane(distance_m=distance_m, H=self.at(distance_m).H_visible_from_infrared),)
        return replace(self, planes=tuple(replace(plane, H=moved @ plane.H) for plane in planes))


def common_field(rig: RigGeometry, distance_m: float | None = None) -> Field:
    """The largest upright rectangle of visible pixels that both cameras see, for objects at a distance.

    Its corner and sides are even numbers, so that video can be cut to it.

    Raises:
        UsageError: there is none.
    """
    seen = within(full_grid(rig.at(distance_m), rig.visible_size_wh), rig.infrared_size_wh)
    return field_of(seen)


def parallax_px(
    distance_m: NumberT, *, plane_distance_m: float, baseline_m: float, focal_px: float
) -> NumberT:
    """How far registration is off for an object that is not at the distance of the plane.

    ``f b |1/Z - 1/Z_plane|``: the difference of two disparities ``f b / Z`` (Szeliski: Computer Vision, 2nd
    edition, eq. 12.1). Exact for cameras side by side, in the middle of the picture.

    Args:
        distance_m: of the object, one or an array; more than 0.
        plane_distance_m: of the plane; ``inf`` for far away.
        baseline_m: between the cameras, across their line of sight.
        focal_px: focal length of the visible camera.

    Returns:
        Visible pixels.
    """
    return focal_px * baseline_m * abs(1.0 / distance_m - 1.0 / plane_distance_m)


def _beyond_model(plane: Plane, lenses: Lenses) -> Plane:
    """What a plane of the file adds to the model's own plane at that distance.

    Its matrix is compared with the best one of the model, as both leave out how lenses bend. A smooth
    correction was measured with that in it, and so is held against the model pixel by pixel.
    """
    if not plane.dense:
        return replace(plane, H=plane.H @ np.linalg.inv(lenses.homography(plane.distance_m)))
    pixels = nodes(lenses.visible.size_wh, _MODEL_PX)
    shown = lenses.visible_from_infrared(plane.back(pixels.reshape(-1, 2)), plane.distance_m)
    dense = Dense(step_px=_MODEL_PX, offsets_px=shown.reshape(pixels.shape) - pixels)
    return replace(plane, H=np.eye(3), dense=((1.0, dense),))


def _middle(size_wh: SizeWH) -> tuple[float, float]:
    return (size_wh[0] - 1) / 2, (size_wh[1] - 1) / 2
