"""Rigid motions: where one camera stands, seen from another."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["Pose"]

Floats = npt.NDArray[np.float64]
Vector3 = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pose:
    """``T_a_from_b``: takes coordinates of frame b to frame a, ``x_a = rotation @ x_b + translation``.

    Raises:
        ValueError: numbers that are not finite.
    """

    rotation_vector: Vector3 = (0.0, 0.0, 0.0)
    """Axis times angle in radians."""
    translation_m: Vector3 = (0.0, 0.0, 0.0)
    """Origin of b in frame a, metres."""

    def __post_init__(self) -> None:
        if not np.isfinite((*self.rotation_vector, *self.translation_m)).all():
            raise ValueError(f"a pose must be finite, got {self.rotation_vector}, {self.translation_m}")

    @classmethod
    def from_matrix(cls, rotation: npt.ArrayLike, translation_m: npt.ArrayLike) -> Pose:
        """From a 3x3 rotation and three metres."""
        vector, _ = cv2.Rodrigues(np.asarray(rotation, np.float64))
        x, y, z = np.asarray(translation_m, np.float64).ravel().tolist()
        return cls(rotation_vector=_three(vector), translation_m=(x, y, z))

    @property
    def rotation(self) -> Floats:
        """3x3."""
        return np.asarray(cv2.Rodrigues(np.array(self.rotation_vector))[0], np.float64)

    @property
    def translation(self) -> Floats:
        """Three metres."""
        return np.array(self.translation_m)

    @property
    def angle_deg(self) -> float:
        """How far it turns."""
        return math.degrees(float(np.linalg.norm(self.rotation_vector)))

    @property
    def distance_m(self) -> float:
        """How far apart the origins are: the baseline of two cameras."""
        return float(np.linalg.norm(self.translation_m))

    def apply(self, points: npt.ArrayLike) -> Floats:
        """Points of b (Nx3, metres) in frame a."""
        moved: Floats = np.asarray(points, np.float64) @ self.rotation.T + self.translation
        return moved

    @property
    def inverse(self) -> Pose:
        """``T_b_from_a``."""
        back = self.rotation.T
        return Pose.from_matrix(back, -back @ self.translation)

    def __matmul__(self, other: Pose) -> Pose:
        """``T_a_from_c`` of ``T_a_from_b @ T_b_from_c``."""
        return Pose.from_matrix(self.rotation @ other.rotation, self.apply(other.translation[None])[0])


def _three(values: npt.ArrayLike) -> Vector3:
    x, y, z = np.asarray(values, np.float64).ravel().tolist()
    return x, y, z
