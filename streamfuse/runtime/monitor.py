"""Shows a pipeline to whoever watches it: Prometheus, an orchestrator, and its own workers."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from streamfuse.clock import NS_PER_S, Clock
from streamfuse.errors import OutputError
from streamfuse.io.closing import Closing
from streamfuse.io.metrics import MetricsServer, MetricsSnapshot, WorkerNumbers
from streamfuse.io.transport.ring import ring_nbytes
from streamfuse.runtime.health import WorkerPhase
from streamfuse.runtime.message import Message
from streamfuse.runtime.plan import Plan
from streamfuse.runtime.status import Status, write_status
from streamfuse.runtime.summary import Summary

__all__ = ["Monitor", "metrics_of"]

_LOOP_TIMEOUT_S: Final = 5.0
"""A supervisor that has not said anything for so long is stuck."""


class Monitor(Closing):
    """Takes the status of a pipeline twice a second and passes it on.

    Args:
        plan: The run's plan.
        clock: Monotonic time.
        say: Told what a person should know.

    Raises:
        OutputError: the address for the numbers cannot be listened on.
    """

    def __init__(self, plan: Plan, clock: Clock, *, say: Callable[[Message], None]) -> None:
        self._plan = plan
        self._clock = clock
        self._say = say
        self._latest: Status | None = None
        """Replaced as a whole: the server's threads read it."""
        self._cannot_write = False
        self._server: MetricsServer | None = None
        if (metrics := plan.config.metrics) is not None:
            server = MetricsServer(*metrics.address, self._numbers, healthy=self._stuck, ready=self._lacking)
            server.start()
            self._server = server

    def show(self, status: Status) -> None:
        """Pass on the status of this moment."""
        self._latest = status
        try:
            write_status(Path(self._plan.run_dir), status)
        except OutputError as error:
            if not self._cannot_write:
                self._cannot_write = True
                self._say(
                    Message(text=f"the viewer will not show the run's health: {error}", level="warning")
                )

    def close(self) -> None:
        """Stop showing; may be called twice."""
        if self._server is not None:
            self._server.close()

    def _numbers(self) -> MetricsSnapshot:
        return MetricsSnapshot() if self._latest is None else metrics_of(self._latest, self._plan)

    def _stuck(self) -> tuple[str, ...]:
        if self._latest is None:
            return ()
        silent_s = (self._clock.now_ns() - self._latest.now_ns) / NS_PER_S
        stuck = (f"the supervisor has been stuck for {silent_s:.0f} s",) if silent_s > _LOOP_TIMEOUT_S else ()
        return self._latest.health.not_healthy + stuck

    def _lacking(self) -> tuple[str, ...]:
        return ("starting",) if self._latest is None else self._latest.health.not_ready + self._stuck()


def metrics_of(status: Status, plan: Plan) -> MetricsSnapshot:
    """The status as the metrics page shows it."""
    now = status.summary
    return MetricsSnapshot(
        streams=now.streams,
        pairs=now.states,
        detections=now.detections,
        left_out=now.left_out,
        tracks=now.tracks,
        counts=now.counts,
        events=now.events,
        latency_ms=now.latency,
        skew_ms=now.skew,
        stages_ms=now.stages,
        fps=now.fps,
        sinks={
            name: {"written": sink.written, "failed": sink.failed, "dropped": sink.dropped}
            for name, sink in now.sinks.items()
        },
        queues=_queues(now),
        workers={
            name: WorkerNumbers(
                up=worker.phase is WorkerPhase.RUNNING,
                restarts=worker.restarts,
                resident_bytes=worker.resident_bytes,
            )
            for name, worker in status.workers.items()
        },
        cameras=now.cameras,
        offset_s={
            key.removesuffix("_ms"): value / 1000
            for key, value in now.offset.items()
            if key.endswith("_ms") and value is not None
        },
        registration_score=now.registration.get("score"),
        registration_shift_px={
            f"{what}_{axis}": px
            for what in ("shift", "corrected")
            for axis, px in zip("xy", now.registration.get(f"{what}_px") or (), strict=False)
        },
        is_bumped=bool(now.registration.get("bumped")),
        shared_memory_bytes={name: ring_nbytes(*ring) for name, ring in plan.rings.items()},
        device_memory_bytes={} if now.device_memory_bytes is None else {now.device: now.device_memory_bytes},
        disk_free_bytes=_disk_free(plan),
    )


def _queues(now: Summary) -> dict[str, int]:
    streams = {stream.value: account.in_flight for stream, account in now.streams.items()}
    return streams | {name: sink.waiting for name, sink in now.sinks.items()}


def _disk_free(plan: Plan) -> int | None:
    if plan.config.record is None:
        return None
    try:
        return shutil.disk_usage(plan.config.record.dir).free
    except OSError:  # the folder was removed: the recorder says so
        return None
