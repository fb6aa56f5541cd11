"""One run from beginning to end: shared memory up, workers up, wait, down again, the summary."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from streamfuse.clock import NS_PER_S, Clock, SystemClock
from streamfuse.config.outputs import JsonlSink
from streamfuse.config.pipeline import PipelineConfig
from streamfuse.errors import EXIT_INTERRUPTED, PromiseError, SourceError, StreamfuseError
from streamfuse.frames import StreamName
from streamfuse.io.files import check_writable, missing, remove_empty
from streamfuse.io.signals import Signals, caught_signals
from streamfuse.io.terminal import Terminal
from streamfuse.io.transport.board import Board
from streamfuse.io.transport.ring import RingWriter
from streamfuse.io.transport.rundir import RunDir
from streamfuse.io.transport.segment import preflight
from streamfuse.runtime.counters import ENGINE, counters_of
from streamfuse.runtime.health import HealthWatch, WorkerHealth
from streamfuse.runtime.message import Message
from streamfuse.runtime.monitor import Monitor
from streamfuse.runtime.plan import Plan, make_plan
from streamfuse.runtime.reloading import Reloader
from streamfuse.runtime.report import Report
from streamfuse.runtime.status import Status, resident_bytes
from streamfuse.runtime.summary import Summary
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
    reload: Callable[[], PipelineConfig] | None = None
    """Reads the pipeline file again when SIGHUP comes; raises ConfigError. None: SIGHUP ends the program."""


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
    on_status: Callable[[Status], None],
    on_message: Callable[[Message], None],
) -> RunResult:
    """Run a pipeline until its sources end, its options say so, or the user interrupts it.

    Args:
        config: the checked configuration.
        options: when to stop.
        on_status: called twice a second with the state of the moment.
        on_message: called when something happens that a person should know.

    Raises:
        StreamfuseError: the run could not begin; nothing is left behind.
    """
    new, began = missing(_outputs(config)), False
    try:
        result = _run_workers(config, options, on_status=on_status, on_message=on_message)
        began = result.began
    finally:
        if not began:
            remove_empty(new)
    return result


def _outputs(config: PipelineConfig) -> list[Path]:
    """Files and folders that a run makes before it knows whether it can begin."""
    files = [sink.path for sink in config.publish if isinstance(sink, JsonlSink)]
    return files if config.record is None else [config.record.dir, *files]


def _run_workers(
    config: PipelineConfig,
    options: RunOptions,
    *,
    on_status: Callable[[Status], None],
    on_message: Callable[[Message], None],
) -> RunResult:
    """As :func:`run_pipeline`, which tidies up after it."""
    for left in RunDir.sweep():
        on_message(Message(text=f"removed what a crashed run left in shared memory: {left}"))
    with ExitStack() as stack:
        run_dir = stack.enter_context(RunDir.create())
        plan = make_plan(
            config,
            run_dir=run_dir.path,
            max_frames=options.max_frames,
            say=lambda text: on_message(Message(text=text)),
            wait_s=options.duration_s,
        )
        for stream in plan.absent:
            on_message(Message(text=plan.without(stream), source=stream, event="camera", level="warning"))
        if config.record is not None:
            check_writable(config.record.dir)
        _allocate(plan, run_dir)
        boards = {
            role: stack.enter_context(closing(Board.create(run_dir.board(role), counters_of(role))))
            for role in (*StreamName, ENGINE, *plan.sinks)
        }
        clock = SystemClock()
        monitor = stack.enter_context(Monitor(plan, clock, say=on_message))
        run = _Run(plan, options, boards, monitor=monitor, clock=clock, on_status=on_status, say=on_message)
        with caught_signals(hangups=options.reload is not None) as signals:
            return run.to_its_end(signals)


def _nothing_fused(summary: Summary) -> StreamfuseError | None:
    """Why a run that went to its end has not made a pair; None where it was only too short."""
    if lives := summary.restarts.get(ENGINE, 0):
        return PromiseError(f"not one pair was fused: the engine died {lives} times; see the messages above")
    if summary.cameras:
        return SourceError("not one pair was made: no camera gave a picture in time; see the messages above")
    return None


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
        boards: Mapping[str, Board],
        *,
        monitor: Monitor,
        clock: Clock,
        on_status: Callable[[Status], None],
        say: Callable[[Message], None],
    ) -> None:
        self._plan = plan
        self._options = options
        self._boards = boards
        self._monitor = monitor
        self._on_status = on_status
        self._say = say
        self._clock = clock
        self._report = Report()
        self._health = HealthWatch()
        self._reloader = (
            None
            if options.reload is None
            else Reloader(plan, options.reload, finds=lambda: self._report.finds, say=say)
        )
        self._terminal = Terminal()
        self._interrupts_seen = 0
        self._hangups_seen = 0
        self._began_ns = clock.now_ns()
        self._has_begun = False
        orders = {role: {"role": role, "plan": plan.to_json()} for role in boards}
        self._supervisor = Supervisor(
            orders,
            self._clock,
            pulse=lambda role: boards[role].get("progress"),
            on_event=self._on_event,
            stall_timeout_s=options.stall_timeout_s,
        )

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
                    self._welcome(supervisor)
                    self._heed(signals, supervisor)
                    if (now_ns := self._clock.now_ns()) >= status_at_ns:
                        status_at_ns = now_ns + round(_STATUS_EVERY_S * NS_PER_S)
                        self._show(supervisor, now_ns)
            except PromiseError as error:
                problems.append(str(error))
                exit_code = error.exit_code
            self._monitor.ending()
        for role, worker in supervisor.workers.items():
            if worker.error is not None:
                code, text = worker.error
                problems.append(text if text.startswith(role) else f"{role}: {text}")
                exit_code = exit_code or code
        summary = self._summary()
        broken = summary.broken_promises()
        problems.extend(broken)
        if not (signals.count or summary.pairs) and (problem := _nothing_fused(summary)) is not None:
            problems.append(str(problem))
            exit_code = exit_code or problem.exit_code
        if (recorder := summary.sinks.get("recorder")) is not None and recorder.failed:
            lost = f"{recorder.failed} of {recorder.offered} pairs were not recorded"
            problems.append(f"recorder: {lost}; see the messages above")
            exit_code = exit_code or PromiseError.exit_code
        if signals.count:
            exit_code = EXIT_INTERRUPTED
        elif broken:
            exit_code = exit_code or PromiseError.exit_code
        return RunResult(
            summary=summary.settled() if signals.count else summary,
            exit_code=exit_code,
            problems=tuple(problems),
            began=supervisor.epoch_ns is not None,
        )

    def _summary(self) -> Summary:
        """The numbers of the moment, from the boards and the workers' last words."""
        counters = {role: board.snapshot() for role, board in self._boards.items()}
        restarts = {role: worker.restarts for role, worker in self._supervisor.workers.items()}
        return Summary.of(counters, self._report, restarts=restarts)

    def _show(self, supervisor: Supervisor, now_ns: int) -> None:
        summary = self._summary()
        workers = {}
        for role, worker in supervisor.workers.items():
            pid = None if worker.child is None else worker.child.pid
            workers[role] = WorkerHealth(
                phase=worker.phase, restarts=worker.restarts, pid=pid, resident_bytes=resident_bytes(pid)
            )
        begun = supervisor.epoch_ns is not None
        health = self._health.see(summary, workers, begun=begun, stopping=supervisor.stopping, now_ns=now_ns)
        status = Status(summary=summary, workers=workers, health=health, begun=begun, now_ns=now_ns)
        self._monitor.show(status)
        self._on_status(status)

    def _welcome(self, supervisor: Supervisor) -> None:
        """Say once that the run has begun, and on what."""
        if self._has_begun or supervisor.epoch_ns is None:
            return
        self._has_begun = True
        took_s = (supervisor.epoch_ns - self._began_ns) / NS_PER_S
        engine = f"{self._report.backend} on {self._report.device}"
        self._say(Message(text=f"running with {engine}, ready after {took_s:.1f} s", event="running"))

    def _heed(self, signals: Signals, supervisor: Supervisor) -> None:
        self._heed_hangup(signals, supervisor)
        if signals.count > self._interrupts_seen:
            self._interrupts_seen = signals.count
            if signals.count > 1 or supervisor.epoch_ns is None:
                supervisor.kill()  # before the run has begun nobody holds anything
            else:
                self._say(Message(text="stopping", event="stopping"))
                supervisor.stop(drain=False, timeout_s=INTERRUPT_TIMEOUT_S)
        if supervisor.stopping:
            self._monitor.ending()
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

    def _heed_hangup(self, signals: Signals, supervisor: Supervisor) -> None:
        """Reload once the run has begun; when the terminal was closed, it is a wish to stop."""
        if signals.hangups == self._hangups_seen or self._reloader is None:
            return
        if self._terminal.is_gone:
            self._terminal.leave()
            self._hangups_seen = signals.hangups
            signals.terminations += 1
        elif supervisor.epoch_ns is not None and not supervisor.stopping:
            self._hangups_seen = signals.hangups
            self._monitor.reloading()
            self._reloader.reload(supervisor)

    def _hopeless(self) -> bool:
        """Whether a camera has failed for a reason that does not heal; all others are tried for ever."""
        return any(self._plan.source(s).live and self._supervisor.workers[s].error for s in StreamName)

    def _on_event(self, role: str, event: dict[str, Any]) -> None:
        self._report.hear(role, event)
        kind = event["event"]
        if kind in {"log", "lost", "warning", "camera"}:
            level = "warning" if kind in {"lost", "warning"} else "info"
            self._say(Message(text=event["text"], source=role, event=kind, level=event.get("level", level)))
