"""What a stream saw over time, coarse enough to keep a minute of it: material for the time shift of two.

A thing that moves is bright in one spectrum and dark in the other, has a shadow in one and a hot bonnet in
the other; where its brightness peaks is not the same place in both, which looks like a delay of tens of
milliseconds. That its outlines are there is the same in both. So what counts of a picture is how far each
place has other edges than the empty scene, cut off where it is clear that it has.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from streamfuse.clock import NS_PER_S

__all__ = ["COLUMNS", "RATE_HZ", "ROWS", "MotionTrack", "averages"]

ROWS, COLUMNS = 60, 80
"""Samples down and across, whatever the size of the pictures; 8 pixels each at 640x480."""
RATE_HZ: Final = 60.0
"""Of the common time line."""

_FINER: Final = 3
"""Points of the reduced picture to a side of a sample: a minute at 30 frames a second takes 160 MB."""
_SCENE_FRAMES: Final = 40
"""Whose median is the empty scene."""
_CLEAR: Final = 10.0
"""Edges are clearly new from so many times the usual difference, which is noise."""
_LEAST_NOISE: Final = 0.02
"""Pictures without noise have steps of whole numbers."""
_LARGEST: Final = float(np.finfo(np.float16).max)
_SLOW_S: Final = 0.5
"""What changes more slowly is taken off: light, gain and smoke do, limbs do not."""
_SLOW_FRAMES: Final = 10
"""The same, in frames of the slower stream."""
_MAX_GAP_S: Final = 0.35
"""Frames further apart than this say nothing about the time between."""

Plane = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
Singles = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]


class MotionTrack:
    """Gathers reduced pictures of a camera that stands still, with their times."""

    def __init__(self) -> None:
        self._times_ns: list[int] = []
        self._pictures: list[npt.NDArray[np.float16]] = []
        self._means: tuple[Singles, Singles] | None = None
        self._shape: tuple[int, ...] = ()
        self._level = np.float32(0)

    def __len__(self) -> int:
        return len(self._times_ns)

    @property
    def times_s(self) -> Doubles:
        """Seconds, rising."""
        return np.array(self._times_ns, np.float64) / NS_PER_S

    @property
    def interval_s(self) -> float:
        """Usual time between two frames, in seconds."""
        return float(np.median(np.diff(self.times_s)))

    def add(self, plane: Plane, pts_ns: int) -> None:
        """Take in a picture (HxW luma or thermal counts); an exact repeat of the last one brings no news.

        Raises:
            ValueError: another shape than before, or a time that does not go forward.
        """
        if self._means is None or plane.shape != self._shape:
            if plane.ndim != 2 or self._means is not None:
                raise ValueError(
                    f"all pictures must be HxW of one size, got {plane.shape} after {self._shape}"
                )
            self._shape = plane.shape
            self._means = averages(plane.shape[0], ROWS * _FINER), averages(plane.shape[1], COLUMNS * _FINER)
            self._level = np.float32(np.median(plane))
        if self._times_ns and pts_ns <= self._times_ns[-1]:
            raise ValueError(f"times must go forward, got {pts_ns} ns after {self._times_ns[-1]} ns")
        down, across = self._means
        # Half precision is exact enough near zero: counts of tens of thousands differ by hundreds.
        reduced = down @ (plane.astype(np.float32) - self._level) @ across.T
        picture = np.clip(reduced, -_LARGEST, _LARGEST).astype(np.float16)
        if self._pictures and np.array_equal(picture, self._pictures[-1]):
            return
        self._times_ns.append(pts_ns)
        self._pictures.append(picture)

    def on(self, grid_s: Doubles, *, interval_s: float) -> tuple[Singles, npt.NDArray[np.bool_]]:
        """What is quick in every sample at the times of a grid of RATE_HZ, and where the stream was seen.

        Args:
            grid_s: times in seconds.
            interval_s: between two frames of the slower stream: what is quicker was not sampled well, and
                would tie the lag to where frames of both streams coincide.

        Returns:
            (60, 80, steps), 0 where not seen; and (steps,).
        """
        times_s = self.times_s
        after = np.clip(np.searchsorted(times_s, grid_s, side="right"), 1, len(times_s) - 1)
        gap_s = times_s[after] - times_s[after - 1]
        seen = (gap_s <= _MAX_GAP_S) & (grid_s >= times_s[0]) & (grid_s <= times_s[-1])
        between = np.clip((grid_s - times_s[after - 1]) / gap_s, 0.0, 1.0)
        values = _hermite(self._occupied().reshape(len(self), -1), times_s, after, between)
        steps = interval_s * RATE_HZ
        even = _running_mean(_running_mean(values, steps), steps)
        slow = _running_mean(even, max(_SLOW_S * RATE_HZ, _SLOW_FRAMES * steps))
        quick = (even - slow) * seen[:, None]
        return np.ascontiguousarray(quick.T.reshape(ROWS, COLUMNS, -1), np.float32), seen

    def _occupied(self) -> Singles:
        """(frames, 60, 80): the share of each sample where edges are that the empty scene has not, 0..1."""
        some = np.linspace(0, len(self) - 1, min(len(self), _SCENE_FRAMES)).round().astype(int)
        scene = np.median(np.stack([self._pictures[place] for place in some]).astype(np.float32), axis=0)
        usual = float(np.median([np.median(_edges(self._pictures[place] - scene)) for place in some]))
        clear = np.float32(_CLEAR * max(usual, _LEAST_NOISE))
        shares = np.empty((len(self), ROWS, COLUMNS), np.float32)
        for share, picture in zip(shares, self._pictures, strict=True):
            new = np.minimum(_edges(picture - scene) / clear, 1)
            share[:] = new.reshape(ROWS, _FINER, COLUMNS, _FINER).mean(axis=(1, 3))
        return shares - np.median(shares, axis=(1, 2), keepdims=True)


def averages(length: int, count: int) -> Singles:
    """(count, length): rows that take the means of equal parts of a line, shares of pixels included.

    A line shorter than the count is stretched: neighbours then share pixels.
    """
    edges = np.linspace(0.0, length, count + 1)
    pixels = np.arange(length)
    covered = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    covered = np.maximum(covered, 0.0)
    rows: Singles = (covered / covered.sum(axis=1, keepdims=True)).astype(np.float32)
    return rows


def _edges(picture: Singles) -> Singles:
    down, across = np.gradient(picture)
    strength: Singles = np.hypot(down, across)
    return strength


def _hermite(values: Singles, times_s: Doubles, after: npt.NDArray[np.intp], between: Doubles) -> Singles:
    """Cubic Hermite interpolation with central slopes: it takes uneven times and does not ring at gaps."""
    slopes = np.gradient(values, times_s, axis=0).astype(np.float32)
    gap = (times_s[after] - times_s[after - 1]).astype(np.float32)[:, None]
    s = between.astype(np.float32)[:, None]
    r = 1 - s
    smooth: Singles = (
        (1 + 2 * s) * r * r * values[after - 1]
        + s * r * r * gap * slopes[after - 1]
        + s * s * (3 - 2 * s) * values[after]
        - s * s * r * gap * slopes[after]
    )
    return smooth


def _running_mean(values: npt.NDArray[np.floating], width: float) -> Doubles:
    """Over the next odd number of steps; the ends are repeated."""
    half = round((width - 1) / 2)
    steps = 2 * half + 1
    padded = np.pad(values, ((half + 1, half), (0, 0)), mode="edge")
    sums = np.cumsum(padded, axis=0, dtype=np.float64)
    mean: Doubles = (sums[steps:] - sums[:-steps]) / steps
    return mean
