"""Capture: one source's frames to the engine. A recording is played, a camera is watched."""

from __future__ import annotations

from contextlib import closing

from streamfuse.core.flow import Delivery, Outbox
from streamfuse.core.wire import Channel
from streamfuse.frames import StreamName
from streamfuse.io.sources import is_live
from streamfuse.io.transport.outlet import Outlet
from streamfuse.io.transport.ring import RingWriter
from streamfuse.runtime import counters as c
from streamfuse.runtime.context import Context
from streamfuse.runtime.stages.intake import Intake
from streamfuse.runtime.stages.playing import play
from streamfuse.runtime.stages.watching import watch

__all__ = ["run"]


def run(context: Context) -> None:
    """Read the source to its end, or until told to stop, and pass every frame on or count it."""
    stream = StreamName(context.role)
    delivery = Delivery.EVERY_FRAME if context.plan.every_frame else Delivery.REALTIME
    capture = watch if is_live(context.plan.camera(stream).uri) else play
    with (
        closing(RingWriter.open(context.run_dir.ring(stream))) as ring,
        Outlet(
            context.run_dir.endpoint(stream),
            ring=ring,
            outbox=Outbox(delivery, [c.ENGINE], ledger=context.board),
            stream=Channel(stream),
        ) as outlet,
    ):
        capture(context, Intake(context, stream, outlet))
