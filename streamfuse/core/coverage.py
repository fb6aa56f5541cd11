"""Which poses of a calibration board one camera has seen, and which are missing.

A calibration needs the board in all parts of the picture (the lens bends most at the edges), tilted in both
axes (or the focal length cannot be told from the distance), near and far.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from streamfuse.core.planes import guess_focal, plane_homography

__all__ = ["FIELDS", "MAP_WH", "Coverage", "Need", "Sight"]

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

MAP_WH: Final = 12, 9
"""Cells of the coverage map, across and down."""
FIELDS: Final = (
    ("upper left corner", "top edge", "upper right corner"),
    ("left edge", "middle", "right edge"),
    ("lower left corner", "bottom edge", "lower right corner"),
)
"""Parts of the picture; each has 4x3 cells."""
_FIELD_CELLS: Final = 6
"""Cells of a field that boards must have lain on."""
_TILT_DEG: Final = 14.0
_NEAR, _FAR = 0.42, 0.36
"""Square root of the board's share of the picture."""
_SHOTS: Final = 12
"""Fewer are too few, whatever they show."""
_NEW: Final = 0.2
"""How far a pose must be from all others: in pictures, plus sizes, plus tilts in 60 degrees."""
_LATTICE: Final = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """Something that no shot shows yet."""

    key: str
    words: str
    """What to do with the board, as an order."""


_TILTS: Final = (
    (Need(key="right back", words="turn the right side of the board away from the camera"), (1, 0)),
    (Need(key="left back", words="turn the left side of the board away from the camera"), (-1, 0)),
    (Need(key="bottom back", words="tilt the bottom of the board away from the camera"), (0, 1)),
    (Need(key="top back", words="tilt the top of the board away from the camera"), (0, -1)),
)
_CLOSER: Final = Need(key="near", words="come closer with the board")
_AWAY: Final = Need(key="far", words="go further away with the board")
_MORE: Final = Need(key="more", words="show the board in further poses")
_PLACES: Final = tuple(
    Need(key=name, words=f"move the board to the {name} of the picture") for row in FIELDS for name in row
)
_ALL: Final = len(_PLACES) + len(_TILTS) + 3


@dataclass(frozen=True, kw_only=True, eq=False)
class Sight:
    """The board in one picture.

    Args of :meth:`of` are what a detector gives.
    """

    homography: Floats = field(repr=False)
    """3x3: from the board's plane to the picture, both from their middle; the picture in longer sides."""
    reach: tuple[float, float]
    """Where the board ends to the right and down, in the units of its plane: the larger one is 1."""
    aspect: tuple[float, float]
    """Width and height of the picture in longer sides."""

    @classmethod
    def of(cls, plane: npt.ArrayLike, pixels: npt.ArrayLike, size_wh: tuple[int, int]) -> Sight | None:
        """What four or more points tell; None where they lie on a line.

        Args:
            plane: Nx2, where the points are on the board, any unit; x to the right, y down.
            pixels: Nx2, where they are in the picture.
            size_wh: of the picture.
        """
        on_board, in_picture = np.asarray(plane, np.float64), np.asarray(pixels, np.float64)
        low, high = on_board.min(axis=0), on_board.max(axis=0)
        if len(on_board) < 4 or min(high - low) <= 0:
            return None
        side = max(size_wh)
        half = (high - low) / 2
        unit = (on_board - (low + high) / 2) / half.max()
        seen = (in_picture - (np.array(size_wh) - 1) / 2) / side
        homography = plane_homography(unit, seen)
        if homography is None:
            return None
        across, down = (half / half.max()).tolist()
        aspect = (size_wh[0] / side, size_wh[1] / side)
        return cls(homography=homography, reach=(across, down), aspect=aspect)

    @cached_property
    def corners(self) -> Floats:
        """4x2: upper left, upper right, lower right and lower left end of the board, 0..1 across and down."""
        return self._shown(np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]]))

    @cached_property
    def centre(self) -> Floats:
        """Of the board: across and down, 0..1."""
        return self._shown(np.zeros((1, 2))).ravel()

    @cached_property
    def size(self) -> float:
        """Square root of the share of the picture that lies between the outer points."""
        x, y = self.corners.T
        return math.sqrt(abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2)

    @cached_property
    def cells(self) -> Mask:
        """Rows x columns of the coverage map: where the board lies."""
        steps = np.linspace(-1.0, 1.0, _LATTICE)
        places = self._shown(np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2))
        x, y = np.floor(places * MAP_WH).astype(int).T
        inside = (x >= 0) & (x < MAP_WH[0]) & (y >= 0) & (y < MAP_WH[1])
        cells = np.zeros(MAP_WH[::-1], np.bool_)
        cells[y[inside], x[inside]] = True
        return cells

    def tilt_deg(self, focal: float) -> tuple[float, float]:
        """How far the right side and the bottom are turned back, for a focal length in longer sides."""
        right, down = (self.homography / [[focal], [focal], [1.0]])[:, :2].T
        x, y, z = np.cross(right / np.linalg.norm(right), down / np.linalg.norm(down)).tolist()
        return math.degrees(math.atan2(-x, z)), math.degrees(math.atan2(-y, z))

    def _shown(self, places: Floats) -> Floats:
        """Shares of the picture for places on the board, -1 to 1 across and down."""
        homogeneous = np.column_stack((places * self.reach, np.ones(len(places)))) @ self.homography.T
        shares = homogeneous[:, :2] / homogeneous[:, 2:] / self.aspect + 0.5
        return np.asarray(shares, np.float64)


