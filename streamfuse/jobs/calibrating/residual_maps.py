"""Where in the picture a lens does not fit: the mean residual of the corners in each cell of a grid."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from streamfuse.config.rig import ResidualMap
from streamfuse.geometry.boards.board import Board
from streamfuse.geometry.calibration.intrinsics import CameraCalibration

__all__ = ["map_of", "mean_residuals"]

_CELLS: Final = (8, 6)
"""Across and down."""

Floats = npt.NDArray[np.float64]


def map_of(found: CameraCalibration, board: Board) -> ResidualMap:
    """Of the corners that a calibration rests on."""
    seen = [np.empty((0, 2))]
    offs = [np.empty((0, 2))]
    for view in found.used:
        expected = found.camera.project(view.board_pose.apply(board.points[view.ids[view.kept]]))
        offs.append(view.offs_px[view.kept])
        seen.append(expected + offs[-1])
    return mean_residuals(np.concatenate(seen), np.concatenate(offs), found.camera.size_wh)


def mean_residuals(pixels: Floats, offs_px: Floats, size_wh: tuple[int, int]) -> ResidualMap:
    """Means over cells.

    Args:
        pixels: Nx2, where corners were found, within the picture.
        offs_px: Nx2, found minus expected.
        size_wh: Of the picture.
    """
    across, down = _CELLS
    cells = np.floor((pixels + 0.5) * _CELLS / np.array(size_wh)).astype(np.intp)
    column, row = np.clip(cells, 0, (across - 1, down - 1)).T
    place = row * across + column
    corners = np.bincount(place, minlength=across * down)
    dx, dy = (
        np.bincount(place, weights=off, minlength=across * down) / np.maximum(corners, 1) for off in offs_px.T
    )
    return ResidualMap(
        corners=tuple(map(tuple, corners.reshape(down, across).tolist())),
        dx_px=_rows(dx.reshape(down, across)),
        dy_px=_rows(dy.reshape(down, across)),
    )


def _rows(grid: Floats) -> tuple[tuple[float, ...], ...]:
    return tuple(map(tuple, np.round(grid, 3).tolist()))
