"""Record: writes the fused stream to disk, with its index."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from streamfuse.clock import UtcFollower
from streamfuse.config.pipeline import Record
from streamfuse.core.trails import Trails
from streamfuse.frames import FusedFrame, Image
from streamfuse.io.recorder.recorder import Recorder
from streamfuse.runtime.context import Context
from streamfuse.runtime.stages.sink import consume

__all__ = ["run"]


def run(context: Context) -> None:
    """Record until the stream ends; what is on disk is readable at any moment."""
    plan = context.plan
    config = plan.config.record
    assert config is not None  # the plan starts a recorder only where one is configured
    dress = _dresser(config)
    utc = UtcFollower()
    told = 0

    def turn() -> None:
        now_ns = context.clock.now_ns()
        utc.follow(now_ns)
        fresh = context.fresh_config()
        if fresh is not None and fresh.record is not None:
            recorder.reload(fresh.record)
        recorder.turn(now_ns)

    def write(frame: FusedFrame) -> bool:
        nonlocal told
        dressed = dataclasses.replace(frame, image=dress(frame))
        done = recorder.write(dressed, now_ns=context.clock.now_ns())
        for path in recorder.paths[told:]:
            context.link.send("recording", path=str(path))
        told = len(recorder.paths)
        return done

    with Recorder(
        config,
        name=plan.config.name,
        fps=plan.source(plan.base).fps,
        utc=utc,
        say=lambda level, text: context.link.send("log", text=text, level=level),
        patient=context.restarts > 0,
    ) as recorder:
        consume(context, write, on_turn=turn)


def _dresser(config: Record) -> Callable[[FusedFrame], Image]:
    """What is recorded of a frame: its image, or its image with the objects drawn in."""
    if not config.overlay:
        return lambda frame: frame.image
    # Drawing is asked for by few, and loads another library.
    from streamfuse.core.convert import image_to_rgb  # noqa: PLC0415 - see above
    from streamfuse.io.overlay import draw_overlay  # noqa: PLC0415

    trails = Trails()

    def draw(frame: FusedFrame) -> Image:
        picture = draw_overlay(
            image_to_rgb(frame.image),
            frame.detections,
            counts=frame.counts,
            areas=frame.areas,
            trails=trails.see(frame.detections, capture_ns=frame.capture_ns),
        )
        return Image.from_rgb(picture)

    return draw
