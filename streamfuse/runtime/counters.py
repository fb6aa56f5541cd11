"""The counters of each worker, by name: one list, read by the workers that count and by the summary.

Counters live in shared memory (:mod:`streamfuse.io.transport.board`), so they outlive a worker that is
killed, and its successor goes on with them. Those named ``to.…`` and ``from.…`` are kept by the bus.
"""

from __future__ import annotations

from typing import Final

from streamfuse.core.flow import outbox_counters
from streamfuse.core.wire import Channel
from streamfuse.frames import DropCause, PairState, StreamName
from streamfuse.io.transport.inlet import inlet_counters

__all__ = [
    "CAMERA_STATE",
    "CAPTURED",
    "CAPTURE_CAUSES",
    "DETECTIONS",
    "ENGINE",
    "EVENTS",
    "FUSED",
    "LAST_FRAME_NS",
    "LEFT_OUT",
    "OPENED",
    "PAIRED",
    "SINKS",
    "SINK_FAILED",
    "SINK_WRITTEN",
    "TRACKS",
    "capture_dropped",
    "counters_of",
    "dropped",
    "emitted",
    "held",
    "pairs",
]

ENGINE: Final = "engine"
SINKS: Final = ("recorder", "viewer", "window", "publisher")

CAPTURED: Final = "captured"
PAIRED: Final = "paired"
"""Pairs made, whether they were fused or not: the next pair's id, also for an engine that was restarted."""
FUSED: Final = "fused"
DETECTIONS: Final = "detections"
TRACKS: Final = "tracks"
"""Objects that were followed: the id of the last track, and where an engine that was restarted goes on."""
LEFT_OUT: Final = "left_out"
"""Objects beyond the ``most`` of their tasks."""
EVENTS: Final = "events"
"""Events that rules have seen begin."""
SINK_WRITTEN: Final = "written"
SINK_FAILED: Final = "failed"
"""Frames that reached a sink and could not be dealt with, for example because the disk was full."""

CAMERA_STATE: Final = "camera.state"
"""Code of the :class:`~streamfuse.core.health.CameraState`; 0 where the source is no camera."""
OPENED: Final = "camera.opened"
"""How often the camera's pictures began to come; all but the first time it had been away."""
LAST_FRAME_NS: Final = "camera.last_frame_ns"
"""Monotonic time of the newest frame; 0 before the first."""

CAPTURE_CAUSES: Final = tuple(DropCause)
"""Why a capture worker drops frames before it offers them: a source may know of any cause."""


def capture_dropped(cause: DropCause) -> str:
    """Frames that a capture worker dropped before it offered them."""
    return f"dropped.{cause}"


def emitted(stream: StreamName) -> str:
    """Frames of a stream that left the engine in a pair."""
    return f"{stream}.emitted"


def held(stream: StreamName) -> str:
    """Frames of a stream that the engine holds at this moment."""
    return f"{stream}.held"


def dropped(stream: StreamName, cause: DropCause) -> str:
    """Frames of a stream that the engine dropped."""
    return f"{stream}.dropped.{cause}"


def pairs(state: PairState) -> str:
    """Pairs that left the engine in a state."""
    return f"pairs.{state}"


def counters_of(role: str) -> tuple[str, ...]:
    """All counters of one worker, besides those that every board has."""
    if role in set(StreamName):
        camera = (CAMERA_STATE, OPENED, LAST_FRAME_NS)
        return (CAPTURED, *camera, *map(capture_dropped, CAPTURE_CAUSES), *outbox_counters([ENGINE]))
    if role != ENGINE:
        return (SINK_WRITTEN, SINK_FAILED, *inlet_counters(Channel.FUSED))
    names = [
        PAIRED,
        FUSED,
        DETECTIONS,
        TRACKS,
        LEFT_OUT,
        EVENTS,
        *map(pairs, PairState),
        *outbox_counters(SINKS),
    ]
    for stream in StreamName:
        names += [emitted(stream), held(stream), *(dropped(stream, cause) for cause in DropCause)]
        names += inlet_counters(Channel(stream))
    return tuple(names)
