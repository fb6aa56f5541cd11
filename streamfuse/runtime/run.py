"""One run from beginning to end: shared memory up, workers up, wait, down again, the summary."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any, Final

from streamfuse.clock import NS_PER_S, Clock, SystemClock
from streamfuse.config.fields import split_host_port
from streamfuse.config.pipeline import PipelineConfig
from streamfuse.errors import EXIT_INTERRUPTED, PromiseError, SourceError
from streamfuse.frames import StreamName
from streamfuse.io.files import check_writable
from streamfuse.io.metrics import MetricsServer
from streamfuse.io.signals import Signals, caught_signals
from streamfuse.io.transport.board import Board
from streamfuse.io.transport.ring import RingWriter
from streamfuse.io.transport.rundir import RunDir
from streamfuse.io.transport.segment import preflight
from streamfuse.runtime.counters import ENGINE, counters_of
from streamfuse.runtime.plan import Plan, make_plan
from streamfuse.runtime.report import Report
from streamfuse.runtime.summary import Summary, metrics_of
from streamfuse.runtime.supervisor import STALL_TIMEOUT_S, Supervisor

__all__ = ["RunOptions", "RunResult", "run_pipeline"]

DRAIN_TIMEOUT_S: Final = 30.0
"""How long the workers may take to finish what is under way after a normal end."""
INTERRUPT_TIMEOUT_S: Final = 2.3
"""How long after Ctrl-C: with the hard kill and the clean-up it stays within 3 s."""
_STATUS_EVERY_S: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """When to stop, besides the end of the sources and Ctrl-C."""

    duration_s: float | None = None
    max_frames: int | None = None
    stall_timeout_s: float = STALL_TIMEOUT_S
    """Seconds without progress after which a worker is replaced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """How a run ended."""

    summary: Summary
    exit_code: int
    problems: tuple[str, ...] = ()
    """One sentence for each thing that went wrong."""
    began: bool = True
    """False when it ended before the first frame could be captured."""


def run_pipeline(
    config: PipelineConfig,
    options: RunOptions,
    *,
    on_status: Callable[[Summary], None],
    on_message: Callable[[str], None],
) -> RunResult:
    """Run a pipeline until its sources end, its options say so, or the user interrupts it.

    Args:
        config: the checked configuration.
        options: when to stop.
        on_status: called twice a second with the numbers of the moment.
        on_message: called with one sentence when something happens that a person should know.

    Raises:
        StreamfuseError: the run could not begin; nothing is left behind.
    """
    for left in RunDir.sweep():
        on_message(f"removed what a crashed run left in shared memory: {left}")
    with ExitStack() as stack:
        run_dir = stack.enter_context(RunDir.create())
        plan = make_plan(
            config,
            run_dir=run_dir.path,
            max_frames=options.max_frames,
            say=on_message,
            wait_s=options.duration_s,
        )
        for stream in plan.absent:
            on_message(f"{stream}: {plan.without(stream)}")
        if config.record is not None:
            check_writable(config.record.dir)
        _allocate(plan, run_dir)
        boards = {
            role: stack.enter_context(closing(Board.create(run_dir.board(role), counters_of(role))))
            for role in (*StreamName, ENGINE, *plan.sinks)
        }
        run = _Run(plan, options, boards, on_status=on_status, on_message=on_message)
        if config.metrics is not None and config.metrics.prometheus is not None:
            host, port = split_host_port(config.metrics.prometheus)
            server = MetricsServer(host, port, lambda: metrics_of(run.summary()))
            stack.callback(server.close)
            server.start()
        with caught_signals() as signals:
            return run.to_its_end(signals)


def _allocate(plan: Plan, run_dir: RunDir) -> None:
    """Take all shared memory now, so that a full one is an error at the start and not a crash later."""
    preflight(run_dir.path, plan.shared_nbytes)
    for name, (slots, nbytes) in plan.rings.items():
        RingWriter.create(run_dir.ring(name), slots=slots, slot_nbytes=nbytes).close()


