"""Corners of squares to a few hundredths of a pixel, by a model of what a corner looks like.

Around the corner of four squares a picture is ``ground + slope + h * step(d1) * step(d2)``, where d1 and d2
are the distances to two lines through the corner, and ``step`` is an edge as blurred as the lens blurs it.
All of it is fitted by least squares: a slope of warmth across the board does not pull the corner, and noise
is averaged over all pixels that know something.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from streamfuse.geometry.boards.board import Floats
from streamfuse.geometry.boards.plane import homography, stretch
from streamfuse.geometry.boards.thermal import Gray, detail

__all__ = ["EDGE", "Saddles", "measured_saddles"]

Mask = npt.NDArray[np.bool_]

EDGE: Final = 2
"""Corners nearer to the edge of the picture than this, in pixels, cannot be measured."""
_WINDOW: Final = 0.33
"""Half the width of the window of the first measurement, in spacings."""
_PRECISE: Final = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_COUNT, 100, 1e-4)
_REACH: Final = 0.42
"""How far from the corner pixels count, in spacings …"""
_REACH_PX: Final = 12.0
"""… and in pixels: larger squares tell nothing more."""
_ROUNDS: Final = 6
_GAUSSIAN: Final = 0.798
"""``tanh(0.798 x)`` is nearest to the step of a Gaussian blur of sigma 1."""
_RISE: Final = 2.563
"""From 10 to 90 % of such a step, in sigmas."""
_MOST: Final = (1.0, 1.0, 0.15, 0.15, 0.3)
"""Largest change in one round: x and y in pixels, two angles in radians, logarithm of the blur."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Saddles:
    """Measured corners."""

    pixels: Floats
    """Nx2."""
    sharpness_px: float
    """Width of the edges from 10 to 90 %, median."""
    difference: float
    """Between bright and dark squares, median, in units of the picture."""


def measured_saddles(gray: Gray, plane: Floats, pixels: Floats, *, free: float = 1.0) -> Saddles | None:
    """Where the corners of squares are.

    Args:
        gray: HxW, any depth, nothing taken off.
        plane: Nx2, the corners on the board, in spacings.
        pixels: Nx2, about where they are (to a third of a square).
        free: the squares hold something else farther from their edges than this, in spacings.

    Returns:
        The corners; None if a flat board cannot lie so.
    """
    matrix = homography(plane, pixels)
    if matrix is None:
        return None
    sides = stretch(matrix, plane)
    spacing = float(np.linalg.norm(sides, axis=1).min())
    start = _coarse(detail(gray, surface_px=spacing / 3), pixels, spacing_px=spacing)
    shape, difference = _fitted(gray, start, sides, free=free)
    lost = np.linalg.norm(shape[:, :2], axis=1) > max(0.15 * spacing, 1.0)
    measured = np.where(lost[:, None], start, start + shape[:, :2])
    return Saddles(
        pixels=measured,
        sharpness_px=_RISE * float(np.exp(np.median(shape[:, 4]))),
        difference=float(np.median(np.abs(difference))),
    )


def _coarse(image: npt.NDArray[np.float32], pixels: Floats, *, spacing_px: float) -> Floats:
    """Saddle points by their gradients (Förstner 1987); those that would run away stay."""
    half = max(round(_WINDOW * spacing_px), 2)
    start = pixels.astype(np.float32).reshape(-1, 1, 2)
    moved = np.asarray(cv2.cornerSubPix(image, start, (half, half), (-1, -1), _PRECISE), np.float64).reshape(
        -1, 2
    )
    stays = np.linalg.norm(moved - pixels, axis=1) > max(0.25 * spacing_px, 1.0)
    return np.where(stays[:, None], pixels, moved)


