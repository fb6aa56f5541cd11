"""A pipeline's ends at the bus, in the engine: where its frames come in and its fused frames go out."""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import Final

from streamfuse.core.flow import Delivery, Outbox
from streamfuse.core.wire import Channel
from streamfuse.frames import DropCause, Frame, StreamName
from streamfuse.io.transport.inlet import Arrival, Inlet
from streamfuse.io.transport.outlet import Outlet
from streamfuse.io.transport.ring import RingWriter
from streamfuse.io.transport.staging import Allocate, Staging
from streamfuse.runtime import counters as c
from streamfuse.runtime.context import Context
from streamfuse.runtime.plan import STREAM_WINDOW

__all__ = ["frame_of", "open_inlet", "open_outlet", "settle"]

_STAGED: Final = 4 * STREAM_WINDOW
"""Frames of a stream with memory that is used again: under way, waiting for a partner, in two batches."""


def open_outlet(context: Context, stack: ExitStack) -> Outlet:
    """The way to the sinks; its ring is closed by ``stack``."""
    delivery = Delivery.EVERY_FRAME if context.plan.every_frame else Delivery.REALTIME
    return Outlet(
        context.run_dir.endpoint("fused"),
        ring=stack.enter_context(closing(RingWriter.open(context.run_dir.ring("fused")))),
        outbox=Outbox(delivery, context.plan.sinks, ledger=context.board),
        stream=Channel.FUSED,
    )


def open_inlet(context: Context, stream: StreamName, allocate: Allocate) -> Inlet:
    """The way from a capture; ``allocate`` makes the memory that its frames are copied to."""
    return Inlet(
        context.run_dir.endpoint(stream),
        stream=Channel(stream),
        consumer=c.ENGINE,
        window=STREAM_WINDOW,
        ring_path=context.run_dir.ring(stream),
        ledger=context.board,
        staging=Staging(context.plan.source(stream).spec.nbytes, buffers=_STAGED, allocate=allocate),
    )


def settle(context: Context) -> None:
    """What a predecessor held that died is lost; say so in its place."""
    board = context.board
    for stream in StreamName:
        known = board.get(c.emitted(stream)) + sum(board.get(c.dropped(stream, cause)) for cause in DropCause)
        board.add(c.dropped(stream, DropCause.WORKER_LOST), board.get(f"from.{stream}.delivered") - known)
        board.set(c.held(stream), 0)


def frame_of(stream: StreamName, message: Arrival) -> Frame:
    """What has arrived, as a frame of a stream."""
    descriptor = message.descriptor
    return Frame(
        stream=stream,
        seq=descriptor.seq,
        image=message.image,
        pts_ns=descriptor.pts_ns,
        capture_ns=descriptor.capture_ns,
        arrival_ns=descriptor.arrival_ns,
    )
