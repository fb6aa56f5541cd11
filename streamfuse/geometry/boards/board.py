"""A calibration board, and what one picture shows of it.

A board lies in its own plane z = 0: x to the right, y down, metres, point 0 at the origin. Ids count row by
row.

Which point is number 0? A ChArUco board and an asymmetric grid with an odd number of rows tell. Other boards
look the same after half a turn (square ones after a quarter), so one picture does not tell. Half a turn swaps
the colours of a chessboard whose columns and rows have an odd sum: point 0 is the one whose outer square is
dark, which a visible picture shows. A thermal one does not, since dark squares may be the warm or the cold
ones; its order is the upright one until :func:`same_order` settles it by the picture of the other camera.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, Literal, cast, get_args

import numpy as np
import numpy.typing as npt

from streamfuse.errors import UsageError

__all__ = ["Board", "BoardKind", "BoardView", "Floats", "Ids", "same_order"]

BoardKind = Literal["chessboard", "circles", "asymmetric-circles", "charuco"]
Floats = npt.NDArray[np.float64]
Ids = npt.NDArray[np.intp]
SizeWH = tuple[int, int]

_METRES: Final = {"mm": 1e-3, "cm": 1e-2, "m": 1.0}
_LENGTH: Final = re.compile(r"(\d+(?:\.\d+)?)(mm|cm|m)")
_GRID: Final = re.compile(r"(\d+)x(\d+)")
_DICTIONARY: Final = re.compile(r"DICT_[4-7]X[4-7]_(50|100|250|1000)")
_MOST: Final = 50
"""More columns or rows than this is a slip of the pen."""
_EXAMPLES: Final = (
    "chessboard:9x6:23.1mm (inner corners, side of a square), circles:7x5:30mm, "
    "asymmetric-circles:4x11:20mm, charuco:7x5:30mm:22mm"
)


@dataclass(frozen=True, kw_only=True)
class Board:
    """A flat pattern with points of known places.

    Raises:
        ValueError: a count, length or dictionary that no board can have.
    """

    kind: BoardKind
    columns: int
    """Of inner corners (chessboard), of circles in a row, of squares (charuco)."""
    rows: int
    """As ``columns``, downwards."""
    spacing_m: float
    """Side of a square, or from circle to circle. In an asymmetric grid, from row to row: circles of one row
    are twice as far apart, and every other row is shifted by one spacing."""
    marker_m: float | None = None
    """Side of the markers of a ChArUco board."""
    dictionary: str = "DICT_5X5_100"
    """OpenCV's name of the markers of a ChArUco board; the first ones are used."""

    def __post_init__(self) -> None:
        least = 3 if self.kind in {"chessboard", "charuco"} else 2
        if not (least <= self.columns <= _MOST and least <= self.rows <= _MOST):
            raise ValueError(
                f"a {self.kind} board has {least} to {_MOST} columns and rows, got {self.columns}x{self.rows}"
            )
        if not (math.isfinite(self.spacing_m) and 1e-4 <= self.spacing_m <= 10):
            raise ValueError(f"the spacing must be between 0.1 mm and 10 m, got {self.spacing_m:g} m")
        if (self.kind == "charuco") != (self.marker_m is not None):
            raise ValueError("a charuco board, and no other, has markers: give the side of square and marker")
        if self.marker_m is not None:
            self._check_markers(self.marker_m)

    def _check_markers(self, marker_m: float) -> None:
        if not 0 < marker_m < self.spacing_m:
            raise ValueError(
                f"a marker must be smaller than its square of {_length(self.spacing_m)}, "
                f"got {_length(marker_m)}"
            )
        known = _DICTIONARY.fullmatch(self.dictionary)
        if known is None:
            raise ValueError(f"markers are called like DICT_5X5_100, got {self.dictionary!r}")
        if self.columns * self.rows // 2 > int(known[1]):
            raise ValueError(
                f"{self.columns}x{self.rows} squares need {self.columns * self.rows // 2} markers, "
                f"{self.dictionary} has {known[1]}"
            )

    @classmethod
    def parse(cls, spec: str) -> Board:
        """The board of a specification such as ``chessboard:9x6:23.1mm``.

        Raises:
            UsageError: it is none.
        """
        kind, *rest = spec.strip().split(":")
        if kind not in get_args(BoardKind):
            raise UsageError(f"{spec!r} is no board; boards are {_EXAMPLES}")
        wanted = (2,) if kind != "charuco" else (3, 4)
        if len(rest) not in wanted:
            raise UsageError(f"{spec!r} has {len(rest)} fields after {kind}; boards are {_EXAMPLES}")
        grid = _GRID.fullmatch(rest[0])
        if grid is None:
            raise UsageError(f"{spec!r}: columns x rows are written like 9x6, got {rest[0]!r}")
        lengths = [_metres(spec, text) for text in rest[1:3]]
        try:
            return cls(
                kind=cast("BoardKind", kind),
                columns=int(grid[1]),
                rows=int(grid[2]),
                spacing_m=lengths[0],
                marker_m=lengths[1] if kind == "charuco" else None,
                **({"dictionary": rest[3]} if len(rest) == 4 else {}),
            )
        except ValueError as error:
            raise UsageError(f"{spec!r}: {error}") from error

    @property
    def spec(self) -> str:
        """What :meth:`parse` reads."""
        words = [self.kind, f"{self.columns}x{self.rows}", _length(self.spacing_m)]
        if self.marker_m is not None:
            words += [_length(self.marker_m), self.dictionary]
        return ":".join(words)

    @property
    def grid_wh(self) -> SizeWH:
        """Columns and rows of points; of a ChArUco board, its inner corners."""
        less = 1 if self.kind == "charuco" else 0
        return self.columns - less, self.rows - less

    @cached_property
    def points(self) -> Floats:
        """Nx3, metres, z = 0, in the order of the ids."""
        columns, rows = self.grid_wh
        y, x = np.mgrid[:rows, :columns].reshape(2, -1).astype(np.float64)
        if self.kind == "asymmetric-circles":
            x = 2 * x + y % 2
        return np.column_stack((x, y, np.zeros_like(x))) * self.spacing_m

    @property
    def ids(self) -> Ids:
        """0 to N-1."""
        return np.arange(len(self.points))

    def swaps_colours(self, order: Ids) -> bool:
        """Whether this order of the points, one of ``turns``, swaps dark and bright of a chessboard."""
        if self.kind != "chessboard":
            return False
        row, column = divmod(int(order[0]), self.columns)
        return (self.columns * (column > 0) + self.rows * (row > 0)) % 2 == 1

    @cached_property
    def turns(self) -> tuple[Ids, ...]:
        """Orders of the points in which the board looks the same but for colours; the first is ``ids``."""
        if self.kind == "charuco":
            return (self.ids,)
        plane = self.points[:, :2] / self.spacing_m
        plane = plane - (plane.min(axis=0) + plane.max(axis=0)) / 2
        found = []
        for quarters in range(4):
            turned = plane @ _quarter_turns(quarters).T
            apart = np.abs(turned[:, None] - plane[None]).sum(axis=2)
            if np.all(apart.min(axis=1) < 1e-6):
                found.append(apart.argmin(axis=1))
        return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoardView:
    """The points of a board that one picture shows.

    Raises:
        ValueError: arrays that do not fit together, numbers that are not finite, ids that the board has not.
    """

    board: Board
    size_wh: SizeWH
    """Of the picture, pixels."""
    ids: Ids
    """(N,), which points of the board."""
    pixels: Floats
    """Nx2 float64, where they are; pixel centres at integers."""
    inverted: bool = False
    """What is dark on the board is bright here; the outer square at point 0 of a chessboard is dark.
    Of a thermal chessboard whose turns swap its colours this is a guess until :func:`same_order`."""
    how: str = ""
    """What found it, in words for a report."""
    sharpness_px: float = math.nan
    """Width of the edges from 10 to 90 %, pixels, as OpenCV measures it; NaN where it does not."""
    contrast: float = math.nan
    """Difference of bright and dark squares (disks and ground) in parts of the range of the picture."""

    def __post_init__(self) -> None:
        if self.pixels.shape != (len(self.ids), 2):
            raise ValueError(f"pixels must be {len(self.ids)}x2 as there are ids, got {self.pixels.shape}")
        if not np.isfinite(self.pixels).all():
            raise ValueError("pixels of a board must be finite")
        if len(self.ids) and not (self.ids.min() >= 0 and self.ids.max() < len(self.board.points)):
            raise ValueError(f"ids must be below {len(self.board.points)}, got {self.ids.max()}")

    @property
    def object_points(self) -> Floats:
        """Nx3, where the points are on the board, metres."""
        return self.board.points[self.ids]

    @property
    def is_whole(self) -> bool:
        """Whether all points of the board were found."""
        return len(self.ids) == len(self.board.points)

    @property
    def roll_rad(self) -> float:
        """How the board is turned in the picture, -pi to pi; 0 where its x axis points to the right.

        The rotation of the similarity that fits best (Umeyama 1991, in the plane).
        """
        plane, pixels = (
            (points - points.mean(axis=0)) @ (1, 1j) for points in (self.object_points[:, :2], self.pixels)
        )
        return float(np.angle(np.vdot(plane, pixels)))

    def turned(self, order: Ids) -> BoardView:
        """The same points by other ids: number k is what was number ``order[k]``; one of ``board.turns``."""
        ids = np.argsort(order)[self.ids]
        rows = np.argsort(ids)
        inverted = self.inverted != self.board.swaps_colours(order)
        return replace(self, ids=ids[rows], pixels=self.pixels[rows], inverted=inverted)

    @property
    def turns(self) -> tuple[BoardView, ...]:
        """This view in all orders that the shape of the board allows."""
        return tuple(self.turned(order) for order in self.board.turns)


