"""ChArUco boards: chessboards whose markers say which corner is which, so that a part of them will do."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Final

import cv2
import numpy as np

from streamfuse.geometry.boards.board import Board, BoardView, Floats, Ids
from streamfuse.geometry.boards.drawing import charuco_of
from streamfuse.geometry.boards.grid import is_regular
from streamfuse.geometry.boards.saddles import EDGE, measured_saddles
from streamfuse.geometry.boards.thermal import Gray, Picture, contrast_range, pictures_to_search

__all__ = ["find_charuco"]

_CLEAR: Final = 0.7
"""Part of the margin around a marker that its blurred edge leaves clean."""
_ENOUGH: Final = 0.5
"""With this part of all corners, no other picture is searched."""
_FEWEST: Final = 6
"""Corners fewer than these say too little about the pose to be worth a picture."""


def find_charuco(gray: Gray, board: Board, *, thermal: bool, quick: bool) -> BoardView | None:
    """The corners that are seen, or None; see :func:`~streamfuse.geometry.boards.finding.find_board`."""
    best: BoardView | None = None
    for how, picture, scale in pictures_to_search(gray, thermal=thermal, quick=quick):
        for inverted, legacy in itertools.product(
            (False, True), (False, True) if board.rows % 2 == 0 else (False,)
        ):
            ids, corners = _detected(255 - picture if inverted else picture, board, legacy=legacy)
            view = _measured(gray, board, ids, corners * scale + (scale - 1) / 2)
            if view is not None and (best is None or len(view.ids) > len(best.ids)):
                words = f"markers{', legacy layout' if legacy else ''}, {how}"
                best = replace(view, inverted=inverted, how=words)
        if best is not None and len(best.ids) >= _ENOUGH * len(board.points):
            break
    return best


def _detected(picture: Picture, board: Board, *, legacy: bool) -> tuple[Ids, Floats]:
    """Ids (N,) and corners (Nx2) by OpenCV.

    Before version 4.6 OpenCV drew boards with an even number of rows the other way round (``legacy``).
    """
    pattern = charuco_of(board)
    pattern.setLegacyPattern(legacy)
    corners, ids, _, _ = cv2.aruco.CharucoDetector(pattern).detectBoard(picture)
    if len(np.atleast_1d(ids)) < _FEWEST:
        return np.empty(0, np.intp), np.empty((0, 2))
    return np.asarray(ids, np.intp).ravel(), np.asarray(corners, np.float64).reshape(-1, 2)


def _measured(gray: Gray, board: Board, ids: Ids, corners: Floats) -> BoardView | None:
    """The corners measured at full size, if they are enough and lie as on a board."""
    height, width = gray.shape
    rows = np.argsort(ids)
    ids, corners = ids[rows], corners[rows]
    inside = np.all((corners >= EDGE) & (corners <= (width - 1 - EDGE, height - 1 - EDGE)), axis=1)
    ids, corners = ids[inside], corners[inside]
    plane = board.points[ids, :2] / board.spacing_m
    if len(ids) < _FEWEST or np.linalg.matrix_rank(plane - plane.mean(axis=0)) < 2:
        return None
    measured = measured_saddles(gray, plane, corners, free=_free(board))
    if measured is None or not is_regular(plane, measured.pixels, spacing_px=_spacing(plane, corners)):
        return None
    return BoardView(
        board=board,
        size_wh=(width, height),
        ids=ids,
        pixels=measured.pixels,
        sharpness_px=measured.sharpness_px,
        contrast=measured.difference / contrast_range(gray),
    )


def _free(board: Board) -> float:
    """How far from their edges the squares are free of markers, in spacings."""
    return _CLEAR * (1 - (board.marker_m or 0.0) / board.spacing_m) / 2


def _spacing(plane: Floats, corners: Floats) -> float:
    """The shortest way between neighbours, pixels."""
    apart = np.linalg.norm(plane[:, None] - plane[None], axis=2)
    first, second = np.nonzero(np.abs(apart - apart[apart > 0].min()) < 1e-6)
    return float(np.linalg.norm(corners[first] - corners[second], axis=1).min() / apart[apart > 0].min())
