"""What is printed on a synthetic calibration board, in metres of the board's own plane.

x to the right, y down, point 0 at the origin, ids row by row: as the boards of ``streamfuse calibrate``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from streamfuse.io.synthetic.arrays import Doubles

__all__ = ["BoardPattern"]

_SPEC: Final = re.compile(
    r"(?P<kind>chessboard|circles|asymmetric-circles|charuco):(?P<columns>\d{1,2})x(?P<rows>\d{1,2})"
    r":(?P<spacing>\d+(?:\.\d+)?)mm(?::(?P<marker>\d+(?:\.\d+)?)mm(?::(?P<dictionary>DICT_\w+))?)?"
)
_EXAMPLES: Final = (
    "chessboard:9x6:23.1mm, circles:7x5:30mm, asymmetric-circles:4x11:20mm or charuco:7x5:30mm:22mm"
)
_DOT: Final = 0.3
"""Radius of a circle in spacings."""
_EDGE: Final = 1.0
"""White around the pattern, in spacings."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoardPattern:
    """A flat board: a grid of dark and light cells with markers, or dark dots on white."""

    points_m: Doubles
    """Nx3, z = 0: what a detector finds."""
    cells: NDArray[np.uint8]
    """Rows x columns, 1 is light; the cell that ends at point 0 is ``[0, 0]``. Empty: there are dots."""
    markers: NDArray[np.uint8]
    """M x n x n modules of the markers, 1 is light."""
    marker_of: NDArray[np.int32]
    """As ``cells``: which marker lies in a cell, -1: none."""
    spacing_m: float
    marker_m: float
    dots: tuple[int, int, int]
    """Dots in a row, rows of dots, and 1 where every other row is shifted by a spacing."""

    @classmethod
    def parse(cls, spec: str) -> BoardPattern:
        """The pattern of ``chessboard:9x6:23.1mm`` and the like.

        Raises:
            ValueError: it is no board.
        """
        match = _SPEC.fullmatch(spec)
        if match is None or (match["kind"] == "charuco") != (match["marker"] is not None):
            raise ValueError(f"board must be like {_EXAMPLES}, got {spec!r}")
        columns, rows = int(match["columns"]), int(match["rows"])
        if min(columns, rows) < 3:
            raise ValueError(f"board must have 3 columns and rows or more, got {columns}x{rows}")
        spacing_m = float(match["spacing"]) / 1e3
        if match["kind"] == "chessboard":
            return cls._squares((columns + 1, rows + 1), spacing_m)
        if match["kind"] == "charuco":
            markers = _markers(match["dictionary"] or "DICT_5X5_100", columns * rows // 2)
            return cls._squares((columns, rows), spacing_m, markers, float(match["marker"]) / 1e3)
        return cls._dots((columns, rows), spacing_m, shifted=match["kind"] == "asymmetric-circles")

    @classmethod
    def _squares(
        cls,
        squares_wh: tuple[int, int],
        spacing_m: float,
        markers: NDArray[np.uint8] | None = None,
        marker_m: float = 0.0,
    ) -> BoardPattern:
        columns, rows = squares_wh
        y, x = np.mgrid[:rows, :columns]
        cells = ((x + y) % 2).astype(np.uint8)  # the upper left one is dark
        marker_of = np.full(cells.shape, -1, np.int32)
        if markers is not None:
            marker_of[cells == 1] = np.arange(cells.sum())
        return cls(
            points_m=_lattice(columns - 1, rows - 1) * spacing_m,
            cells=cells,
            markers=np.zeros((0, 1, 1), np.uint8) if markers is None else markers,
            marker_of=marker_of,
            spacing_m=spacing_m,
            marker_m=marker_m,
            dots=(0, 0, 0),
        )

    @classmethod
    def _dots(cls, dots_wh: tuple[int, int], spacing_m: float, *, shifted: bool) -> BoardPattern:
        points = _lattice(*dots_wh)
        if shifted:
            points[:, 0] = 2 * points[:, 0] + points[:, 1] % 2
        return cls(
            points_m=points * spacing_m,
            cells=np.zeros((0, 0), np.uint8),
            markers=np.zeros((0, 1, 1), np.uint8),
            marker_of=np.zeros((0, 0), np.int32),
            spacing_m=spacing_m,
            marker_m=0.0,
            dots=(*dots_wh, int(shifted)),
        )

    @property
    def dot_radius_m(self) -> float:
        """Of each dot."""
        return _DOT * self.spacing_m

    @property
    def bounds_m(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom edge of the board."""
        reach = self.spacing_m * (_EDGE + (1.0 if self.cells.size else _DOT))
        (left, top, _), (right, bottom, _) = self.points_m.min(axis=0), self.points_m.max(axis=0)
        return float(left - reach), float(top - reach), float(right + reach), float(bottom + reach)


def _lattice(columns: int, rows: int) -> Doubles:
    y, x = np.mgrid[:rows, :columns].reshape(2, -1).astype(np.float64)
    return np.column_stack((x, y, np.zeros_like(x)))


def _markers(name: str, count: int) -> NDArray[np.uint8]:
    """The first markers of one of OpenCV's dictionaries, with their dark border."""
    number = vars(cv2.aruco).get(name)
    if number is None:
        raise ValueError(f"board must have a dictionary like DICT_5X5_100, got {name!r}")
    dictionary = cv2.aruco.getPredefinedDictionary(number)
    if count > len(dictionary.bytesList):
        raise ValueError(
            f"board must have at most {len(dictionary.bytesList)} markers of {name}, got {count}"
        )
    side = dictionary.markerSize + 2
    return np.stack([dictionary.generateImageMarker(i, side) // 255 for i in range(count)]).astype(np.uint8)
