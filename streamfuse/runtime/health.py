"""Whether a run does its work, and whether a new start could help it: decided from its numbers alone.

Two questions, as monitoring asks them. *Ready*: does everything work that the pipeline asks for? If a camera
is lost or the disk is full, it does not. *Healthy*: does the program itself work, or has it got stuck, so
that whoever watches it (systemd, an orchestrator) had better start it again? A lost camera is no reason
for that: it would be lost after the start too.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from streamfuse.clock import NS_PER_S
from streamfuse.core.health import CameraState
from streamfuse.runtime.counters import ENGINE
from streamfuse.runtime.summary import Summary

__all__ = ["FUSE_TIMEOUT_S", "Health", "HealthWatch", "WorkerHealth", "WorkerPhase"]

FUSE_TIMEOUT_S: Final = 30.0
"""How long pairs may be made without one of them being fused."""
ENGINE_TIMEOUT_S: Final = 120.0
"""How long the engine may be away: covers compiling the network once more."""
_PAIR_PAUSE_S: Final = 5.0
"""After so long without a new pair none is waited for."""
_SINK_MEMORY_S: Final = 5.0
"""How long a frame that a sink could not deal with is held against it."""


class WorkerPhase(enum.StrEnum):
    """What a worker process is doing."""

    STARTING = "starting"
    RUNNING = "running"
    RESTARTING = "restarting"
    """It died, or is replaced after a reload, and its successor is not ready yet."""
    DONE = "done"
    """It has finished its work."""
    FAILED = "failed"
    """It has ended for good, for a reason that it gave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerHealth:
    """A worker at one moment."""

    phase: WorkerPhase
    restarts: int
    pid: int | None
    """None while there is no process."""
    resident_bytes: int
    """Memory that it has in use; 0 while there is no process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The answers, as reasons for a no; each is one short sentence."""

    not_ready: tuple[str, ...] = ()
    not_healthy: tuple[str, ...] = ()

    @property
    def ready(self) -> bool:
        """Whether everything works that the pipeline asks for."""
        return not self.not_ready

    @property
    def healthy(self) -> bool:
        """Whether the program itself works."""
        return not self.not_healthy


class HealthWatch:
    """Follows the numbers of a run; fed a few times a second."""

    def __init__(self) -> None:
        self._paired = 0
        self._fused = 0
        self._fused_ns: int | None = None
        """When a frame was last fused, or none could be expected."""
        self._paired_ns = 0
        """When a pair was last made."""
        self._engine_ns: int | None = None
        """When the engine was last seen running."""
        self._failed: dict[str, int] = {}
        self._failed_ns: dict[str, int] = {}

    def see(
        self,
        summary: Summary,
        workers: Mapping[str, WorkerHealth],
        *,
        begun: bool,
        stopping: bool,
        now_ns: int,
    ) -> Health:
        """Judge the run by its numbers at ``now_ns`` (monotonic).

        Args:
            summary: The numbers.
            workers: Every worker, by role.
            begun: Whether all workers have been ready, so that frames may come.
            stopping: Whether it was told to end.
            now_ns: The moment of the numbers.
        """
        if stopping:
            return Health(not_ready=("the run is ending",))
        if not begun:
            waiting = [name for name, worker in workers.items() if worker.phase is WorkerPhase.STARTING]
            return Health(not_ready=(f"starting: {', '.join(waiting) or 'soon'}",))
        troubles = (*_away(workers), *_blind(summary), *_apart(summary), *self._failing(summary, now_ns))
        return Health(not_ready=troubles, not_healthy=tuple(self._stuck(summary, workers, now_ns)))

    def _failing(self, summary: Summary, now_ns: int) -> Iterator[str]:
        for name, sink in summary.sinks.items():
            if sink.failed > self._failed.get(name, 0):
                self._failed[name], self._failed_ns[name] = sink.failed, now_ns
            since_ns = self._failed_ns.get(name)
            if since_ns is not None and now_ns - since_ns < _SINK_MEMORY_S * NS_PER_S:
                yield f"{name}: it loses frames, {sink.failed} so far"

    def _stuck(self, summary: Summary, workers: Mapping[str, WorkerHealth], now_ns: int) -> Iterator[str]:
        is_running = workers[ENGINE].phase is WorkerPhase.RUNNING
        if self._engine_ns is None or is_running:
            self._engine_ns = now_ns
        away_ns = now_ns - self._engine_ns
        if away_ns > ENGINE_TIMEOUT_S * NS_PER_S:
            yield f"the engine has been away for {away_ns // NS_PER_S} s"
        if summary.paired != self._paired:
            self._paired, self._paired_ns = summary.paired, now_ns
        pairs_come = now_ns - self._paired_ns < _PAIR_PAUSE_S * NS_PER_S
        if self._fused_ns is None or summary.fused != self._fused or not (pairs_come and is_running):
            self._fused, self._fused_ns = summary.fused, now_ns
        idle_ns = now_ns - self._fused_ns
        if idle_ns > FUSE_TIMEOUT_S * NS_PER_S:
            yield f"pairs are made and none has been fused for {idle_ns // NS_PER_S} s"


def _away(workers: Mapping[str, WorkerHealth]) -> Iterator[str]:
    for name, worker in workers.items():
        if worker.phase is not WorkerPhase.RUNNING:
            yield f"{name}: {worker.phase}"


def _apart(summary: Summary) -> Iterator[str]:
    """A bumped bracket, unless a correction has taken it out."""
    apart_px = summary.registration.get("apart_px")
    if apart_px is not None:
        yield f"registration: the images are {apart_px:.0f} px apart"


def _blind(summary: Summary) -> Iterator[str]:
    for stream, camera in summary.cameras.items():
        if camera.state in {CameraState.STARTING, CameraState.LOST}:
            yield f"{stream}: the camera is {camera.state}"
