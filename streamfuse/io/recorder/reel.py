"""The encoders of all tracks on one timeline, and the segments that their packets go into."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from streamfuse.clock import NS_PER_MS, NS_PER_S
from streamfuse.errors import OutputError
from streamfuse.frames import FusedFrame
from streamfuse.io.closing import Closing
from streamfuse.io.recorder.segment import Segment
from streamfuse.io.recorder.tracks import TrackEncoder, image_of
from streamfuse.io.shelf import Track
from streamfuse.io.video.encoder import VideoPacket

__all__ = ["Reel"]

_BACK_NS: Final = NS_PER_S
"""A capture time this much before the last one begins the timeline anew."""


class Reel(Closing):
    """Encodes each image once; a segment ends and another begins while the encoders go on.

    Encoders may keep a few images for a while. So a segment that was cut gets the packets of its frames
    that come out later, and is let go when there are no more.

    Args:
        encoders: One for each track.
        let_go: Gets each segment that is complete.
        on_restart: Told when another encoder goes on with a track.
    """

    def __init__(
        self,
        encoders: Iterable[TrackEncoder],
        *,
        let_go: Callable[[Segment], None],
        on_restart: Callable[[Track], None],
    ) -> None:
        self.encoders = {encoder.track: encoder for encoder in encoders}
        self.segment: Segment | None = None
        self._let_go = let_go
        self._on_restart = on_restart
        self._ending: Segment | None = None
        self._cut_ns = 0
        self._last_ns: int | None = None

    def shown(self, frame: FusedFrame) -> int:
        """When ``frame`` is shown: at its capture time, but at least a millisecond after the one before.

        Where that cannot be (time has gone back) and where an image has another form, encoders begin
        anew and the segment is cut.

        Raises:
            OutputError: what was still inside of the old encoders could not be written.
        """
        last_ns = self._last_ns
        changed = [
            track
            for track, encoder in self.encoders.items()
            if (image := image_of(frame, track)) is not None and encoder.is_another(image)
        ]
        if last_ns is not None and frame.capture_ns < last_ns - _BACK_NS:
            changed, last_ns = list(self.encoders), None
        shown_ns = frame.capture_ns if last_ns is None else max(frame.capture_ns, last_ns + NS_PER_MS)
        self._last_ns = shown_ns
        if changed:
            self._restart(changed)
            self.cut(shown_ns)
        return shown_ns

    def encode(self, track: Track, frame: FusedFrame, shown_ns: int) -> list[VideoPacket]:
        """Encode the frame's image of a track; what comes out goes on to :meth:`put`.

        Raises:
            OutputError: the encoder failed, and another one will go on.
        """
        encoder, segment = self.encoders[track], self.segment
        key = segment is not None and segment.wants(track) and not segment.has(track)
        try:
            return encoder.encode(frame, shown_ns, key=key)
        except OutputError:
            encoder.close()
            self._on_restart(track)
            raise

    def put(self, track: Track, packets: Sequence[VideoPacket]) -> None:
        """Write packets of a track to the segments that their frames belong to.

        Raises:
            OutputError: a file cannot be written on; it is given up as it is.
        """
        encoder = self.encoders[track]
        late = [packet for packet in packets if packet.pts_ns < self._cut_ns]
        try:
            if late and self._ending is not None:
                self._ending.write(track, late, encoder.template)
            if len(packets) > len(late) and self.segment is not None:
                self.segment.write(track, packets[len(late) :], encoder.template)
        finally:
            self._release()

    def cut(self, at_ns: int) -> None:
        """The segment ends before the frame that is shown at ``at_ns``."""
        if self._ending is not None:  # two cuts within what an encoder keeps inside
            self._let_go(self._ending)
        self._ending, self.segment = self.segment, None
        self._cut_ns = at_ns
        self._release()

    def abandon(self) -> None:
        """Let go of all files as they are."""
        for segment in (self._ending, self.segment):
            if segment is not None:
                segment.abandon()
        self._ending = self.segment = None

    def close(self) -> None:
        """End the encoders and the segment; may be called twice.

        Raises:
            OutputError: what was still inside of the encoders could not be written.
        """
        try:
            self._restart(self.encoders)
        finally:
            self.cut(0 if self._last_ns is None else self._last_ns + 1)

    def _release(self) -> None:
        """Let the segment that was cut go when no encoder holds a frame of it."""
        oldest = [encoder.oldest_inside_ns for encoder in self.encoders.values()]
        if self._ending is not None and not any(ns is not None and ns < self._cut_ns for ns in oldest):
            ending, self._ending = self._ending, None
            self._let_go(ending)

    def _restart(self, tracks: Iterable[Track]) -> None:
        for track in tracks:
            packets = self.encoders[track].restart()
            self._on_restart(track)
            self.put(track, packets)
