"""Where a capture node's frames come from: a camera, or a recording played as if it were one."""

from __future__ import annotations

from contextlib import closing
from typing import Final, Protocol

from streamfuse.clock import NS_PER_MS, Clock
from streamfuse.config.sources import SourceConfig
from streamfuse.core.pacing import Pacer
from streamfuse.frames import DropCause, StreamName
from streamfuse.io.cameras.camera import Camera, CameraEvent, CameraFrame
from streamfuse.io.source import SourceFrame
from streamfuse.io.sources import is_live, open_source
from streamfuse.io.transport.bus import Waker

__all__ = ["Feed", "open_feed"]

_CLOSE_S: Final = 1.5
"""How long a camera's driver may take to let go."""


class Feed(Protocol):
    """Frames and events of one source, for a loop that waits for many things."""

    waker: Waker
    """Wakes the loop when there is something to take."""
    has_ended: bool
    """Nothing more will come."""

    def take(self) -> list[CameraFrame | CameraEvent]:
        """What has come since the last call; waits for nothing but the making of a recorded picture."""

    def idle_ms(self) -> int | None:
        """Milliseconds until the next frame is due; None: the waker will tell."""

    def close(self) -> bool:
        """Release the source; False when its driver hangs."""


def open_feed(config: SourceConfig, *, stream: StreamName, clock: Clock) -> Feed:
    """Begin with what ``config`` names.

    Raises:
        SourceError: a recording cannot be opened. A camera may come later.
        UsageError: a kind of source, or an option of it, that is not supported.
    """
    kind = _LiveFeed if is_live(config.uri) else _PlayedFeed
    return kind(config, stream=stream, clock=clock)


class _LiveFeed:
    """A camera, which is looked for until it is there, and again when it is lost."""

    def __init__(self, config: SourceConfig, *, stream: StreamName, clock: Clock) -> None:
        self.waker = Waker()
        self.has_ended = False
        self._camera = Camera(config, stream=stream, clock=clock, wake=self.waker.wake)

    def take(self) -> list[CameraFrame | CameraEvent]:
        """What has come since the last call."""
        return self._camera.take()

    def idle_ms(self) -> int | None:
        """The camera wakes the loop."""
        return None

    def close(self) -> bool:
        """Release the camera; False when its driver hangs."""
        if not self._camera.close(timeout_s=_CLOSE_S):
            return False  # the thread may still use the waker
        self.waker.close()
        return True


class _PlayedFeed:
    """A recording or a scene, paced by its own times from now on; what comes too late is skipped."""

    def __init__(self, config: SourceConfig, *, stream: StreamName, clock: Clock) -> None:
        self.has_ended = False
        self._clock = clock
        self._source = open_source(config, stream=stream)
        info = self._source.info
        try:
            self._next = self._source.read()  # the first picture is the slow one: before time begins
        except BaseException:
            self._source.close()
            raise
        self.waker = Waker()
        self._position = 1
        self._skipped = 0
        self._is_new = True
        self._info = info
        self._pacer = Pacer(epoch_ns=clock.now_ns(), fps=info.fps)

    def take(self) -> list[CameraFrame | CameraEvent]:
        """The frame that is due, if it is."""
        if self._is_new:
            self._is_new = False
            return [CameraEvent(kind="opened", text="open", info=self._info)]
        if self._next is None:
            self._next = self._source.read()
            self._position += 1
        if self._next is None:
            self.has_ended = True
            return []
        if self._pacer.due_ns(self._next.pts_ns) > self._clock.now_ns():
            return []
        frame, self._next = self._next, None
        taken = self._taken(frame)
        self._catch_up(frame)
        return [taken]

    def idle_ms(self) -> int | None:
        """Until the next frame's moment."""
        if self._next is None:
            return 0
        left_ns = self._pacer.due_ns(self._next.pts_ns) - self._clock.now_ns()
        return max(0, -(-left_ns // NS_PER_MS))

    def close(self) -> bool:
        """Release the source."""
        with closing(self.waker):
            self._source.close()
        return True

    def _taken(self, frame: SourceFrame) -> CameraFrame:
        skipped, self._skipped = self._skipped, 0
        return CameraFrame(
            image=frame.image,
            pts_ns=frame.pts_ns,
            capture_ns=self._pacer.due_ns(frame.pts_ns),
            arrival_ns=self._clock.now_ns(),
            shutter_closed=frame.shutter_closed,
            lost={**frame.lost, **({DropCause.SKIPPED: skipped} if skipped else {})},
        )

    def _catch_up(self, frame: SourceFrame) -> None:
        self._skipped = self._pacer.missed(frame.pts_ns, self._clock.now_ns())
        if self._skipped:
            self._position += self._skipped
            self._source.skip(self._position)
