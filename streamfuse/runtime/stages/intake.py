"""From a source to the engine: every frame is counted once, then offered or dropped with its cause."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from streamfuse.clock import NS_PER_MS, NS_PER_S
from streamfuse.config.sources import InfraredSource
from streamfuse.core.stats import Histogram
from streamfuse.core.thermal import ShutterWatch, image_digest
from streamfuse.core.wire import EndReason
from streamfuse.frames import DropCause, Image, StreamName
from streamfuse.io.transport.outlet import Outlet
from streamfuse.runtime import counters as c
from streamfuse.runtime.context import Context
from streamfuse.runtime.plan import Plan
from streamfuse.runtime.stages.joining import wait_for_consumers

__all__ = ["PUMP_MS", "Intake"]

PUMP_MS: Final = 100
"""Longest wait without a look at the world."""
_FAREWELL_S: Final = 0.5
"""How long a hurried capture waits for the engine to take its last frames."""


class Intake:
    """What recordings and cameras have in common on their way to the engine."""

    def __init__(self, context: Context, stream: StreamName, outlet: Outlet) -> None:
        self.stream = stream
        self.outlet = outlet
        self.took_ms = Histogram()
        """Milliseconds that the capture of a frame took, from the source's side."""
        self.frozen = False
        """The newest frame repeats an old image: the camera's shutter is closed."""
        self._context = context
        self._board = context.board
        self._shutter = _shutter_watch(context.plan, stream)
        self._settle()

    @property
    def captured(self) -> int:
        """Frames captured so far, also by predecessors of this worker."""
        return self._board.get(c.CAPTURED)

    def begin(self) -> int | None:
        """Wait for the engine and the beginning; the run's epoch, or None when told to stop instead."""
        wait_for_consumers(self._context, self.outlet)
        self._context.link.send("ready")
        return self._context.link.wait_for_go()

    def offer(
        self, image: Image, *, pts_ns: int, capture_ns: int, arrival_ns: int, flagged: bool = False
    ) -> None:
        """Pass a frame on, unless it is a frozen one.

        Args:
            image: The frame.
            pts_ns: Time in the source's own clock.
            capture_ns: Monotonic time at which the scene was seen.
            arrival_ns: Monotonic time at which the frame was there.
            flagged: The camera says that its shutter is closed.
        """
        seq = self.captured
        self._board.add(c.CAPTURED)
        self.frozen = self._shutter is not None and self._shutter.is_closed(
            image_digest(image.planes[0]), capture_ns, flagged=flagged
        )
        if self.frozen:
            self._board.add(c.capture_dropped(DropCause.FROZEN))
            return
        self.outlet.offer(image, seq=seq, pts_ns=pts_ns, capture_ns=capture_ns, arrival_ns=arrival_ns)

    def missed(self, lost: Mapping[DropCause, int]) -> None:
        """Count frames that came from the camera and never reached us whole."""
        for cause, count in lost.items():
            self._board.add(c.CAPTURED, count)
            self._board.add(c.capture_dropped(cause), count)

    def finish(self, reason: EndReason) -> None:
        """Tell the engine that nothing more comes, and wait until it has taken what is under way."""
        clock = self._context.clock
        give_up_ns: int | None = None
        while not self.outlet.finish_step(reason, timeout_ms=PUMP_MS):
            self._context.beat()
            if self._context.link.stop is not None:
                give_up_ns = give_up_ns or clock.now_ns() + round(_FAREWELL_S * NS_PER_S)
                if clock.now_ns() > give_up_ns:
                    self.outlet.finish(
                        reason, deadline_ns=clock.now_ns()
                    )  # what is pending counts as stopped
                    return

    def took(self, since_ns: int) -> None:
        """Note that the capture of a frame took from ``since_ns`` till now."""
        self.took_ms.add((self._context.clock.now_ns() - since_ns) / NS_PER_MS)

    def _settle(self) -> None:
        """What a killed predecessor had captured and not offered is lost; say so in its place."""
        known = self._board.get(f"to.{c.ENGINE}.offered")
        known += sum(self._board.get(c.capture_dropped(cause)) for cause in c.CAPTURE_CAUSES)
        self._board.add(c.capture_dropped(DropCause.WORKER_LOST), self.captured - known)


def _shutter_watch(plan: Plan, stream: StreamName) -> ShutterWatch | None:
    """What finds frozen images: a matter of thermal cameras, and not of files whose every frame counts."""
    config = plan.camera(stream)
    if not isinstance(config, InfraredSource) or plan.every_frame:
        return None
    return ShutterWatch(config.min_frozen_ms)