class Coverage:
    """What the shots of one camera cover; pure bookkeeping."""

    def __init__(self) -> None:
        self._sights: list[Sight] = []
        self._map = np.zeros(MAP_WH[::-1], np.int64)

    @property
    def shots(self) -> int:
        """How many were taken."""
        return len(self._sights)

    @property
    def cells(self) -> npt.NDArray[np.int64]:
        """Rows x columns: how many shots show the board there."""
        return self._map.copy()

    @property
    def focal(self) -> float:
        """Guess of the focal length in longer sides of the picture, from the shots."""
        return guess_focal(sight.homography for sight in self._sights)

    def take(self, sight: Sight) -> None:
        """A shot was taken."""
        self._sights.append(sight)
        self._map += sight.cells

    def undo(self) -> None:
        """The last shot was thrown away."""
        self._map -= self._sights.pop().cells

    def is_new(self, sight: Sight) -> bool:
        """Whether no shot shows nearly this pose."""
        focal = self.focal
        return all(_distance(sight, other, focal) > _NEW for other in self._sights)

    @property
    def needs(self) -> tuple[Need, ...]:
        """What is missing, what should come first in front."""
        focal = self.focal
        tilts = np.array([sight.tilt_deg(focal) for sight in self._sights]).reshape(-1, 2)
        sizes = [sight.size for sight in self._sights]
        missing = [need for need, cells in zip(_PLACES, self._filled, strict=True) if cells < _FIELD_CELLS]
        missing += [need for need, way in _TILTS if not (tilts @ way > _TILT_DEG).any()]
        if max(sizes, default=0.0) < _NEAR:
            missing.append(_CLOSER)
        if min(sizes, default=1.0) > _FAR:
            missing.append(_AWAY)
        if len(self._sights) < _SHOTS:
            missing.append(_MORE)
        return tuple(missing)

    @property
    def progress(self) -> float:
        """0..1: how much of what is needed is there."""
        keys = {need.key for need in self.needs}
        partly = [
            min(1.0, cells / _FIELD_CELLS)
            for need, cells in zip(_PLACES, self._filled, strict=True)
            if need.key in keys
        ]
        if _MORE.key in keys:
            partly.append(len(self._sights) / _SHOTS)
        return (_ALL - len(keys) + sum(partly)) / _ALL

    @property
    def _filled(self) -> tuple[int, ...]:
        """Cells of each field with a board on them."""
        across, down = MAP_WH[0] // 3, MAP_WH[1] // 3
        fields = (self._map > 0).reshape(3, down, 3, across).sum(axis=(1, 3))
        return tuple(fields.ravel().tolist())


def _distance(one: Sight, other: Sight, focal: float) -> float:
    tilts = np.subtract(one.tilt_deg(focal), other.tilt_deg(focal))
    moved = np.abs(one.centre - other.centre).sum() + abs(one.size - other.size)
    return float(moved + np.abs(tilts).sum() / 60)
