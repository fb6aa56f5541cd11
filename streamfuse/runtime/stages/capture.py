"""Capture: reads one source and offers its frames to the engine, paced as the mode asks.

In ``realtime`` a file or a synthetic scene is paced by its own timestamps from the run's epoch on,
so that both streams keep their mutual timing; in ``every_frame`` it goes as fast as the engine
takes the frames.
"""

from __future__ import annotations

from contextlib import closing
from typing import Final

from streamfuse.clock import NS_PER_MS, NS_PER_S
from streamfuse.core.flow import Delivery, Outbox
from streamfuse.core.pacing import Pacer
from streamfuse.core.stats import Histogram
from streamfuse.core.thermal import FreezeDetector, image_digest
from streamfuse.core.wire import Channel, EndReason
from streamfuse.frames import DropCause, StreamName
from streamfuse.io.outlet import Outlet
from streamfuse.io.ring import RingWriter
from streamfuse.io.source import Source, SourceFrame
from streamfuse.io.sources import open_source
from streamfuse.runtime import counters as c
from streamfuse.runtime.context import Context
from streamfuse.runtime.stages.joining import wait_for_consumers

__all__ = ["run"]

_PUMP_MS: Final = 100
_MIN_FROZEN_MS: Final = 150.0
"""Exact repeats for longer than this are a closed thermal shutter, not a quiet scene."""
_FAREWELL_S: Final = 0.5
"""How long a hurried capture waits for the engine to take its last frames."""


def run(context: Context) -> None:
    """Read the source to its end, or until told to stop, and pass every frame on or count it."""
    stream = StreamName(context.role)
    plan = context.plan
    partner_uri = plan.camera(stream.other).uri
    with closing(open_source(plan.camera(stream), stream=stream, partner_uri=partner_uri)) as source:
        _Capture(context, stream, source).run()


class _Capture:
    def __init__(self, context: Context, stream: StreamName, source: Source) -> None:
        self._context = context
        self._stream = stream
        self._source = source
        self._board = context.board
        self._first: SourceFrame | None = None
        self._position = 0
        """Frames of the source that lie behind us, read or skipped."""
        self._read_ms = Histogram()
        freeze = stream is StreamName.INFRARED and not context.plan.every_frame
        self._freeze = FreezeDetector(min_frozen_ms=_MIN_FROZEN_MS) if freeze else None

    def run(self) -> None:
        context = self._context
        self._settle()
        delivery = Delivery.EVERY_FRAME if context.plan.every_frame else Delivery.REALTIME
        with (
            closing(RingWriter.open(context.run_dir.ring(self._stream))) as ring,
            Outlet(
                context.run_dir.endpoint(self._stream),
                ring=ring,
                outbox=Outbox(delivery, [c.ENGINE], ledger=self._board),
                stream=Channel(self._stream),
            ) as outlet,
        ):
            if context.restarts == 0 and not self._source.info.live:
                # The first picture of a file or a scene is the slow one: it is made before the run begins.
                self._first = self._source.read()
            wait_for_consumers(context, outlet)
            context.link.send("ready")
            epoch_ns = context.link.wait_for_go()
            if epoch_ns is None:
                return
            pacer = Pacer(epoch_ns=epoch_ns, fps=self._source.info.fps)
            self._go_on(pacer)
            reason = EndReason.FAILED
            try:
                reason = self._loop(outlet, pacer)
            finally:
                self._finish(outlet, reason)
                context.link.send("stats", stages={"capture": self._read_ms.as_dict()})

    def _settle(self) -> None:
        """What a killed predecessor had captured and not offered is lost; say so in its place."""
        board = self._board
        known = board.get(f"to.{c.ENGINE}.offered")
        known += sum(board.get(c.capture_dropped(cause)) for cause in c.CAPTURE_CAUSES)
        board.add(c.capture_dropped(DropCause.WORKER_LOST), board.get(c.CAPTURED) - known)

    def _go_on(self, pacer: Pacer) -> None:
        """A restarted worker goes on where the stream is now, not where the file begins."""
        if self._context.restarts == 0:
            return
        if self._context.plan.every_frame:
            self._position = self._board.get(c.CAPTURED)
        elif not self._source.info.live:
            self._position = pacer.position(self._context.clock.now_ns())
        self._source.skip(self._position)

    def _loop(self, outlet: Outlet, pacer: Pacer) -> EndReason:
        context = self._context
        limit = context.plan.frame_limit(self._stream)
        while context.link.stop is None:
            context.beat()
            if limit is not None and self._board.get(c.CAPTURED) >= limit:
                return EndReason.FINISHED
            if not outlet.has_room():
                outlet.pump(_PUMP_MS)
                continue
            started_ns = context.clock.now_ns()
            frame, self._first = self._first or self._source.read(), None
            if frame is None:
                return EndReason.FINISHED
            self._position += 1
            self._read_ms.add((context.clock.now_ns() - started_ns) / NS_PER_MS)
            capture_ns = pacer.due_ns(frame.pts_ns)
            if not self._wait_until_due(outlet, capture_ns):
                return EndReason.STOPPED
            self._pass_on(outlet, frame, capture_ns)
            self._catch_up(pacer.missed(frame.pts_ns, context.clock.now_ns()))
        return EndReason.STOPPED

    def _catch_up(self, missed: int) -> None:
        """A recording that is read too slowly goes on at the present, as a camera would; the gap counts."""
        if not missed or self._context.plan.every_frame or self._source.info.live:
            return
        self._board.add(c.CAPTURED, missed)
        self._board.add(c.capture_dropped(DropCause.SKIPPED), missed)
        self._position += missed
        self._source.skip(self._position)

    def _wait_until_due(self, outlet: Outlet, due_ns: int) -> bool:
        """Serve the bus until a recorded frame's moment has come; False when told to stop meanwhile."""
        context = self._context
        if context.plan.every_frame or self._source.info.live:
            outlet.pump(0)
            return True
        while (left_ns := due_ns - context.clock.now_ns()) > 0:
            if context.link.stop is not None:
                return False
            context.beat()
            outlet.pump(min(_PUMP_MS, max(1, left_ns // NS_PER_MS)))
        outlet.pump(0)
        return True

    def _pass_on(self, outlet: Outlet, frame: SourceFrame, capture_ns: int) -> None:
        seq = self._board.get(c.CAPTURED)
        self._board.add(c.CAPTURED)
        if self._freeze is not None and self._freeze.is_frozen(
            image_digest(frame.image.planes[0]), capture_ns
        ):
            self._board.add(c.capture_dropped(DropCause.FROZEN))
            return
        outlet.offer(
            frame.image,
            seq=seq,
            pts_ns=frame.pts_ns,
            capture_ns=capture_ns,
            arrival_ns=self._context.clock.now_ns(),
        )

    def _finish(self, outlet: Outlet, reason: EndReason) -> None:
        """Tell the engine that nothing more comes, and wait until it has taken what is under way."""
        clock = self._context.clock
        give_up_ns: int | None = None
        while not outlet.finish_step(reason, timeout_ms=_PUMP_MS):
            self._context.beat()
            if self._context.link.stop is not None:
                give_up_ns = give_up_ns or clock.now_ns() + round(_FAREWELL_S * NS_PER_S)
                if clock.now_ns() > give_up_ns:
                    return
