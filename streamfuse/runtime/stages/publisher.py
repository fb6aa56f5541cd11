"""Publish: tells the world about each fused frame and each event, without pixels."""

from __future__ import annotations

from streamfuse.clock import UtcFollower
from streamfuse.frames import FusedFrame
from streamfuse.io.publish.publishers import Publishers
from streamfuse.io.publish.standing import News
from streamfuse.runtime.context import Context
from streamfuse.runtime.stages.sink import consume

__all__ = ["run"]


def run(context: Context) -> None:
    """Send the messages of every fused frame to all configured publishers."""
    config, utc = context.plan.config, UtcFollower()
    with Publishers(config.publish, pipeline=config.name, utc=utc) as publishers:

        def publish(frame: FusedFrame) -> bool:
            lost = publishers.lost
            publishers.publish(frame)
            return publishers.lost == lost

        def on_turn() -> None:
            utc.follow(context.clock.now_ns())
            _tell(context, publishers.turn())

        consume(context, publish, on_turn=on_turn)
        _tell(context, publishers.finish())


def _tell(context: Context, news: list[News]) -> None:
    for each in news:
        context.link.send("log", text=each.text, level=each.level)
