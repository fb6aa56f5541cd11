"""The rig file: both cameras with their calibration, as ``streamfuse calibrate`` writes it.

Pixels are those of the sizes given, with pixel centres at integers; a matrix ``H_visible_from_infrared``
maps homogeneous infrared pixels (x, y, 1) to visible ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BeforeValidator, Field

from streamfuse.config.fields import Block, expected
from streamfuse.config.validate import validate
from streamfuse.config.yamldoc import load_yaml

__all__ = ["CameraConfig", "Intrinsics", "PlaneConfig", "Pose", "Rig", "RigConfig", "load_rig"]

Vector3 = tuple[float, float, float]
Matrix3 = tuple[Vector3, Vector3, Vector3]

_MAX_CONDITION = 1e12
"""Beyond this a 3x3 matrix of float64 has no inverse worth the name; real rigs stay below 1e8."""


def _numbers(value: Any, count: int) -> bool:
    return (
        isinstance(value, tuple | list)
        and len(value) == count
        and all(type(number) in {int, float} and abs(number) < 1e100 for number in value)
    )


def _size(value: Any) -> Any:
    if not _numbers(value, 2) or not all(type(side) is int and 1 <= side <= 65_535 for side in value):
        raise expected("[width, height] in pixels")
    return tuple(value)


def _vector(value: Any) -> Any:
    if not _numbers(value, 3):
        raise expected("three finite numbers")
    return tuple(map(float, value))


def _matrix(value: Any) -> Any:
    rows = value if isinstance(value, tuple | list) else ()
    if len(rows) != 3 or not all(_numbers(row, 3) for row in rows):
        raise expected("three rows of three finite numbers")
    matrix = np.array(rows, dtype=np.float64)
    if np.linalg.cond(matrix) > _MAX_CONDITION:
        raise expected("a matrix that can be inverted")
    return tuple(tuple(map(float, row)) for row in rows)


def _distance(value: Any) -> Any:
    return math.inf if value == "inf" else value


class Intrinsics(Block):
    """How a camera maps directions to pixels."""

    model: Literal["pinhole", "fisheye"]
    """``pinhole``: distortion k1, k2, p1, p2, k3, …; ``fisheye``: k1 to k4 of the equidistant model."""
    fx: Annotated[float, Field(gt=0)]
    """Focal length in pixels along x."""
    fy: Annotated[float, Field(gt=0)]
    """Focal length in pixels along y."""
    cx: float
    """Principal point in pixels."""
    cy: float
    """Principal point in pixels."""
    distortion: Annotated[tuple[float, ...], Field(max_length=14)] = ()
    """Coefficients in OpenCV's order; none for an ideal lens."""


class CameraConfig(Block):
    """One camera."""

    size_wh: Annotated[tuple[int, int], BeforeValidator(_size)]
    """Width and height in pixels of the images the calibration was made with."""
    intrinsics: Intrinsics | None = None


class Pose(Block):
    """Rigid motion that takes infrared camera coordinates to visible ones."""

    rotation_vector: Annotated[Vector3, BeforeValidator(_vector)]
    """Axis times angle in radians."""
    translation_m: Annotated[Vector3, BeforeValidator(_vector)]
    """Metres."""


class PlaneConfig(Block):
    """The registration that is exact for objects at one distance."""

    distance_m: Annotated[float, Field(gt=0, allow_inf_nan=True), BeforeValidator(_distance)]
    """Metres from the rig; ``inf`` for far away."""
    H_visible_from_infrared: Annotated[Matrix3, BeforeValidator(_matrix)]
    """3x3 homography, infrared pixels to visible pixels."""


class RigConfig(Block):
    """A whole rig file."""

    visible: CameraConfig
    infrared: CameraConfig
    T_visible_from_infrared: Pose | None = None
    planes: Annotated[tuple[PlaneConfig, ...], Field(min_length=1)]
    """The first is the one used where the distance is not known."""
    time_offset_ms: float = 0.0
    """Milliseconds added to the infrared capture times; the pipeline's ``sync.offset_ms`` comes on top."""
    residual_px: Annotated[float, Field(ge=0)] | None = None
    """What registration error the calibration measured, in visible pixels."""
    confidence: Annotated[float, Field(ge=0, le=1)] | None = None
    """How sure the calibration is of itself, 0 to 1."""
    made_by: dict[str, Any] = Field(default_factory=dict)
    """Free notes: tool, version, date, images."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rig:
    """What the pipeline needs of a rig."""

    H_visible_from_infrared: npt.NDArray[np.float64]
    """3x3, read-only: infrared pixels to visible pixels, pixel centres at integers."""
    visible_size_wh: tuple[int, int] | None
    """Size the matrix is made for; None: any (identity)."""
    infrared_size_wh: tuple[int, int] | None
    time_offset_ms: float = 0.0
    """Milliseconds added to the infrared capture times."""
    config: RigConfig | None = None
    """The whole file; None for the identity."""

    @property
    def is_identity(self) -> bool:
        """Whether the streams are already registered."""
        return self.config is None


def load_rig(rig: str | Path) -> Rig:
    """Read a rig file, or make the rig of registered streams from the word ``identity``.

    Raises:
        ConfigError: all mistakes in the file, one line each.
    """
    if rig == "identity":
        return Rig(H_visible_from_infrared=_frozen(np.eye(3)), visible_size_wh=None, infrared_size_wh=None)
    config = validate(RigConfig, load_yaml(rig))
    return Rig(
        H_visible_from_infrared=_frozen(np.array(config.planes[0].H_visible_from_infrared)),
        visible_size_wh=config.visible.size_wh,
        infrared_size_wh=config.infrared.size_wh,
        time_offset_ms=config.time_offset_ms,
        config=config,
    )


def _frozen(matrix: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    matrix.flags.writeable = False
    return matrix
