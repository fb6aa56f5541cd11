"""Find a board in one picture of either camera."""

from __future__ import annotations

import cv2
import numpy as np

from streamfuse.errors import MachineError
from streamfuse.geometry.boards.board import Board, BoardView
from streamfuse.geometry.boards.charuco import find_charuco
from streamfuse.geometry.boards.chessboard import find_chessboard
from streamfuse.geometry.boards.circles import find_circles
from streamfuse.geometry.boards.thermal import Gray

__all__ = ["find_board"]


def find_board(gray: Gray, board: Board, *, thermal: bool, quick: bool = False) -> BoardView | None:
    """Where the points of a board are, or None: never a board of another size, never a guess.

    A ChArUco board may be partly hidden or cut, any other must be seen whole; a few corners of a chessboard
    beyond the edge of the picture, or disks that it cuts, do no harm.

    Args:
        gray: HxW, uint8 or uint16 (raw counts are best for thermal).
        board: what to look for.
        thermal: the picture is a thermal one: faint pattern on a strong surface, colours perhaps swapped.
        quick: give up after the likeliest scale, for live video: a picture without a board takes a third of
            the time.

    Returns:
        The view with its ids in rising order, numbered as :mod:`streamfuse.geometry.boards.board` says.

    Raises:
        ValueError: the picture is not HxW of uint8 or uint16.
        MachineError: OpenCV fails.
    """
    if gray.ndim != 2 or gray.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"a picture to search must be HxW uint8 or uint16, got {gray.shape} {gray.dtype}")
    if min(gray.shape) < 32:
        return None
    find = {"chessboard": find_chessboard, "charuco": find_charuco}.get(board.kind, find_circles)
    try:
        view = find(gray, board, thermal=thermal, quick=quick)
    except cv2.error as error:
        raise MachineError(f"OpenCV failed to look for {board.spec}: {error}") from error
    return None if view is None else _numbered(view, thermal=thermal)


def _numbered(view: BoardView, *, thermal: bool) -> BoardView:
    """In the order that the colours tell, and as upright as possible where they do not."""
    views = view.turns
    if not thermal and not all(other.inverted for other in views):
        views = tuple(other for other in views if not other.inverted)
    return min(views, key=lambda other: abs(other.roll_rad))
