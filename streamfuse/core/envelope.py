"""The line under a cloud of (camera time, arrival) points: a delay is only ever added, never taken off.

Every frame arrives at ``true time + constant + jitter`` with ``jitter >= 0``. The points without jitter
therefore lie on the lower edge of the cloud, and the line that supports the cloud there is the camera's
clock. Of all lines under the points, the one closest to them in the mean is the edge of the lower convex
hull over their mean time (Zhang, Liu and Xia, "Clock synchronization algorithms for network
measurements", INFOCOM 2002). Quartz is good to a few hundred parts per million; that bounds the slope,
and points that no such line could touch are left out.
"""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

from streamfuse.clock import NS_PER_S

__all__ = ["MAX_DRIFT", "LowerEnvelope"]

MAX_DRIFT: Final = 500e-6
"""Seconds per second that a camera's clock may gain or lose: more than any quartz in a camera."""

_WINDOW_S: Final = 60.0
_CELL_S: Final = 0.5
"""The fit keeps the earliest point of every cell: 120 points, whatever the frame rate."""
_MIN_SPAN_S: Final = 5.0
"""A shorter stretch says less about the slope than the slope before it."""
_MEMORY: Final = 1 / 256
"""Weight of the newest frame in the mean delay."""


class _Point(NamedTuple):
    cell: int
    x_s: float
    """Camera time since the first point."""
    y_s: float
    """Arrival minus camera time, since the first point: the delay, up to a constant."""


class LowerEnvelope:
    """A sliding lower envelope: a few additions per frame, one small hull per half second.

    Args:
        slope: what is known of the drift from before, in seconds per second.
    """

    def __init__(self, *, slope: float = 0.0) -> None:
        self.slope = slope
        """Seconds of delay that each second of camera time adds: the camera's clock is slow by this."""
        self.samples = 0
        self.newest_ns = 0
        """The latest camera time that was added."""
        self.mean_delay_s = 0.0
        """Mean height of the points over the line."""
        self._origin_ns = (0, 0)
        self._base_s = 0.0
        self._points: deque[_Point] = deque()

    def residual_s(self, camera_ns: int, arrival_ns: int) -> float:
        """Seconds that this point lies over the line; below 0 when under it, 0 for the first point."""
        if not self.samples:
            return 0.0
        x_s, y_s = self._place(camera_ns, arrival_ns)
        return y_s - (self._base_s + self.slope * x_s)

    def add(self, camera_ns: int, arrival_ns: int) -> None:
        """Take one point in; afterwards the line does not lie over it."""
        if not self.samples:
            self._origin_ns = (camera_ns, arrival_ns)
            self.newest_ns = camera_ns
        self.samples += 1
        self.newest_ns = max(self.newest_ns, camera_ns)
        x_s, y_s = self._place(camera_ns, arrival_ns)
        self._keep(_Point(int(x_s // _CELL_S), x_s, y_s))
        over_s = self.residual_s(camera_ns, arrival_ns)
        if over_s < 0:
            self._base_s += over_s
        self.mean_delay_s += (max(over_s, 0.0) - self.mean_delay_s) * max(_MEMORY, 1 / self.samples)

    def host_ns(self, camera_ns: int) -> int:
        """Host time of a camera time, as if nothing had been delayed."""
        x_s = (camera_ns - self._origin_ns[0]) / NS_PER_S
        delay_ns = round((self._base_s + self.slope * x_s) * NS_PER_S)
        return camera_ns - self._origin_ns[0] + self._origin_ns[1] + delay_ns

    def _place(self, camera_ns: int, arrival_ns: int) -> tuple[float, float]:
        since_ns = camera_ns - self._origin_ns[0]
        return since_ns / NS_PER_S, (arrival_ns - self._origin_ns[1] - since_ns) / NS_PER_S

    def _keep(self, point: _Point) -> None:
        newest = self._points[-1] if self._points else None
        if newest is None or point.cell > newest.cell:
            self._points.append(point)
            while point.x_s - self._points[0].x_s > _WINDOW_S:
                self._points.popleft()
            self._fit()
        elif point.cell == newest.cell and self._height(point) < self._height(newest):
            self._points[-1] = point

    def _height(self, point: _Point) -> float:
        return point.y_s - self.slope * point.x_s

    def _fit(self) -> None:
        points = _touchable(self._points)
        if points[-1].x_s - points[0].x_s >= _MIN_SPAN_S:
            left, right = _edge_over(points, sum(point.x_s for point in points) / len(points))
            self.slope = (right.y_s - left.y_s) / (right.x_s - left.x_s)
        self._base_s = min(self._height(point) for point in points)


def _touchable(points: deque[_Point]) -> list[_Point]:
    """The points that a line of a possible slope can touch without lying over another one."""
    kept: list[_Point] = []
    for point in points:
        while kept and kept[-1].y_s - point.y_s >= MAX_DRIFT * (point.x_s - kept[-1].x_s):
            kept.pop()
        if not kept or point.y_s - kept[-1].y_s < MAX_DRIFT * (point.x_s - kept[-1].x_s):
            kept.append(point)
    return kept


def _edge_over(points: list[_Point], x_s: float) -> tuple[_Point, _Point]:
    """The edge of the lower convex hull that spans ``x_s``; points from left to right, at least two."""
    hull: list[_Point] = []
    for point in points:
        while len(hull) > 1 and _is_over(hull[-2], hull[-1], point):
            hull.pop()
        hull.append(point)
    right = next(index for index in range(1, len(hull)) if hull[index].x_s >= x_s)
    return hull[right - 1], hull[right]


def _is_over(left: _Point, middle: _Point, right: _Point) -> bool:
    """Whether ``middle`` lies on or over the line from ``left`` to ``right``."""
    return (middle.y_s - left.y_s) * (right.x_s - left.x_s) >= (right.y_s - left.y_s) * (
        middle.x_s - left.x_s
    )
