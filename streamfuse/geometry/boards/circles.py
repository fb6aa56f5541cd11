"""Grids of disks or holes, symmetric and asymmetric."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import cv2
import numpy as np

from streamfuse.geometry.boards.board import Board, BoardView, Floats
from streamfuse.geometry.boards.disks import measured_disks
from streamfuse.geometry.boards.grid import is_regular, least_spacing, right_handed
from streamfuse.geometry.boards.thermal import Gray, Picture, contrast_range, pictures_to_search

__all__ = ["SURFACES", "alike", "blobs", "find_circles"]

SURFACES: Final = (1 / 55, 1 / 35, 1 / 90, 1 / 22)
"""Widths of the surface taken off thermal pictures, in parts of the long side: wider than for edges, since a
disk wider than the surface becomes a ring."""
_SMALLEST_PX: Final = 16.0
"""Area of a disk in pixels below which its middle cannot be told."""
_ALIKE: Final = 1.45
"""Disks of one board differ from their mean size by less than this factor."""
_MORE: Final = 0.07
"""So many more disks around the board, in parts of its own, make it a larger board."""
_LARGEST: Final = 1 / 50
"""Area of a disk in parts of the picture above which it is something else."""


def find_circles(gray: Gray, board: Board, *, thermal: bool, quick: bool) -> BoardView | None:
    """All disks, or None; see :func:`~streamfuse.geometry.boards.finding.find_board`."""
    for how, picture, scale in pictures_to_search(gray, thermal=thermal, quick=quick, surfaces=SURFACES):
        for bright in (False, True):
            found = blobs(picture, bright=bright)
            for centres in _grids(found, board):
                if _goes_on(found, centres, apart=_nearest(centres)):
                    continue
                words = f"{'bright' if bright else 'dark'} disks, {how}"
                view = _measured(gray, board, centres * scale + (scale - 1) / 2, how=words)
                if view is not None:
                    return view
    return None


def blobs(picture: Picture, *, bright: bool) -> Floats:
    """Whatever is round and brighter or darker than what is around it: Nx3 of middle and diameter, pixels."""
    wanted = cv2.SimpleBlobDetector.Params()
    wanted.minThreshold, wanted.maxThreshold, wanted.thresholdStep = 20, 240, 20
    wanted.minRepeatability = 2
    wanted.minDistBetweenBlobs = 4
    wanted.filterByColor, wanted.blobColor = True, 255 if bright else 0
    wanted.filterByArea = True
    wanted.minArea, wanted.maxArea = _SMALLEST_PX, _LARGEST * picture.size
    wanted.filterByCircularity, wanted.minCircularity = True, 0.5
    wanted.filterByConvexity, wanted.minConvexity = True, 0.85
    wanted.filterByInertia, wanted.minInertiaRatio = True, 0.1
    found = cv2.SimpleBlobDetector.create(wanted).detect(picture)
    return np.array([(*blob.pt, blob.size) for blob in found], np.float64).reshape(-1, 3)


def alike(found: Floats, *, fewest: int, most: int) -> Iterator[Floats]:
    """Middles (Nx2) of blobs of about one size, each size in turn; specks of noise are smaller than disks."""
    seen: set[bytes] = set()
    for size in np.unique(np.round(np.log(found[:, 2]) * 4)) / 4:
        chosen = np.abs(np.log(found[:, 2]) - size) < np.log(_ALIKE)
        if fewest <= chosen.sum() <= most and chosen.tobytes() not in seen:
            seen.add(chosen.tobytes())
            yield found[chosen, :2]


def _grids(found: Floats, board: Board) -> Iterator[Floats]:
    """Candidates for the whole grid (Nx2, row by row), by two ways of sorting blobs."""
    asymmetric = board.kind == "asymmetric-circles"
    shape = cv2.CALIB_CB_ASYMMETRIC_GRID if asymmetric else cv2.CALIB_CB_SYMMETRIC_GRID
    size = (board.columns, board.rows)
    for centres in alike(found, fewest=len(board.points), most=4 * len(board.points)):
        points = centres.astype(np.float32).reshape(-1, 1, 2)
        for clustering in (0, cv2.CALIB_CB_CLUSTERING):
            parameters = cv2.CirclesGridFinderParameters()
            # Without a detector OpenCV takes points for an image; its type hints do not know.
            ok, grid = cv2.findCirclesGrid(points, size, shape + clustering, None, parameters)  # type: ignore[call-overload]
            if ok:
                rows = np.asarray(grid, np.float64).reshape(board.rows, board.columns, 2)
                yield right_handed(rows).reshape(-1, 2)


def _goes_on(found: Floats, centres: Floats, *, apart: float) -> bool:
    """Whether blobs as large as the disks lie around them, no farther than disks from each other."""
    away = np.linalg.norm(found[:, None, :2] - centres[None], axis=2)
    size = float(np.median(found[away.argmin(axis=0), 2]))
    nearest = away.min(axis=1)
    alike_size = np.abs(np.log(found[:, 2] / size)) < np.log(_ALIKE)
    more = alike_size & (nearest > 0.5 * apart) & (nearest < 1.5 * apart)
    return bool(more.sum() > _MORE * len(centres))


def _nearest(centres: Floats) -> float:
    """Median way from a disk to the nearest other one, pixels."""
    away = np.linalg.norm(centres[:, None] - centres[None], axis=2)
    np.fill_diagonal(away, np.inf)
    return float(np.median(away.min(axis=1)))


def _measured(gray: Gray, board: Board, centres: Floats, *, how: str) -> BoardView | None:
    """The disks measured at full size, if they lie as on a board."""
    height, width = gray.shape
    plane = board.points[:, :2] / board.spacing_m
    apart = np.sqrt(2.0) if board.kind == "asymmetric-circles" else 1.0
    measured = measured_disks(gray.astype(np.float32), plane, centres, reach=apart / 2)
    if measured is None:
        return None
    spacing = least_spacing(centres.reshape(board.rows, board.columns, 2))
    if not is_regular(plane[measured.rows], measured.pixels, spacing_px=spacing):
        return None
    return BoardView(
        board=board,
        size_wh=(width, height),
        ids=board.ids[measured.rows],
        pixels=measured.pixels,
        inverted=measured.difference > 0,
        how=how,
        contrast=abs(measured.difference) / contrast_range(gray),
    )
