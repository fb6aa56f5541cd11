"""The last seconds of a stream as packets, for a clip that begins before its event."""

from __future__ import annotations

from collections import deque
from itertools import chain

from streamfuse.clock import NS_PER_S
from streamfuse.io.video.encoder import VideoPacket

__all__ = ["Rolling"]


class Rolling:
    """Keeps the newest packets that cover the last ``span_s`` seconds, from a key packet on.

    The time of the newest packet is now. More than the span is kept up to the next key packet, less where
    ``max_bytes`` rule. Like every decision it opens nothing.

    Args:
        span_s: Seconds to cover; 0 keeps what leads to the newest packet.
        max_bytes: What the packets take in memory at most.

    Raises:
        ValueError: a negative span, or no room.
    """

    def __init__(self, span_s: float, *, max_bytes: int = 64 << 20) -> None:
        if not span_s >= 0 or max_bytes < 1:
            raise ValueError(f"a span of 0 s and 1 byte at least, got {span_s} s and {max_bytes} bytes")
        self._span_ns = round(span_s * NS_PER_S)
        self._max_bytes = max_bytes
        self._groups: deque[list[VideoPacket]] = deque()  # each begins with a key
        self._nbytes = 0

    @property
    def nbytes(self) -> int:
        """Bytes of the packets kept."""
        return self._nbytes

    def add(self, packet: VideoPacket) -> None:
        """Keep ``packet``, and forget what is too old; what leans on a forgotten key is forgotten, too."""
        if packet.is_key:
            self._groups.append([])
        elif not self._groups:
            return
        self._groups[-1].append(packet)
        self._nbytes += len(packet.data)
        begin_ns = packet.pts_ns - self._span_ns
        while len(self._groups) > 1 and self._groups[1][0].pts_ns <= begin_ns:
            self._forget_oldest()
        while self._nbytes > self._max_bytes:
            self._forget_oldest()

    def packets(self) -> tuple[VideoPacket, ...]:
        """What is kept, oldest first; the first one is a key."""
        return tuple(chain.from_iterable(self._groups))

    def clear(self) -> None:
        """Forget everything, for example because another encoder goes on."""
        self._groups.clear()
        self._nbytes = 0

    def _forget_oldest(self) -> None:
        self._nbytes -= sum(len(packet.data) for packet in self._groups.popleft())
