"""The stages of a pipeline alone: each in a process of its own, with frames from a file or from memory.

They do the work of their stage with the parts that the real one is made of, and nothing of what stands around
it: no bus, no pairing, no clocks, no rules.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from types import MappingProxyType
from typing import Final

from streamfuse.clock import NS_PER_S, SystemClock, UtcFollower
from streamfuse.config.pipeline import PipelineConfig
from streamfuse.errors import SourceError
from streamfuse.frames import FusedFrame, Image, PairState, StreamName
from streamfuse.io.recorder.recorder import Recorder
from streamfuse.io.sources import open_source
from streamfuse.jobs.benching.child import READY

__all__ = ["STAGES", "Order", "StageTurn", "stage_names", "work"]

STAGES: Final = ("capture visible", "capture infrared", "engine", "recorder")
"""By the titles of their processes in a run."""
Work = Callable[[], Mapping[str, float]]
"""One turn; gives milliseconds of each step for a frame, where the stage has steps."""

_FPS: Final = 30
"""Of the times on the frames."""
_KEPT: Final = 60
"""Frames of a stream in memory, used again and again: more than any cache holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a stage is to do."""

    stage: str
    config: str
    """The :class:`PipelineConfig` as JSON; its sources are the files to read."""
    folder: Path
    """For what it writes."""
    frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTurn:
    """One turn of a stage."""

    frames: int
    took_s: float
    cpu_s: float
    """Of the whole process, all threads."""
    steps_ms: Mapping[str, float] = field(default_factory=dict)
    """Of a frame, on average, by the name of the step; where the stage has steps."""

    @property
    def per_s(self) -> float:
        """Frames a second."""
        return self.frames / self.took_s


def stage_names(config: PipelineConfig) -> tuple[str, ...]:
    """The stages that a pipeline has."""
    return STAGES if config.record is not None else STAGES[:-1]


def work(order: Order, parent: Connection) -> None:
    """Be a stage: get ready, then work at every word until told None."""
    config = PipelineConfig.model_validate_json(order.config)
    clock = SystemClock()
    with _STAGES[order.stage](order, config) as turn:
        parent.send(READY)
        while parent.recv() is not None:
            began_ns, began_cpu_ns = clock.now_ns(), time.process_time_ns()
            steps_ms = turn()
            parent.send(
                StageTurn(
                    frames=order.frames,
                    took_s=(clock.now_ns() - began_ns) / NS_PER_S,
                    cpu_s=(time.process_time_ns() - began_cpu_ns) / NS_PER_S,
                    steps_ms=steps_ms,
                )
            )


@contextmanager
def _capture(order: Order, config: PipelineConfig) -> Iterator[Work]:
    """Open the file and read it."""
    stream = StreamName(order.stage.removeprefix("capture "))

    def turn() -> Mapping[str, float]:
        _read(config, stream, order.frames, keep=False)
        return {}

    yield turn


@contextmanager
def _engine(order: Order, config: PipelineConfig) -> Iterator[Work]:
    """Register, fuse and look."""
    # Each stage is a process of its own, and only this one needs networks.
    from streamfuse.jobs.benching.pipeline_engine import Bench  # noqa: PLC0415 - see above

    kept = min(_KEPT, order.frames)
    visible, infrared = (_read(config, stream, kept, keep=True) for stream in StreamName)
    with closing(Bench(config, list(zip(visible, infrared, strict=True)))) as bench:
        yield lambda: bench.turn(order.frames)


@contextmanager
def _recorder(order: Order, config: PipelineConfig) -> Iterator[Work]:
    """Record the visible stream as if it were the fused one: form, size and detail are the same."""
    images = _read(config, StreamName.VISIBLE, min(_KEPT, order.frames), keep=True)
    clock, turns = SystemClock(), itertools.count()
    assert config.record is not None  # else there is no such stage
    wanted = config.record

    def turn() -> Mapping[str, float]:
        record = wanted.model_copy(update={"dir": order.folder / str(next(turns)), "overlay": False})
        utc, begin_ns = UtcFollower(), clock.now_ns()
        utc.follow(begin_ns)
        with Recorder(record, name="bench", fps=_FPS, utc=utc) as recorder:
            for number in range(order.frames):
                recorder.turn(clock.now_ns())
                frame = _fused(images[number % len(images)], number, begin_ns)
                recorder.write(frame, now_ns=clock.now_ns())
        return {}

    yield turn


def _fused(image: Image, number: int, begin_ns: int) -> FusedFrame:
    return FusedFrame(
        pair_id=number,
        state=PairState.MATCHED,
        image=image,
        capture_ns=begin_ns + number * NS_PER_S // _FPS,
        fused_ns=begin_ns + number * NS_PER_S // _FPS,
        skew_ms=0.0,
        infrared_age_ms=0.0,
        visible_seq=number,
        infrared_seq=number,
    )


_STAGES: Final[Mapping[str, Callable[[Order, PipelineConfig], AbstractContextManager[Work]]]] = (
    MappingProxyType(dict(zip(STAGES, (_capture, _capture, _engine, _recorder), strict=True)))
)


def _read(config: PipelineConfig, stream: StreamName, count: int, *, keep: bool) -> list[Image]:
    """Decode the first frames of a stream."""
    camera = config.sources.visible if stream is StreamName.VISIBLE else config.sources.infrared
    images: list[Image] = []
    with closing(open_source(camera, stream=stream)) as source:
        for number in range(count):
            if (frame := source.read()) is None:
                raise SourceError(f"{stream}: {camera.uri} ended after {number} of {count} frames")
            if keep:
                images.append(frame.image)
    return images
