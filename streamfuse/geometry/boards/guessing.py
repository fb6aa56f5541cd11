"""What a picture shows where the board that was asked for is not: for the sentence that says so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import cv2
import numpy as np

from streamfuse.geometry.boards.board import Board, BoardKind
from streamfuse.geometry.boards.circles import SURFACES, alike, blobs
from streamfuse.geometry.boards.finding import find_board
from streamfuse.geometry.boards.thermal import Gray, pictures_to_search

__all__ = ["what_is_there"]

_DICTIONARIES: Final = tuple(f"DICT_{side}X{side}_1000" for side in (4, 5, 6, 7))
_MARKER: Final = 0.75
"""Side of a marker in parts of its square, where nobody said."""
_FEWEST_MARKERS: Final = 4
_PADDING: Final = 26
_MOST: Final = 12
"""Boards that are tried before giving up."""
_SIZES: Final = range(3, 15)


def what_is_there(gray: Gray, board: Board, *, thermal: bool) -> Board | None:
    """Another board that the picture shows: another size first, then another kind; None if none is seen.

    Takes seconds: it is for an error message. The spacing is that of ``board``, since no picture tells it.

    Args:
        gray: as for :func:`~streamfuse.geometry.boards.finding.find_board`.
        board: what was looked for and not found.
        thermal: as for ``find_board``.
    """
    tried = {board}
    for candidate in _candidates(gray, board, thermal=thermal):
        if candidate in tried:
            continue
        tried.add(candidate)
        if find_board(gray, candidate, thermal=thermal, quick=True) is not None:
            return candidate
        if len(tried) > _MOST:
            break
    return None


def _candidates(gray: Gray, board: Board, *, thermal: bool) -> Iterator[Board]:
    guesses = {
        "charuco": _charucos,
        "circles": _grids,
        "asymmetric-circles": _grids,
        "chessboard": _chessboards,
    }
    for guess in dict.fromkeys((guesses[board.kind], *guesses.values())):
        yield from guess(gray, board, thermal)


def _chessboards(gray: Gray, board: Board, thermal: bool) -> Iterator[Board]:
    """The largest one around a few corners, by OpenCV."""
    for _, picture, _ in pictures_to_search(gray, thermal=thermal):
        padded = cv2.copyMakeBorder(picture, *(_PADDING,) * 4, cv2.BORDER_REPLICATE)
        for size in ((4, 4), (3, 3)):
            ok, _, meta = cv2.findChessboardCornersSBWithMeta(padded, size, cv2.CALIB_CB_LARGER)
            if not ok:
                continue
            rows, columns = np.asarray(meta).shape
            yield _of_kind("chessboard", board, columns=max(columns, rows), rows=min(columns, rows))


def _grids(gray: Gray, board: Board, thermal: bool) -> Iterator[Board]:
    """Grids of as many disks as there are blobs of one size, or a few less."""
    kinds: tuple[BoardKind, ...] = ("circles", "asymmetric-circles")
    for _, picture, _ in pictures_to_search(gray, thermal=thermal, surfaces=SURFACES):
        for bright in (False, True):
            for centres in alike(
                blobs(picture, bright=bright), fewest=min(_SIZES) ** 2, most=max(_SIZES) ** 2
            ):
                for columns in reversed(_SIZES):
                    for rows in _SIZES:
                        if not 0 <= len(centres) - columns * rows <= 2:
                            continue
                        yield from (_of_kind(kind, board, columns=columns, rows=rows) for kind in kinds)


def _charucos(gray: Gray, board: Board, thermal: bool) -> Iterator[Board]:
    """Boards that have just as many markers as the highest id that is seen needs."""
    for _, picture, _ in pictures_to_search(gray, thermal=thermal):
        for name in _DICTIONARIES:
            dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, name))
            ids = cv2.aruco.ArucoDetector(dictionary).detectMarkers(picture)[1]
            if ids is None or len(ids) < _FEWEST_MARKERS:
                continue
            needed = int(np.max(ids)) + 1
            for columns in _SIZES:
                for rows in _SIZES:
                    if columns * rows // 2 == needed:
                        known = name if needed > 100 else name.replace("1000", "100")
                        yield replace(
                            _of_kind("charuco", board, columns=columns, rows=rows), dictionary=known
                        )


def _of_kind(kind: BoardKind, board: Board, *, columns: int, rows: int) -> Board:
    marker = (board.marker_m or _MARKER * board.spacing_m) if kind == "charuco" else None
    known = board.dictionary if columns * rows // 2 <= 50 else "DICT_5X5_1000"
    return replace(board, kind=kind, columns=columns, rows=rows, marker_m=marker, dictionary=known)