def same_order(reference: BoardView, other: BoardView) -> BoardView:
    """The other view with its points in the order of the reference: the same id is the same physical point.

    Of the orders that the board allows, the one that turns the board least between the pictures: the cameras
    of a rig may be rolled against each other by less than 90 degrees (45 for a square board).

    Raises:
        ValueError: the views are of different boards.
    """
    if reference.board != other.board:
        raise ValueError(f"views of {reference.board.spec} and of {other.board.spec}")
    return min(other.turns, key=lambda view: abs(_wrapped(view.roll_rad - reference.roll_rad)))


def _wrapped(angle_rad: float) -> float:
    """Into -pi to pi."""
    return math.remainder(angle_rad, math.tau)


def _quarter_turns(count: int) -> Floats:
    cosine, sine = ((1, 0), (0, 1), (-1, 0), (0, -1))[count]
    return np.array([[cosine, -sine], [sine, cosine]], np.float64)


def _metres(spec: str, text: str) -> float:
    length = _LENGTH.fullmatch(text)
    if length is None:
        raise UsageError(f"{spec!r}: lengths are written like 23.1mm, 2.31cm or 0.0231m, got {text!r}")
    return float(length[1]) * _METRES[length[2]]


def _length(metres: float) -> str:
    return f"{round(metres * 1e3, 6):g}mm"
