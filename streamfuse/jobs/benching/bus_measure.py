"""One measurement of the bus: spawns the producers and the consumers, and collects what they saw."""

from __future__ import annotations

import multiprocessing as mp
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from multiprocessing.context import SpawnContext
from typing import Any, Final

import numpy as np

from streamfuse.clock import NS_PER_MS, NS_PER_S
from streamfuse.errors import PromiseError
from streamfuse.io.transport.rundir import RunDir
from streamfuse.jobs.benching.bus_child import consume, produce
from streamfuse.jobs.benching.bus_ends import Wire
from streamfuse.jobs.benching.bus_load import WINDOW, Load
from streamfuse.jobs.benching.child import Child, answers

__all__ = ["StreamSample", "measure"]

_PATIENCE_S: Final = 60
"""How much longer than the measurement itself the processes may take."""
_WARM_UP: Final = 0.2
"""First part of the frames that is not counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSample:
    """What one measurement saw of one stream."""

    hop_ms: Mapping[str, float]
    """Percentiles, from before the producer writes until the first consumer has the pixels."""
    received_fps: Sequence[float]
    """Of each consumer."""
    sent_fps: float
    producer_cpu_us: float
    """Per frame, all threads of the producer."""
    memory_nbytes: int
    """What both ends took while it ran, shared memory counted once."""
    extra: Mapping[str, float]


def measure(load: Load) -> dict[str, StreamSample]:
    """Run a load; by the name of the stream.

    Raises:
        PromiseError: a process failed or did not come to its end.
    """
    context = mp.get_context("spawn")
    with ExitStack() as stack:
        folder = stack.enter_context(RunDir.create()).path
        # They live as long as this list: a queue that nobody refers to is gone before its child has found it.
        wires = [
            Wire(
                load=load,
                stream=stream,
                folder=folder,
                queues=[context.Queue(WINDOW) for _ in range(load.consumers)],
            )
            for stream in load.streams
        ]
        ends: dict[str, list[Child]] = {}
        for wire in wires:
            jobs = [(produce, 0), *((consume, number) for number in range(load.consumers))]
            ends[wire.stream.name] = [
                stack.enter_context(closing(_child(context, job, wire, number))) for job, number in jobs
            ]
        children = [child for of_stream in ends.values() for child in of_stream]
        answers(children, timeout_s=_PATIENCE_S)
        _tell(children, "go")
        said = iter(answers(children, timeout_s=_PATIENCE_S + load.seconds))
        seen = {name: [next(said) for _ in of_stream] for name, of_stream in ends.items()}
        _tell(children, "leave")
        return {name: _sample(of_stream[0], of_stream[1:]) for name, of_stream in seen.items()}


def _child(context: SpawnContext, job: Callable[..., None], wire: Wire, number: int) -> Child:
    what = f"{wire.load.transport}: {job.__name__} {wire.stream.name}"
    return Child(context, what, job, (wire, number))


def _tell(children: Sequence[Child], word: str) -> None:
    for child in children:
        child.tell(word)


def _sample(producer: Mapping[str, Any], consumers: Sequence[Mapping[str, Any]]) -> StreamSample:
    hops_ns = np.array(consumers[0]["hops_ns"])
    if not len(hops_ns):
        raise PromiseError("no frame arrived; measure for longer")
    counted = hops_ns[round(len(hops_ns) * _WARM_UP) :] / NS_PER_MS
    quantiles = np.percentile(counted, [50, 95, 99])
    return StreamSample(
        hop_ms={name: float(value) for name, value in zip(("p50", "p95", "p99"), quantiles, strict=True)},
        received_fps=[len(seen["hops_ns"]) / (seen["took_ns"] / NS_PER_S) for seen in consumers],
        sent_fps=producer["frames"] / (producer["took_ns"] / NS_PER_S),
        producer_cpu_us=producer["cpu_ns"] / 1e3 / producer["frames"],
        memory_nbytes=producer["memory_nbytes"]
        + producer["extra"].get("shared_nbytes", 0)
        + sum(seen["memory_nbytes"] for seen in consumers),
        extra=producer["extra"],
    )
