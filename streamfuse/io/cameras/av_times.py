"""The times of a live stream: its own, made to rise, and the camera's clock where it tells it."""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import Final

import av
from av import Packet
from av.video.stream import VideoStream

from streamfuse.clock import NS_PER_S
from streamfuse.core.clockfit import Stamp, TimeSource

__all__ = ["StreamTimes"]

_PRODUCER_REFERENCE_TIME: Final = struct.Struct("=qi")
"""FFmpeg's AVProducerReferenceTime: UTC of the picture in microseconds since 1970, and flags."""
_NS_PER_US: Final = 1_000


class StreamTimes:
    """Turns the time stamps of a stream into nanoseconds since its start, and stamps.

    Args:
        time_base: Seconds per tick of the stream's time stamps.
        fps: Nominal rate: the step where a time is missing.
        max_gap_s: A larger step cannot be real, or reading would have timed out: the sender's clock
            jumped, and the times go on one period after the last.
    """

    def __init__(self, *, time_base: Fraction, fps: float, max_gap_s: float) -> None:
        self._tick_ns = time_base * NS_PER_S
        self._period_ns = round(NS_PER_S / fps)
        self._max_gap_ns = round(max_gap_s * NS_PER_S)
        self._origin_ns: int | None = None
        self._last_ns = -self._period_ns
        self._reference: tuple[int, int] | None = None

    def see(self, packet: Packet[VideoStream]) -> None:
        """Note the camera's clock, where ``packet`` tells it (RTCP sender reports do, through FFmpeg)."""
        if packet.pts is not None and packet.has_sidedata("prft"):
            told = bytes(packet.get_sidedata("prft"))
            utc_us, _ = _PRODUCER_REFERENCE_TIME.unpack_from(told)
            self._reference = packet.pts, utc_us * _NS_PER_US

    def of(self, picture: av.VideoFrame) -> tuple[int, Stamp]:
        """Time since the start in nanoseconds, which rises, and the best stamp of ``picture``.

        The camera's clock is carried from the packet that told it to the picture in the stream's own
        ticks, because a decoder gives pictures later than it takes packets.
        """
        pts_ns = self._rising(picture.pts)
        if self._reference is None or picture.pts is None:
            return pts_ns, Stamp(source=TimeSource.PTS, time_ns=pts_ns)
        pts, utc_ns = self._reference
        time_ns = utc_ns + round((picture.pts - pts) * self._tick_ns)
        return pts_ns, Stamp(source=TimeSource.RTCP, time_ns=time_ns)

    def _rising(self, pts: int | None) -> int:
        next_ns = self._last_ns + self._period_ns
        if pts is None:
            self._last_ns = next_ns
            return next_ns
        own_ns = round(pts * self._tick_ns)
        if self._origin_ns is None or not 0 < own_ns - self._origin_ns - self._last_ns <= self._max_gap_ns:
            self._origin_ns = own_ns - next_ns
        self._last_ns = own_ns - self._origin_ns
        return self._last_ns
