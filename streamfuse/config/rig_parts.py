"""The blocks of a rig file: cameras, their pose, planes, and how each of them was found."""

from __future__ import annotations

import math
from typing import Annotated, Any, Final, Literal

import numpy as np
from pydantic import BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from streamfuse.config.fields import Block, expected

__all__ = [
    "CameraConfig",
    "DenseConfig",
    "Intrinsics",
    "MadeBy",
    "Matrix3",
    "PictureNote",
    "PlaneConfig",
    "PoseConfig",
    "ResidualMap",
    "SizeWH",
]

SizeWH = tuple[int, int]
Vector3 = tuple[float, float, float]
Matrix3 = tuple[Vector3, Vector3, Vector3]
Grid = tuple[tuple[float, ...], ...]

_MAX_CONDITION: Final = 1e12
"""Beyond this a 3x3 matrix of float64 has no inverse worth the name; real rigs stay below 1e8."""
_COEFFICIENTS: Final = {"pinhole": (0, 4, 5, 8, 12, 14), "fisheye": (0, 4)}
"""How many distortion coefficients each lens model takes."""
_MAX_NODES: Final = 10_000
"""Of a smooth correction: 16 pixels apart in 1920x1080. More would make a file that takes seconds to read."""
_HALF_TURN: Final = math.pi + 1e-6


def _numbers(value: Any, count: int) -> bool:
    return (
        isinstance(value, tuple | list)
        and len(value) == count
        and all(isinstance(number, int | float) and abs(number) < 1e100 for number in value)
        and not any(isinstance(number, bool) for number in value)
    )


def _size(value: Any) -> Any:
    if not _numbers(value, 2) or not all(type(side) is int and 1 <= side <= 65_535 for side in value):
        raise expected("[width, height] in pixels")
    return tuple(value)


def _vector(value: Any) -> Any:
    if not _numbers(value, 3):
        raise expected("three finite numbers")
    return tuple(map(float, value))


def _rotation(value: Any) -> Any:
    vector = _vector(value)
    if math.hypot(*vector) > _HALF_TURN:
        raise expected("a rotation of at most half a turn, in radians")
    return vector


def _matrix(value: Any) -> Any:
    rows = value if isinstance(value, tuple | list) else ()
    if len(rows) != 3 or not all(_numbers(row, 3) for row in rows):
        raise expected("three rows of three finite numbers")
    matrix = np.array(rows, dtype=np.float64)
    if np.linalg.cond(matrix) > _MAX_CONDITION:
        raise expected("a matrix that can be inverted")
    return tuple(tuple(map(float, row)) for row in rows)


def _grid(value: Any) -> Any:
    rows = value if isinstance(value, tuple | list) else ()
    columns = len(rows[0]) if rows and isinstance(rows[0], tuple | list) else 0
    if columns == 0 or not all(_numbers(row, columns) for row in rows):
        raise expected("rows of finite numbers, equally many in each")
    return tuple(tuple(map(float, row)) for row in rows)


def _distance(value: Any) -> Any:
    return math.inf if value == "inf" else value


class PictureNote(Block):
    """How a picture of a board, or a pair of pictures, fits to what was found from all of them."""

    name: str
    corners: Annotated[int, Field(ge=0)] | None = None
    """That were found."""
    rms_px: Annotated[float, Field(ge=0)] | None = None
    """Root of the mean squared distance of the corners that were used; of all, if the picture was not."""
    worst_px: Annotated[float, Field(ge=0)] | None = None
    """The largest of these distances."""
    visible_rms_px: Annotated[float, Field(ge=0)] | None = None
    """Of a pair, as ``rms_px``, with the board placed by both pictures together."""
    infrared_rms_px: Annotated[float, Field(ge=0)] | None = None
    held_out_px: Annotated[float, Field(ge=0)] | None = None
    """Of a pair, the RMS in visible pixels when the other pairs alone say where its corners are."""


class ResidualMap(Block):
    """Where in the picture corners are off, and to where: means over the cells of a grid.

    Rows of cells from the top, of equal size, that cover the whole picture.
    """

    corners: tuple[tuple[Annotated[int, Field(ge=0)], ...], ...]
    """How many were used in a cell; the other grids are 0 where it is none."""
    dx_px: Annotated[Grid, BeforeValidator(_grid)]
    """Mean of found minus expected, along x."""
    dy_px: Annotated[Grid, BeforeValidator(_grid)]

    @model_validator(mode="after")
    def _equal_grids(self) -> ResidualMap:
        shapes = {tuple(map(len, grid)) for grid in (self.corners, self.dx_px, self.dy_px)}
        if len(shapes) > 1:
            raise expected("corners, dx_px and dy_px with equally many rows and columns")
        return self