class _Run:
    """The supervisor's loop with what it decides: when to stop, what to report."""

    def __init__(
        self,
        plan: Plan,
        options: RunOptions,
        boards: dict[str, Board],
        *,
        on_status: Callable[[Summary], None],
        on_message: Callable[[str], None],
    ) -> None:
        self._plan = plan
        self._options = options
        self._boards = boards
        self._on_status = on_status
        self._on_message = on_message
        self._clock: Clock = SystemClock()
        self._report = Report()
        self._interrupts_seen = 0
        orders = {role: {"role": role, "plan": plan.to_json()} for role in boards}
        self._supervisor = Supervisor(
            orders,
            self._clock,
            pulse=lambda role: boards[role].get("progress"),
            on_event=self._on_event,
            stall_timeout_s=options.stall_timeout_s,
        )

    def summary(self) -> Summary:
        """The numbers of the moment, from the boards and the workers' last words."""
        counters = {role: board.snapshot() for role, board in self._boards.items()}
        restarts = {role: worker.restarts for role, worker in self._supervisor.workers.items()}
        return Summary.of(counters, self._report, restarts=restarts)

    def to_its_end(self, signals: Signals) -> RunResult:
        """Run, and turn whatever happened into a result."""
        problems: list[str] = []
        exit_code = 0
        status_at_ns = 0
        with self._supervisor as supervisor:
            supervisor.start()
            try:
                while supervisor.running:
                    supervisor.step()
                    self._heed(signals, supervisor)
                    if (now_ns := self._clock.now_ns()) >= status_at_ns:
                        status_at_ns = now_ns + round(_STATUS_EVERY_S * NS_PER_S)
                        self._on_status(self.summary())
            except PromiseError as error:
                problems.append(str(error))
                exit_code = error.exit_code
        for role, worker in supervisor.workers.items():
            if worker.error is not None:
                code, text = worker.error
                problems.append(text if text.startswith(role) else f"{role}: {text}")
                exit_code = exit_code or code
        summary = self.summary()
        broken = summary.broken_promises()
        problems.extend(broken)
        if not (signals.count or summary.pairs) and summary.cameras:
            problems.append("not one pair was made: no camera gave a picture in time; see the messages above")
            exit_code = exit_code or SourceError.exit_code
        if signals.count:
            exit_code = EXIT_INTERRUPTED
        elif broken:
            exit_code = exit_code or PromiseError.exit_code
        return RunResult(
            summary=summary,
            exit_code=exit_code,
            problems=tuple(problems),
            began=supervisor.epoch_ns is not None,
        )

    def _heed(self, signals: Signals, supervisor: Supervisor) -> None:
        if signals.count > self._interrupts_seen:
            self._interrupts_seen = signals.count
            if signals.count > 1 or supervisor.epoch_ns is None:
                supervisor.kill()  # before the run has begun nobody holds anything
            else:
                self._on_message("stopping")
                supervisor.stop(drain=False, timeout_s=INTERRUPT_TIMEOUT_S)
        if supervisor.stopping:
            return
        duration_s, epoch_ns = self._options.duration_s, supervisor.epoch_ns
        over = (
            duration_s is not None
            and epoch_ns is not None
            and self._clock.now_ns() - epoch_ns >= duration_s * NS_PER_S
        )
        if epoch_ns is None and any(worker.error for worker in supervisor.workers.values()):
            supervisor.kill()  # the run cannot begin, and nobody holds anything yet
        elif over or supervisor.workers[ENGINE].done or self._report.enough or self._hopeless():
            supervisor.stop(drain=True, timeout_s=DRAIN_TIMEOUT_S)

    def _hopeless(self) -> bool:
        """Whether a camera has failed for a reason that does not heal; all others are tried for ever."""
        return any(self._plan.source(s).live and self._supervisor.workers[s].error for s in StreamName)

    def _on_event(self, role: str, event: dict[str, Any]) -> None:
        self._report.hear(role, event)
        if event["event"] in {"log", "lost", "warning"}:
            self._on_message(f"[{role}] {event['text']}")
        elif event["event"] == "camera":
            self._on_message(f"{role}: {event['text']}")
