"""Publish: tells the world about each fused frame, without its pixels."""

from __future__ import annotations

from contextlib import ExitStack, closing

from streamfuse.clock import UtcFollower
from streamfuse.config.outputs import JsonlSink
from streamfuse.frames import FusedFrame
from streamfuse.io.publish import open_publisher
from streamfuse.runtime.context import Context
from streamfuse.runtime.stages.sink import consume

__all__ = ["run"]


def run(context: Context) -> None:
    """Send every fused frame's event to all configured publishers."""
    utc = UtcFollower()
    with ExitStack() as stack:
        publishers = [
            stack.enter_context(closing(open_publisher(sink.kind, sink.path, utc=utc)))
            for sink in context.plan.config.publish
            if isinstance(sink, JsonlSink)
        ]

        def publish(frame: FusedFrame) -> bool:
            utc.follow(context.clock.now_ns())
            for publisher in publishers:
                publisher.publish(frame)
            return True

        consume(context, publish)
