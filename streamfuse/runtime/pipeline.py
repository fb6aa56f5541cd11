"""One pipeline of a run, as the supervisor sees it: its plan, its memory, its workers and what they say."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack, closing
from typing import Any

from streamfuse.config.pipeline import PipelineConfig
from streamfuse.errors import PromiseError, SourceError, StreamfuseError
from streamfuse.frames import StreamName
from streamfuse.io.files import check_writable
from streamfuse.io.transport.board import Board
from streamfuse.io.transport.ring import RingWriter
from streamfuse.io.transport.rundir import RunDir
from streamfuse.io.transport.segment import preflight
from streamfuse.runtime.counters import ENGINE, counters_of
from streamfuse.runtime.health import HealthWatch, WorkerHealth, WorkerPhase
from streamfuse.runtime.message import Level, Message
from streamfuse.runtime.plan import Plan
from streamfuse.runtime.planning import make_plan
from streamfuse.runtime.report import Report
from streamfuse.runtime.status import Status, resident_bytes
from streamfuse.runtime.summary import Summary
from streamfuse.runtime.supervisor import Supervisor, WorkerState

__all__ = ["Pipeline", "open_pipeline"]


def open_pipeline(
    config: PipelineConfig,
    stack: ExitStack,
    *,
    prefix: str,
    max_frames: int | None,
    wait_s: float | None,
    say: Callable[[Message], None],
) -> Pipeline:
    """Look at the sources of a pipeline, and take its shared memory.

    Args:
        config: of the pipeline.
        stack: gives the memory back.
        prefix: what the names of its workers begin with.
        max_frames: fused pairs after which it ends.
        wait_s: how long an absent camera may be waited for; None: for ever.
        say: told what a person should know.

    Raises:
        StreamfuseError: it cannot run.
    """
    run_dir = stack.enter_context(RunDir.create())
    plan = make_plan(
        config,
        run_dir=run_dir.path,
        max_frames=max_frames,
        say=lambda text: say(Message(text=text, source=prefix.rstrip("/") or "run")),
        wait_s=wait_s,
    )
    for stream in plan.absent:
        text = plan.without(stream)
        say(Message(text=text, source=f"{prefix}{stream}", event="camera", level="warning"))
    if config.record is not None:
        check_writable(config.record.dir)
    # All shared memory now, so that a full one is an error at the start and not a crash later.
    preflight(run_dir.path, plan.shared_nbytes)
    for name, (slots, nbytes) in plan.rings.items():
        RingWriter.create(run_dir.ring(name), slots=slots, slot_nbytes=nbytes).close()
    boards = {
        role: stack.enter_context(closing(Board.create(run_dir.board(role), counters_of(role))))
        for role in (*StreamName, ENGINE, *plan.sinks)
    }
    return Pipeline(plan, boards, prefix=prefix, say=say)


class Pipeline:
    """Its workers have names that begin with ``prefix``; the engine has none, as all pipelines share it.

    Args:
        plan: of the pipeline; replaced when its file is read again.
        boards: the counters of its workers, by role.
        prefix: of their names: empty in a run of one pipeline.
        say: told what a person should know.
    """

    def __init__(
        self, plan: Plan, boards: Mapping[str, Board], *, prefix: str, say: Callable[[Message], None]
    ) -> None:
        self.plan = plan
        self.workers = {role: role if role == ENGINE else f"{prefix}{role}" for role in boards}
        """Names of the workers, by role."""
        self.report = Report()
        self.is_over = False
        """It ends or has ended; others may go on."""
        self.failure: tuple[int, str] | None = None
        """Exit code and sentence of the engine about this pipeline alone."""
        self.is_down = False
        """The engine runs, but its lane for this pipeline is to begin again."""
        self._lane_restarts = 0
        self._boards = boards
        self.prefix = prefix
        """Of the names of its workers."""
        self._say = say
        self._health = HealthWatch()

    @property
    def name(self) -> str:
        """As its file says."""
        return self.plan.config.name

    @property
    def own_workers(self) -> Collection[str]:
        """Names of the workers that are of this pipeline only."""
        return [name for role, name in self.workers.items() if role != ENGINE]

    @property
    def lane(self) -> dict[str, Any]:
        """What a worker's order says of this pipeline."""
        return {"prefix": self.prefix, "plan": self.plan.to_json()}

    @property
    def wants_to_end(self) -> bool:
        """Whether the engine is done with it, for better or worse."""
        return self.report.enough or self.report.finished or self.failure is not None

    def pulse(self, role: str) -> int:
        """Progress of a worker."""
        return self._boards[role].get("progress")

    def order(self, role: str) -> dict[str, Any]:
        """The order of a worker that is of this pipeline only."""
        return {"role": role, "lanes": [self.lane]}

    def hear(self, role: str, event: Mapping[str, Any]) -> None:
        """Take in what a worker says of this pipeline."""
        self.report.hear(role, event)
        match event["event"]:
            case "lane_ready":
                self.is_down = False
            case "lane_lost":
                self.is_down = True
                self._lane_restarts += 1
            case "lane_error":
                self.failure = int(event["exit_code"]), str(event["text"])

    def tell_all(self, event: str, text: str, *, level: Level = "info") -> None:
        """Tell people something about this pipeline as a whole."""
        self._say(Message(text=text, source=self.prefix.rstrip("/") or "run", event=event, level=level))

    def is_hopeless(self, workers: Mapping[str, WorkerState]) -> bool:
        """Whether a camera has failed for a reason that does not heal; all others are tried for ever."""
        return any(
            self.plan.source(stream).live and workers[self.workers[stream]].error for stream in StreamName
        )

    def summary(self, workers: Mapping[str, WorkerState]) -> Summary:
        """The numbers of the moment, from the boards and the workers' last words."""
        counters = {role: board.snapshot() for role, board in self._boards.items()}
        restarts = {role: workers[name].restarts for role, name in self.workers.items()}
        restarts[ENGINE] += self._lane_restarts
        return Summary.of(counters, self.report, restarts=restarts)

    def status(self, supervisor: Supervisor, now_ns: int) -> Status:
        """How it is at this moment."""
        summary = self.summary(supervisor.workers)
        workers = {
            role: self._worker_health(role, supervisor.workers[name]) for role, name in self.workers.items()
        }
        begun = supervisor.epoch_ns is not None
        stopping = supervisor.stopping or self.is_over
        health = self._health.see(summary, workers, begun=begun, stopping=stopping, now_ns=now_ns)
        return Status(summary=summary, workers=workers, health=health, begun=begun, now_ns=now_ns)

    def problems(
        self, summary: Summary, workers: Mapping[str, WorkerState], *, interrupted: bool
    ) -> list[StreamfuseError]:
        """What went wrong, beyond what the workers have said of themselves."""
        found: list[StreamfuseError] = []
        deaths = summary.restarts.get(ENGINE, 0) + workers[ENGINE].killed
        if not (interrupted or summary.pairs) and (problem := _nothing_fused(summary, deaths)) is not None:
            found.append(problem)
        if (recorder := summary.sinks.get("recorder")) is not None and recorder.failed:
            lost = f"{recorder.failed} of {recorder.offered} pairs were not recorded"
            found.append(PromiseError(f"recorder: {lost}; see the messages above"))
        found += (PromiseError(broken) for broken in summary.broken_promises())
        return found

    def _worker_health(self, role: str, worker: WorkerState) -> WorkerHealth:
        pid = None if worker.child is None else worker.child.pid
        lane_is_down = role == ENGINE and self.is_down
        return WorkerHealth(
            phase=WorkerPhase.RESTARTING if lane_is_down else worker.phase,
            restarts=worker.restarts,
            pid=pid,
            resident_bytes=resident_bytes(pid),
        )


def _nothing_fused(summary: Summary, deaths: int) -> StreamfuseError | None:
    """Why a run that went to its end has not made a pair; None where it was only too short."""
    if deaths:
        often = "once" if deaths == 1 else f"{deaths} times"
        return PromiseError(f"not one pair was fused: the engine died {often}; see the messages above")
    if summary.cameras:
        return SourceError("not one pair was made: no camera gave a picture in time; see the messages above")
    return None
