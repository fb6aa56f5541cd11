"""Chessboards in visible and in thermal pictures."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import cv2
import numpy as np

from streamfuse.geometry.boards.board import Board, BoardView, Floats
from streamfuse.geometry.boards.grid import colours_of, is_regular, least_spacing, right_handed
from streamfuse.geometry.boards.saddles import EDGE, measured_saddles
from streamfuse.geometry.boards.thermal import (
    Gray,
    Picture,
    contrast_range,
    detail,
    pictures_to_search,
)

__all__ = ["find_chessboard"]

_PADDING: Final = 1 / 25
"""Border, in parts of the long side, that repeats the edge: the outer squares may be cut by it."""
_WHOLE_ENOUGH: Final = 0.8
"""Part of the corners that must be in the picture."""
_SMALLEST: Final = 5.0
"""Spacing in pixels below which squares run into each other."""


def find_chessboard(gray: Gray, board: Board, *, thermal: bool, quick: bool) -> BoardView | None:
    """The whole board, or None; see :func:`~streamfuse.geometry.boards.finding.find_board`."""
    for how, picture, scale in pictures_to_search(gray, thermal=thermal, quick=quick):
        for finder, corners in _found(picture, board, thermal=thermal):
            view = _checked(gray, corners * scale + (scale - 1) / 2, board=board, how=f"{finder}, {how}")
            if view is not None:
                return view
    return None


def _found(picture: Picture, board: Board, *, thermal: bool) -> Iterator[tuple[str, Floats]]:
    """Corners (Nx2, any order that OpenCV likes) by one finder after the other, the quick one first."""
    size = (board.columns, board.rows)
    if thermal:
        yield from _quads(255 - picture, size)
    else:
        yield from _quads(picture, size)
    pad = math.ceil(_PADDING * max(picture.shape))
    padded = cv2.copyMakeBorder(picture, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
    ok, corners = cv2.findChessboardCornersSB(padded, size, flags=cv2.CALIB_CB_EXHAUSTIVE)
    if ok:
        yield "sectors", corners.reshape(-1, 2).astype(np.float64) - pad
    if thermal:
        yield from _quads(picture, size)


def _quads(picture: Picture, size: tuple[int, int]) -> Iterator[tuple[str, Floats]]:
    """OpenCV's older finder, which wants dark squares on a bright sheet."""
    flags = cv2.CALIB_CB_ADAPTIVE_THRESH + cv2.CALIB_CB_NORMALIZE_IMAGE
    ok, corners = cv2.findChessboardCorners(picture, size, flags=flags)
    if ok:
        yield "quads", corners.reshape(-1, 2).astype(np.float64)


def _checked(gray: Gray, corners: Floats, *, board: Board, how: str) -> BoardView | None:
    """The corners measured at full size, if they are the board; those beyond the picture are left out."""
    height, width = gray.shape
    grid = right_handed(corners.reshape(board.rows, board.columns, 2))
    spacing = least_spacing(grid)
    inside = np.all((grid >= EDGE) & (grid <= (width - 1 - EDGE, height - 1 - EDGE)), axis=2).ravel()
    if inside.mean() < _WHOLE_ENOUGH or spacing < _SMALLEST:
        return None
    left, top, right, bottom = _around(grid, 3 * spacing, size_wh=(width, height))
    part, offset = gray[top:bottom, left:right], np.array((left, top))
    ids = np.flatnonzero(inside)
    plane = board.points[ids, :2] / board.spacing_m
    pixels = grid.reshape(-1, 2) - offset
    measured = measured_saddles(part, plane, pixels[ids])
    if measured is None or not is_regular(plane, measured.pixels, spacing_px=spacing):
        return None
    pixels[ids] = measured.pixels
    colours = colours_of(detail(part, surface_px=2 * spacing), pixels.reshape(grid.shape))
    if colours.goes_on or not colours.alternate:
        return None
    return BoardView(
        board=board,
        size_wh=(width, height),
        ids=ids,
        pixels=measured.pixels + offset,
        inverted=colours.inverted,
        how=how,
        sharpness_px=measured.sharpness_px,
        contrast=measured.difference / contrast_range(gray),
    )


def _around(grid: Floats, margin_px: float, *, size_wh: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the part of the picture that a board needs."""
    low, high = grid.min(axis=(0, 1)) - margin_px, grid.max(axis=(0, 1)) + margin_px + 1
    left, top = np.maximum(low, 0).astype(int).tolist()
    right, bottom = np.minimum(high, size_wh).astype(int).tolist()
    return left, top, right, bottom
