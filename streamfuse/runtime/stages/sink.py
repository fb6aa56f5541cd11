"""What all sinks share: take fused frames off the bus until the stream ends."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Final

from streamfuse.clock import NS_PER_MS, NS_PER_S
from streamfuse.core.pair_record import area_of, count_of, detection_of, event_of
from streamfuse.core.stats import Histogram
from streamfuse.core.wire import Channel, EndOfStream
from streamfuse.frames import FusedFrame, Image, ImageSpec, Layer, PairState
from streamfuse.io.transport.bus import wait
from streamfuse.io.transport.inlet import Arrival, Inlet
from streamfuse.runtime import counters as c
from streamfuse.runtime.context import Context
from streamfuse.runtime.plan import SINK_WINDOWS

__all__ = ["consume"]

_IDLE_MS: Final = 100
_STATS_EVERY_S: Final = 1.0
_FAREWELL_S: Final = 1.8
"""How long a sink that was told to stop waits for the engine's last frames."""


def consume(
    context: Context, handle: Callable[[FusedFrame], bool], *, on_turn: Callable[[], None] = lambda: None
) -> None:
    """Call ``handle`` for every fused frame until the stream ends, and count.

    Args:
        context: the worker's.
        handle: does the sink's work on one frame, and says whether it could.
        on_turn: called all the time, ten times a second at least, whether frames come or not.
    """
    board, clock = context.board, context.clock
    took_ms = Histogram()
    stats_at_ns = 0
    give_up_ns: int | None = None
    layers = context.plan.layers if context.plan.layers_of(context.role) else {}
    beside_nbytes = max((start + spec.nbytes for start, spec in layers.values()), default=0)
    beside_nbytes = max(0, beside_nbytes - context.plan.fused_spec.nbytes)
    with closing(
        Inlet(
            context.run_dir.endpoint("fused"),
            stream=Channel.FUSED,
            consumer=context.role,
            window=SINK_WINDOWS[context.role],
            ring_path=context.run_dir.ring("fused"),
            ledger=board,
            beside_nbytes=beside_nbytes,
        )
    ) as inlet:
        context.link.send("ready")
        ended = False
        while not ended:
            context.beat()
            on_turn()
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
                    done = handle(fused_frame(message, layers))
                    took_ms.add((clock.now_ns() - started_ns) / NS_PER_MS)
                    board.add(c.SINK_WRITTEN if done else c.SINK_FAILED)
                    inlet.consumed()
            if ended or clock.now_ns() >= stats_at_ns:
                stats_at_ns = clock.now_ns() + round(_STATS_EVERY_S * NS_PER_S)
                context.link.send("stats", stages={context.role: took_ms.as_dict()})


def fused_frame(message: Arrival, layers: Mapping[Layer, tuple[int, ImageSpec]]) -> FusedFrame:
    """The fused frame that the engine sent: pixels from the ring, the rest from the record beside it.

    ``layers``: the images that were copied with it, as :attr:`streamfuse.runtime.plan.Plan.layers` has them.
    """
    record = json.loads(message.meta)
    beside = {
        layer: Image.from_buffer(spec, message.memory[start:])
        for layer, (start, spec) in layers.items()
        if layer in record["layers"]
    }
    return FusedFrame(
        pair_id=record["pair_id"],
        state=PairState(record["state"]),
        image=message.image,
        capture_ns=record["capture_ns"],
        fused_ns=message.descriptor.arrival_ns,
        skew_ms=record["skew_ms"],
        infrared_age_ms=record["infrared_age_ms"],
        visible_seq=record["visible_seq"],
        infrared_seq=record["infrared_seq"],
        detections=tuple(map(detection_of, record["detections"])),
        events=tuple(map(event_of, record["events"])),
        counts=tuple(map(count_of, record["counts"])),
        areas=tuple(map(area_of, record["areas"])),
        layers=beside,
    )