class MadeBy(Block):
    """How something was found. All keys are optional, and others may stand beside them as free notes."""

    model_config = ConfigDict(extra="allow")

    tool: str | None = None
    """Program that found it."""
    version: str | None = None
    """Of the program."""
    date: str | None = None
    """When, as ISO 8601."""
    command: str | None = None
    """The command line."""
    board: str | None = None
    """Board that was seen, such as ``chessboard:9x6:23.1mm``."""
    images_used: tuple[str, ...] = ()
    """Names of the pictures it rests on."""
    images_left_out: dict[str, str] = Field(default_factory=dict)
    """Pictures that were looked at and not used, each with the reason."""
    residuals: dict[str, float] = Field(default_factory=dict)
    """What is left between what was measured and what is said here, such as ``rms_px``."""
    uncertainty: dict[str, float] = Field(default_factory=dict)
    """Standard deviations by parameter, in the unit of the parameter."""
    coverage: Annotated[float, Field(ge=0, le=1)] | None = None
    """Part of the picture in which corners were used."""
    pictures: tuple[PictureNote, ...] = ()
    """Of all in which a board was found, a row each."""
    residual_map: ResidualMap | None = None


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
    distortion: tuple[float, ...] = ()
    """Coefficients in OpenCV's order; none for an ideal lens."""

    @field_validator("distortion")
    @classmethod
    def _fits_the_model(cls, value: tuple[float, ...], info: ValidationInfo) -> tuple[float, ...]:
        model = info.data.get("model")
        if model is not None and len(value) not in _COEFFICIENTS[model]:
            *few, most = _COEFFICIENTS[model]
            raise expected(f"{', '.join(map(str, few))} or {most} coefficients of a {model} lens")
        return value


class CameraConfig(Block):
    """One camera."""

    size_wh: Annotated[SizeWH, BeforeValidator(_size)]
    """Width and height in pixels of the images the calibration was made with."""
    intrinsics: Intrinsics | None = None
    made_by: MadeBy | None = None
    """Where the intrinsics are from."""

    @field_validator("intrinsics")
    @classmethod
    def _centre_is_near(cls, value: Intrinsics | None, info: ValidationInfo) -> Intrinsics | None:
        size_wh = info.data.get("size_wh")
        if value is None or size_wh is None:  # a wrong size is reported itself
            return value
        if not all(-side <= c <= 2 * side for c, side in zip((value.cx, value.cy), size_wh, strict=True)):
            raise expected("cx and cy in the picture, or at most its size beside it: pixels of size_wh")
        return value


class PoseConfig(Block):
    """Rigid motion that takes infrared camera coordinates to visible ones."""

    rotation_vector: Annotated[Vector3, BeforeValidator(_rotation)]
    """Axis times angle in radians, at most half a turn."""
    translation_m: Annotated[Vector3, BeforeValidator(_vector)]
    """Metres."""
    made_by: MadeBy | None = None


class DenseConfig(Block):
    """A smooth correction on top of a homography H.

    The visible pixel p shows the infrared pixel ``H^-1(p + d(p))``; d is bilinear between nodes that lie at
    0, ``step_px``, 2 ``step_px``, … in both directions until the visible image is covered.
    """

    step_px: Annotated[int, Field(ge=2)]
    """Between two nodes, in visible pixels."""
    dx_px: Annotated[Grid, BeforeValidator(_grid)]
    """x of d at the nodes, a row of numbers for each row of nodes; visible pixels."""
    dy_px: Annotated[Grid, BeforeValidator(_grid)]
    """y of d, likewise."""

    @model_validator(mode="after")
    def _equal_grids(self) -> DenseConfig:
        if _shape(self.dx_px) != _shape(self.dy_px):
            raise expected("dx_px and dy_px with equally many rows and columns")
        if math.prod(self.shape) > _MAX_NODES:
            raise expected(f"at most {_MAX_NODES} nodes, by a larger step_px")
        return self

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of nodes."""
        return _shape(self.dx_px)

    def shape_for(self, visible_size_wh: SizeWH) -> tuple[int, int]:
        """Rows and columns that it takes to cover an image."""
        width, height = visible_size_wh
        return -(-(height - 1) // self.step_px) + 1, -(-(width - 1) // self.step_px) + 1


class PlaneConfig(Block):
    """The registration that is exact for objects at one distance."""

    distance_m: Annotated[float, Field(gt=0, allow_inf_nan=True), BeforeValidator(_distance)]
    """Metres from the rig; ``inf`` for far away."""
    H_visible_from_infrared: Annotated[Matrix3, BeforeValidator(_matrix)]
    """3x3 homography, infrared pixels to visible pixels."""
    dense: DenseConfig | None = None
    """What the homography leaves, where that was measured."""
    made_by: MadeBy | None = None


def _shape(grid: Grid) -> tuple[int, int]:
    return len(grid), len(grid[0])
