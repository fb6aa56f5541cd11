"""What all sinks share: take fused frames off the bus until the stream ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from typing import Final

from streamfuse.clock import NS_PER_MS, NS_PER_S
from streamfuse.core.events import detection_of
from streamfuse.core.stats import Histogram
from streamfuse.core.wire import Channel, EndOfStream
from streamfuse.frames import FusedFrame, PairState
from streamfuse.io.transport.bus import wait
from streamfuse.io.transport.inlet import Arrival, Inlet
from streamfuse.runtime import counters as c
from streamfuse.runtime.context import Context
from streamfuse.runtime.plan import SINK_WINDOW

__all__ = ["consume"]

_IDLE_MS: Final = 100
_STATS_EVERY_S: Final = 1.0
_FAREWELL_S: Final = 1.8
"""How long a sink that was told to stop waits for the engine's last frames."""


def consume(context: Context, handle: Callable[[FusedFrame], None], *, window: int = SINK_WINDOW) -> None:
    """Call ``handle`` for every fused frame until the stream ends, and count.

    Args:
        context: the worker's.
        handle: does the sink's work on one frame.
        window: frames the engine may have under way to this sink.
    """
    board, clock = context.board, context.clock
    took_ms = Histogram()
    stats_at_ns = 0
    give_up_ns: int | None = None
    with closing(
        Inlet(
            context.run_dir.endpoint("fused"),
            stream=Channel.FUSED,
            consumer=context.role,
            window=window,
            ring_path=context.run_dir.ring("fused"),
            ledger=board,
        )
    ) as inlet:
        context.link.send("ready")
        ended = False
        while not ended:
            context.beat()
            now_ns = clock.now_ns()
            if context.hurried or context.link.orphaned or c.ENGINE in context.link.forgotten:
                give_up_ns = give_up_ns or now_ns + round(_FAREWELL_S * NS_PER_S)
                ended = now_ns > give_up_ns
            inlet.tick(now_ns)
            wait([inlet], timeout_ms=_IDLE_MS)
            while not ended and (message := inlet.receive()) is not None:
                ended = isinstance(message, EndOfStream)
                if isinstance(message, Arrival):
                    started_ns = clock.now_ns()
                    handle(fused_frame(message))
                    took_ms.add((clock.now_ns() - started_ns) / NS_PER_MS)
                    board.add(c.SINK_WRITTEN)
                    inlet.consumed()
            if ended or clock.now_ns() >= stats_at_ns:
                stats_at_ns = clock.now_ns() + round(_STATS_EVERY_S * NS_PER_S)
                context.link.send("stats", stages={context.role: took_ms.as_dict()})


def fused_frame(message: Arrival) -> FusedFrame:
    """The fused frame that the engine sent: pixels from the ring, the rest from the event beside it."""
    event = json.loads(message.meta)
    return FusedFrame(
        pair_id=event["pair_id"],
        state=PairState(event["state"]),
        image=message.image,
        capture_ns=event["capture_ns"],
        fused_ns=message.descriptor.arrival_ns,
        skew_ms=event["skew_ms"],
        infrared_age_ms=event["infrared_age_ms"],
        visible_seq=event["visible_seq"],
        infrared_seq=event["infrared_seq"],
        detections=tuple(detection_of(record) for record in event["detections"]),
    )
