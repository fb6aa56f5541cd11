"""A board as dark shapes on a bright sheet, in millimetres, and as pixels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from streamfuse.geometry.boards.board import Board

__all__ = ["DISK_PART", "Disk", "Rectangle", "Shape", "Sheet", "charuco_of", "raster", "sheet"]

Gray = npt.NDArray[np.uint8]

DISK_PART: Final = {"circles": 0.5, "asymmetric-circles": 0.8}
"""Diameter of the disks in parts of the spacing. The nearest of an asymmetric grid are 1.41 apart."""


@dataclass(frozen=True, slots=True)
class Rectangle:
    """A dark rectangle, millimetres, y down."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Disk:
    """A dark disk, millimetres, y down. In a sheet to cut out it is a hole."""

    x: float
    y: float
    radius: float


Shape = Rectangle | Disk


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """What is printed: shapes on a bright ground that reaches a margin beyond them."""

    width_mm: float
    height_mm: float
    shapes: tuple[Shape, ...]
    origin_mm: tuple[float, float]
    """Where on the sheet point 0 of the board is."""


def sheet(board: Board) -> Sheet:
    """The board with a bright margin of one spacing (a quiet zone that the detectors need)."""
    spacing = board.spacing_m * 1e3
    left, top, right, bottom = _extent(board)
    margin = spacing
    shapes = tuple(_moved(shape, margin - left, margin - top) for shape in _shapes(board, spacing))
    return Sheet(
        width_mm=right - left + 2 * margin,
        height_mm=bottom - top + 2 * margin,
        shapes=shapes,
        origin_mm=(margin - left, margin - top),
    )


def raster(printed: Sheet, pixels_per_mm: float) -> Gray:
    """The sheet as HxW uint8, 0 dark and 255 bright. Edges are rounded to whole pixels, disks to 1/16."""
    size = (round(printed.height_mm * pixels_per_mm), round(printed.width_mm * pixels_per_mm))
    image = np.full(size, 255, np.uint8)
    for shape in printed.shapes:
        if isinstance(shape, Rectangle):
            x0, x1 = (round(x * pixels_per_mm) for x in (shape.left, shape.left + shape.width))
            y0, y1 = (round(y * pixels_per_mm) for y in (shape.top, shape.top + shape.height))
            image[y0:y1, x0:x1] = 0
        else:
            centre = [round((at * pixels_per_mm - 0.5) * 16) for at in (shape.x, shape.y)]
            radius = round(shape.radius * pixels_per_mm * 16)
            cv2.circle(image, centre, radius, 0, cv2.FILLED, cv2.LINE_AA, shift=4)
    return image


def charuco_of(board: Board) -> cv2.aruco.CharucoBoard:
    """OpenCV's idea of a ChArUco board."""
    dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, board.dictionary))
    return cv2.aruco.CharucoBoard(
        (board.columns, board.rows), board.spacing_m, board.marker_m or 0.0, dictionary
    )


def _extent(board: Board) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of the dark shapes around point 0 at (0, 0), millimetres."""
    right, bottom = board.points[:, :2].max(axis=0) * 1e3
    around = board.spacing_m * 1e3 * (DISK_PART[board.kind] / 2 if board.kind in DISK_PART else 1.0)
    return -around, -around, float(right) + around, float(bottom) + around


def _shapes(board: Board, spacing: float) -> Iterator[Shape]:
    if board.kind == "chessboard":
        for row in range(-1, board.rows):
            for column in range(-1, board.columns):
                if (row + column) % 2 == 0:
                    yield Rectangle(column * spacing, row * spacing, spacing, spacing)
    elif board.kind == "charuco":
        yield from _charuco(board, spacing)
    else:
        for x, y, _ in board.points * 1e3:
            yield Disk(float(x), float(y), DISK_PART[board.kind] * spacing / 2)


def _charuco(board: Board, spacing: float) -> Iterator[Shape]:
    """Squares without a marker are dark; a marker is its dark modules, run by run."""
    charuco = charuco_of(board)
    marked = set()
    modules = charuco.getDictionary().markerSize + 2
    for number, corners in zip(charuco.getIds(), charuco.getObjPoints(), strict=True):
        left, top = (float(value) * 1e3 - spacing for value in np.min(corners, axis=0)[:2])
        marked.add((round(left // spacing), round(top // spacing)))
        side = (board.marker_m or 0.0) * 1e3 / modules
        for row, line in enumerate(
            charuco.getDictionary().generateImageMarker(int(np.squeeze(number)), modules)
        ):
            starts, stops = _runs(line == 0)
            for start, stop in zip(starts, stops, strict=True):
                yield Rectangle(left + start * side, top + row * side, (stop - start) * side, side)
    for row in range(-1, board.rows - 1):
        for column in range(-1, board.columns - 1):
            if (column, row) not in marked:
                yield Rectangle(column * spacing, row * spacing, spacing, spacing)


def _runs(dark: npt.NDArray[np.bool_]) -> tuple[list[int], list[int]]:
    """Where runs of True start, and where they have stopped."""
    steps = np.diff(dark.astype(np.int8), prepend=0, append=0)
    return np.flatnonzero(steps == 1).tolist(), np.flatnonzero(steps == -1).tolist()


def _moved(shape: Shape, right: float, down: float) -> Shape:
    if isinstance(shape, Disk):
        return Disk(shape.x + right, shape.y + down, shape.radius)
    return Rectangle(shape.left + right, shape.top + down, shape.width, shape.height)
