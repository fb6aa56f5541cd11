"""How well a registered pair fits, and by how much it would fit better: one cheap look.

Warm and bright seldom agree, but where one of them changes the other often does, too. So edges are compared:
their phase correlation (Kuglin, Hines: The phase correlation image alignment method, 1975), whitened in part
only, as the noise of an infrared camera is in the fine detail.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from streamfuse.core.bracket import Misfit

__all__ = ["Likeness", "resemblance"]

Floats = npt.NDArray[np.float32]
Gray = npt.NDArray[np.uint8]

_WORKING_WIDTH_PX: Final = 400
"""Wider images are halved until they are not."""
_REACH_SHARE: Final = 0.08
"""Of the width: misfits beyond it are not looked for."""
_WHITENING: Final = 0.7
_BLUR_PX: Final = 1.2
_NEAR_PX: Final = 4
"""Around the best place, what belongs to its peak."""
_MIN_CONFIDENCE: Final = 0.3
"""Share by which the best place must stand out from the best one elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """What one look at a pair says.

    Raises:
        ValueError: a score outside 0..1.
    """

    score: float
    """How alike the images are where they lie, 0..1."""
    misfit: Misfit | None
    """How they would lie better; None: nothing sure can be said."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.score <= 1.0:
            raise ValueError(f"score must be within 0..1, got {self.score}")


def resemblance(visible: Gray, infrared: Gray) -> Likeness:
    """Look at a registered pair.

    Args:
        visible: luma, HxW.
        infrared: registered, HxW; all of it seen by both cameras.

    Returns:
        The correlation of their edges where they lie, and the misfit if one place stands out.
    """
    first, second, scale = _working_size(visible, infrared)
    first, second = _edges(first), _edges(second)
    power = float(np.vdot(first, first) * np.vdot(second, second)) ** 0.5
    if power == 0.0:
        return Likeness(score=0.0, misfit=None)
    score = min(1.0, max(0.0, float(np.vdot(first, second)) / power))
    return Likeness(score=score, misfit=_best_place(_correlation(first, second), scale))


def _working_size(first: Gray, second: Gray) -> tuple[Floats, Floats, int]:
    """Both images at the size that is compared, and how many of their pixels make one of it."""
    scale = 1
    while first.shape[1] / scale > _WORKING_WIDTH_PX:
        scale *= 2
    # Multiples of 16 have fast Fourier transforms.
    rows, columns = (slice(side // (16 * scale) * 16 * scale) for side in first.shape)
    return _shrunk(first[rows, columns], scale), _shrunk(second[rows, columns], scale), scale


def _shrunk(image: Gray, scale: int) -> Floats:
    """The image with each square of pixels averaged; ``scale`` is a power of two."""
    small = image.astype(np.float32)
    while scale > 1:
        small = small[::2] + small[1::2]
        small = (small[:, ::2] + small[:, 1::2]) * np.float32(0.25)
        scale //= 2
    return small


def _edges(image: Floats) -> Floats:
    """The root of the gradient, so that the strongest edges do not decide alone; faded at the borders."""
    down, across = np.gradient(image)
    edges = np.sqrt(np.hypot(across, down))
    faded: Floats = (edges - edges.mean()) * _tables(image.shape)[0]
    return faded


def _correlation(first: Floats, second: Floats) -> Floats:
    """How well ``second`` fits when moved, by rows and columns; no move in the middle."""
    cross = np.fft.rfft2(first) * np.conj(np.fft.rfft2(second))
    cross *= _tables(first.shape)[1] / (np.abs(cross) ** _WHITENING + 1e-9)
    reach = round(_REACH_SHARE * first.shape[1])
    placed = np.roll(np.fft.irfft2(cross, first.shape), (reach, reach), (0, 1))
    near: Floats = placed[: 2 * reach + 1, : 2 * reach + 1].astype(np.float32)
    return near


def _best_place(correlation: Floats, scale: int) -> Misfit | None:
    row, column = np.unravel_index(int(correlation.argmax()), correlation.shape)
    rows, columns = np.ogrid[: correlation.shape[0], : correlation.shape[1]]
    elsewhere = (np.abs(rows - row) > _NEAR_PX) | (np.abs(columns - column) > _NEAR_PX)
    best = float(correlation[row, column])
    second = float(correlation[elsewhere].max(initial=-1.0))
    if best <= 0.0 or 1.0 - second / best < _MIN_CONFIDENCE:
        return None
    middle = (correlation.shape[0] - 1) / 2
    x = column - middle + _vertex(correlation[row], int(column))
    y = row - middle + _vertex(correlation[:, column], int(row))
    return Misfit(x_px=float(x * scale), y_px=float(y * scale))


def _vertex(line: Floats, best: int) -> float:
    """By how much the maximum of the parabola through three places is beside the middle one."""
    if not 0 < best < len(line) - 1:
        return 0.0
    left, middle, right = map(float, line[best - 1 : best + 2])
    bend = left - 2.0 * middle + right
    return 0.0 if bend == 0.0 else 0.5 * (left - right) / bend


@lru_cache(maxsize=4)
def _tables(shape: tuple[int, int]) -> tuple[Floats, Floats]:
    """The window that fades the borders, HxW, and the blur of the correlation in frequencies."""
    height, width = shape
    window = np.outer(np.hanning(height), np.hanning(width))
    squared = np.fft.fftfreq(height)[:, None] ** 2 + np.fft.rfftfreq(width) ** 2
    blur = np.exp(-2.0 * (np.pi * _BLUR_PX) ** 2 * squared)
    return window.astype(np.float32), blur.astype(np.float32)
