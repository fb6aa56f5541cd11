"""From a guess to a homography: the eight parameters along which the blocks of a picture fit best together.

No block has to decide where it fits. Each keeps its whole surface of correlations, and the sum of all, read
along the field of displacements of a homography, is climbed from blurred to sharp: blocks without texture say
nothing, and what moved between the cameras says it alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streamfuse.geometry.alignment.level import Floats, Level, SizeWH
from streamfuse.geometry.alignment.volume import correlations, sum_along

__all__ = ["PARAMETERS", "Evidence", "Fit", "homography"]

PARAMETERS = 8
"""In pixels near the edge of the picture: shift x, y, growth, turn, aspect, shear, perspective x, y."""
_STEPS = 30
_SMALL_PX = 0.01
_LONGEST_PX = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A top of the climb."""

    parameters: Floats
    """8, in pixels of the level."""
    score: float
    """Normalised correlation there: 0 is chance, 1 two equal pictures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the blocks of one level say about small displacements."""

    surfaces: npt.NDArray[np.float32]
    """NxSxS, each of mean 0; divided by the norm of all, so that the sum is a normalised correlation."""
    fields: Floats
    """Nx2x8: displacement of the middle of each block for each parameter."""
    grid_wh: tuple[int, int]
    """Columns and rows of blocks."""

    @classmethod
    def of(cls, level: Level, H_infrared_from_visible: Floats, *, block: int, reach: int) -> Evidence:  # noqa: N803
        """All pairs together; each counts alike."""
        width, height = level.size_wh
        grid_wh, span = (width // block, height // block), 2 * reach + 1
        total = np.zeros((grid_wh[1], grid_wh[0], span, span), np.float32)
        for index, visible in enumerate(level.visible):
            moved, seen = level.moved(index, H_infrared_from_visible, reach)
            inside = slice(reach, reach + height), slice(reach, reach + width)
            norm = np.sqrt(float(np.sum(visible[seen[inside]] ** 2)) * float(np.sum(moved[inside] ** 2)))
            total += correlations(visible, moved, block, reach) / np.float32(
                max(norm, 1e-6) * len(level.visible)
            )
        surfaces = total.reshape(-1, span, span)
        surfaces = surfaces - surfaces.mean(axis=(1, 2), keepdims=True)
        return cls(surfaces=surfaces, fields=_fields(grid_wh, block, level.size_wh), grid_wh=grid_wh)

    def climb(
        self,
        blurs_px: Sequence[float],
        *,
        pull: Floats,
        before: Floats,
        blocks: npt.NDArray[np.bool_] | None = None,
    ) -> Fit:
        """The nearest top, from the most blurred surfaces to the sharpest.

        Args:
            blurs_px: standard deviations.
            pull: 8, how strongly each parameter is held back, as a share of how sharply the evidence holds a
                shift; infinite: it stays as it is.
            before: 8, what of each parameter was spent already, in pixels of this level.
            blocks: N, which to ask; None: all.
        """
        free = np.flatnonzero(np.isfinite(pull))
        fields = self.fields[:, :, free] if blocks is None else self.fields[blocks][:, :, free]
        fields = np.ascontiguousarray(fields)
        a, score = np.zeros(free.size), 0.0
        for blur_px in blurs_px:
            surfaces = self._blurred(blur_px) if blocks is None else self._blurred(blur_px)[blocks]
            a, score = _climb(np.ascontiguousarray(surfaces), fields, a, pull[free], before[free])
        parameters = np.zeros(PARAMETERS)
        parameters[free] = a
        return Fit(parameters=parameters, score=score)

    def score_at_start(self, blur_px: float) -> float:
        """Normalised correlation when nothing is displaced."""
        return float(sum_along(self._blurred(blur_px), self.fields, np.zeros(PARAMETERS))[0])

    def _blurred(self, blur_px: float) -> npt.NDArray[np.float32]:
        reach = self.surfaces.shape[1] // 2
        at = np.arange(-reach, reach + 1.0)
        kernel = np.exp(-0.5 * ((at[:, None] - at) / blur_px) ** 2).astype(np.float32)
        kernel /= kernel.sum(axis=1, keepdims=True)
        return np.asarray(kernel @ self.surfaces @ kernel.T, np.float32)


def homography(parameters: Floats, size_wh: SizeWH) -> Floats:
    """3x3, pixels to pixels, whose displacements are those of the parameters to first order."""
    width, height = size_wh
    half = max(width, height) / 2
    u = np.asarray(parameters, np.float64) / half
    inner = np.array(
        [[1 + u[2] + u[4], -u[3] + u[5], u[0]], [u[3] + u[5], 1 + u[2] - u[4], u[1]], [u[6], u[7], 1.0]]
    )
    scaled = np.array(
        [[1 / half, 0, -(width - 1) / 2 / half], [0, 1 / half, -(height - 1) / 2 / half], [0, 0, 1.0]]
    )
    return np.asarray(np.linalg.inv(scaled) @ inner @ scaled)


def _fields(grid_wh: tuple[int, int], block: int, size_wh: SizeWH) -> Floats:
    width, height = size_wh
    half = max(width, height) / 2
    columns, rows = (np.arange(count) * block + (block - 1) / 2 for count in grid_wh)
    x, y = (one.ravel() for one in np.meshgrid(columns - (width - 1) / 2, rows - (height - 1) / 2))
    x, y = x / half, y / half
    one, none = np.ones_like(x), np.zeros_like(x)
    across = np.stack((one, none, x, -y, x, y, -x * x, -x * y), axis=-1)
    down = np.stack((none, one, y, x, -y, x, -x * y, -y * y), axis=-1)
    return np.stack((across, down), axis=1)


def _climb(
    surfaces: npt.NDArray[np.float32], fields: Floats, a: Floats, pull: Floats, before: Floats
) -> tuple[Floats, float]:
    """Newton's method with damping, always uphill: the place, and the sum there without the pull."""
    value, slope, bend = sum_along(surfaces, fields, a)
    sharpness = max(-(bend[0, 0] + bend[1, 1]) / 2, 1e-3)
    hold = sharpness * pull

    def height(value: float, a: Floats) -> float:
        return value - 0.5 * float(np.sum(hold * (before + a) ** 2))

    best, damping = height(value, a), 0.03
    for _ in range(_STEPS):
        down, turn = np.linalg.eigh(bend - np.diag(hold))
        steep = np.maximum(np.abs(down), 1e-3 * np.abs(down).max()) * (1 + damping)
        step = turn @ ((turn.T @ (slope - hold * (before + a))) / steep)
        longest = float(np.abs(step).max())
        step *= min(1.0, _LONGEST_PX / max(longest, 1e-9))
        tried = sum_along(surfaces, fields, a + step)
        higher = height(tried[0], a + step)
        if higher > best:
            a, best, damping = a + step, higher, 0.3 * damping
            value, slope, bend = tried
        else:
            damping = 2 * max(4 * damping, 0.5)
        if longest < _SMALL_PX:
            break
    return a, float(value)
