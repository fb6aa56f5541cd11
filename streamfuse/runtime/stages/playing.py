"""A recording, a folder or a synthetic scene, played as the mode asks.

In ``realtime`` it is paced by its own timestamps from the run's epoch on, so that both streams keep
their mutual timing; in ``every_frame`` it goes as fast as the engine takes the frames.
"""

from __future__ import annotations

from contextlib import closing

from streamfuse.clock import NS_PER_MS
from streamfuse.core.pacing import Pacer
from streamfuse.core.wire import EndReason
from streamfuse.frames import DropCause
from streamfuse.io.source import Source, SourceFrame
from streamfuse.io.sources import open_source
from streamfuse.runtime.context import Context
from streamfuse.runtime.stages.intake import PUMP_MS, Intake

__all__ = ["play"]


def play(context: Context, intake: Intake) -> None:
    """Read the source to its end, or until told to stop.

    Raises:
        SourceError: it cannot be opened or read.
    """
    plan, stream = context.plan, intake.stream
    partner_uri = plan.camera(stream.other).uri
    with closing(open_source(plan.camera(stream), stream=stream, partner_uri=partner_uri)) as source:
        _Player(context, intake, source).run()


class _Player:
    def __init__(self, context: Context, intake: Intake, source: Source) -> None:
        self._context = context
        self._intake = intake
        self._source = source
        self._first: SourceFrame | None = None
        self._position = 0
        """Frames of the source that lie behind us, read or skipped."""

    def run(self) -> None:
        context, intake = self._context, self._intake
        if context.restarts == 0:
            # The first picture of a file or a scene is the slow one: it is made before the run begins.
            self._first = self._source.read()
        epoch_ns = intake.begin()
        if epoch_ns is None:
            return
        pacer = Pacer(epoch_ns=epoch_ns, fps=self._source.info.fps)
        self._go_on(pacer)
        reason = EndReason.FAILED
        try:
            reason = self._loop(pacer)
        finally:
            intake.finish(reason)
            context.link.send("stats", stages={"capture": intake.took_ms.as_dict()})

    def _go_on(self, pacer: Pacer) -> None:
        """A restarted worker goes on where the stream is now, not where the file begins."""
        if self._context.restarts == 0:
            return
        if self._context.plan.every_frame:
            self._position = self._intake.captured
        else:
            self._position = pacer.position(self._context.clock.now_ns())
        self._source.skip(self._position)

    def _loop(self, pacer: Pacer) -> EndReason:
        context, intake = self._context, self._intake
        limit = context.plan.frame_limit(intake.stream)
        while context.link.stop is None:
            context.beat()
            if limit is not None and intake.captured >= limit:
                return EndReason.FINISHED
            if not intake.outlet.has_room():
                intake.outlet.pump(PUMP_MS)
                continue
            started_ns = context.clock.now_ns()
            frame, self._first = self._first or self._source.read(), None
            if frame is None:
                return EndReason.FINISHED
            self._position += 1
            intake.took(started_ns)
            capture_ns = pacer.due_ns(frame.pts_ns)
            if not self._wait_until_due(capture_ns):
                return EndReason.STOPPED
            intake.missed(frame.lost)
            intake.offer(
                frame.image,
                pts_ns=frame.pts_ns,
                capture_ns=capture_ns,
                arrival_ns=context.clock.now_ns(),
                flagged=frame.shutter_closed,
            )
            self._catch_up(pacer.missed(frame.pts_ns, context.clock.now_ns()))
        return EndReason.STOPPED

    def _catch_up(self, missed: int) -> None:
        """A recording that is read too slowly goes on at the present, as a camera would; the gap counts."""
        if not missed or self._context.plan.every_frame:
            return
        self._intake.missed({DropCause.SKIPPED: missed})
        self._position += missed
        self._source.skip(self._position)

    def _wait_until_due(self, due_ns: int) -> bool:
        """Serve the bus until a frame's moment has come; False when told to stop meanwhile."""
        context, outlet = self._context, self._intake.outlet
        if not context.plan.every_frame:
            while (left_ns := due_ns - context.clock.now_ns()) > 0:
                if context.link.stop is not None:
                    return False
                context.beat()
                outlet.pump(min(PUMP_MS, max(1, left_ns // NS_PER_MS)))
        outlet.pump(0)
        return True