def _fitted(gray: Gray, start: Floats, sides: Floats, *, free: float) -> tuple[Floats, Floats]:
    """Nx5 (x, y from the start, two angles, log of the blur) and N differences, by Gauss and Newton."""
    offsets, values, weights = _patches(gray, start, sides, free=free)
    unit = values.std(axis=1, keepdims=True) + 1e-9
    values = (values - values.mean(axis=1, keepdims=True)) / unit
    angles = np.arctan2(sides[:, 1], sides[:, 0])
    shape = np.column_stack((np.zeros((len(start), 2)), angles, np.zeros(len(start))))
    widest = np.log(np.linalg.norm(sides, axis=1).min() / 5)
    height = np.zeros(len(start))
    for _ in range(_ROUNDS):
        pattern, slopes = _model(shape, offsets)
        linear = np.concatenate((np.ones_like(offsets[..., :1]), offsets, pattern[..., None]), axis=2)
        found = _solved(linear, values, weights)
        height = found[:, 3]
        left = values - (linear @ found[..., None])[..., 0]
        both = np.concatenate((slopes * height[:, None, None], linear), axis=2)
        step = _solved(both, left, weights)[:, :5]
        shape = shape + np.clip(step, np.negative(_MOST), _MOST)
        shape[:, 4] = np.clip(shape[:, 4], np.log(0.3), max(widest, 0.0))
    return shape, 2 * height * unit[:, 0]


def _patches(gray: Gray, start: Floats, sides: Floats, *, free: float) -> tuple[Floats, Floats, Floats]:
    """Of each corner NxMx2 offsets of pixels from it, NxM values and NxM weights (1 counts, 0 does not)."""
    lengths = np.linalg.norm(sides, axis=1)
    reach = np.minimum(_REACH, _REACH_PX / lengths.max(axis=1))
    half = int(np.ceil((reach[:, None] * np.abs(sides).sum(axis=2)).max())) + 1
    around = np.stack(np.meshgrid(np.arange(-half, half + 1), np.arange(-half, half + 1)), axis=2).reshape(
        -1, 2
    )
    at = np.round(start).astype(int)[:, None] + around
    offsets = at - start[:, None]
    on_board = np.abs(np.einsum("nij,nmj->nmi", np.linalg.inv(sides), offsets))
    limits = np.array((gray.shape[1], gray.shape[0])) - 1
    counts = (on_board.max(axis=2) <= reach[:, None]) & (on_board.min(axis=2) <= free)
    counts &= np.all((at >= 0) & (at <= limits), axis=2)
    inside = np.clip(at, 0, limits)
    return offsets, gray[inside[..., 1], inside[..., 0]].astype(np.float64), counts.astype(np.float64)


def _model(shape: Floats, offsets: Floats) -> tuple[Floats, Floats]:
    """The pattern (NxM, -1 to 1) and its derivatives by the five numbers of a shape (NxMx5)."""
    away = offsets - shape[:, None, :2]
    scale = _GAUSSIAN / np.exp(shape[:, 4])[:, None]
    sine, cosine = np.sin(shape[:, None, 2:4]), np.cos(shape[:, None, 2:4])
    distance = cosine * away[..., 1:] - sine * away[..., :1]
    along = cosine * away[..., :1] + sine * away[..., 1:]
    step = np.tanh(scale[..., None] * distance)
    steep = (1 - step**2) * scale[..., None] * step[..., ::-1]
    slopes = (
        (steep * sine).sum(axis=2),
        -(steep * cosine).sum(axis=2),
        -steep[..., 0] * along[..., 0],
        -steep[..., 1] * along[..., 1],
        -(steep * distance).sum(axis=2),
    )
    return step.prod(axis=2), np.stack(slopes, axis=2)


def _solved(basis: Floats, values: Floats, weights: Floats) -> Floats:
    """Least squares, NxK, of N systems at once; slightly damped, so that each has a solution."""
    weighted = basis * weights[..., None]
    normal = weighted.transpose(0, 2, 1) @ basis
    size = normal.shape[1]
    damping = 1e-6 * np.trace(normal, axis1=1, axis2=2) / size + 1e-12
    normal += damping[:, None, None] * np.eye(size)
    diagonal = np.einsum("njj->nj", normal)
    normal[:, range(size), range(size)] = 1.001 * diagonal
    right = weighted.transpose(0, 2, 1) @ values[..., None]
    return np.asarray(np.linalg.solve(normal, right)[..., 0], np.float64)
