"""The loop of a run: when to stop, what to tell the workers, and what came of it all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from streamfuse.clock import NS_PER_S, Clock
from streamfuse.config.pipeline import PipelineConfig
from streamfuse.core.commonpulse import CommonPulse
from streamfuse.errors import EXIT_INTERRUPTED, PromiseError
from streamfuse.io.signals import Signals
from streamfuse.io.terminal import Terminal
from streamfuse.runtime.counters import ENGINE
from streamfuse.runtime.message import Message, message_of
from streamfuse.runtime.pipeline import Pipeline
from streamfuse.runtime.reloading import reload_pipeline
from streamfuse.runtime.service import Service
from streamfuse.runtime.status import Status
from streamfuse.runtime.summary import Summary
from streamfuse.runtime.supervisor import STALL_TIMEOUT_S, Supervisor

__all__ = ["OnMessage", "OnStatus", "RunLoop", "RunOptions", "RunResult"]

DRAIN_TIMEOUT_S: Final = 30.0
"""How long the workers may take to finish what is under way after a normal end."""
INTERRUPT_TIMEOUT_S: Final = 2.3
"""How long after Ctrl-C: with the hard kill and the clean-up it stays within 3 s."""
_STATUS_EVERY_S: Final = 0.5

OnStatus = Callable[[Mapping[str, Status]], None]
OnMessage = Callable[[Message], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """When to stop, besides the end of the sources and Ctrl-C."""

    duration_s: float | None = None
    max_frames: int | None = None
    """Of each pipeline."""
    stall_timeout_s: float = STALL_TIMEOUT_S
    """Seconds without progress after which a worker is replaced."""
    reload: Callable[[str], PipelineConfig] | None = None
    """Reads a pipeline's file again when SIGHUP comes; raises ConfigError. None: SIGHUP ends the program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """How a run ended."""

    summaries: Mapping[str, Summary]
    """By pipeline."""
    exit_code: int
    problems: tuple[str, ...] = ()
    """One sentence for each thing that went wrong."""
    began: bool = True
    """False when it ended before the first frame could be captured."""


class RunLoop:
    """The supervisor's loop with what it decides: when to stop, what to report.

    Args:
        pipelines: that run together, with their shared memory.
        options: when to stop.
        clock: monotonic time.
        show: called twice a second with the state of the moment, by pipeline.
        service: told when the run ends, or reads its files again.
        say: told what a person should know.
    """

    def __init__(
        self,
        pipelines: Sequence[Pipeline],
        options: RunOptions,
        *,
        clock: Clock,
        show: OnStatus,
        service: Service,
        say: OnMessage,
    ) -> None:
        self._pipelines = pipelines
        self._options = options
        self._service = service
        self._show = show
        self._say = say
        self._clock = clock
        self._terminal = Terminal()
        self._interrupts_seen = 0
        self._hangups_seen = 0
        self._began_ns = clock.now_ns()
        self._has_begun = False
        self._engine_pulse = CommonPulse()
        self._owners = {
            name: (pipeline, role)
            for pipeline in pipelines
            for role, name in pipeline.workers.items()
            if role != ENGINE
        }
        orders = {name: pipeline.order(role) for name, (pipeline, role) in self._owners.items()}
        self._supervisor = Supervisor(
            orders | {ENGINE: self._engine_order()},
            self._clock,
            pulse=self._pulse,
            on_event=self._on_event,
            stall_timeout_s=options.stall_timeout_s,
        )

    def to_its_end(self, signals: Signals) -> RunResult:
        """Run, and turn whatever happened into a result."""
        problems: list[tuple[int, str]] = []
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
                        self._show({each.name: each.status(supervisor, now_ns) for each in self._pipelines})
            except PromiseError as error:
                problems.append((error.exit_code, str(error)))
            self._service.ending()
        problems += self._complaints()
        summaries = {each.name: each.summary(supervisor.workers) for each in self._pipelines}
        for pipeline in self._pipelines:
            found = pipeline.problems(
                summaries[pipeline.name], supervisor.workers, interrupted=bool(signals.count)
            )
            problems += ((error.exit_code, self._named(pipeline, str(error))) for error in found)
        if signals.count:
            summaries = {name: summary.settled() for name, summary in summaries.items()}
        exit_codes = [code for code, _ in problems if code]
        return RunResult(
            summaries=summaries,
            exit_code=EXIT_INTERRUPTED if signals.count else next(iter(exit_codes), 0),
            problems=tuple(text for _, text in problems),
            began=supervisor.epoch_ns is not None,
        )

    def _complaints(self) -> list[tuple[int, str]]:
        """Exit code and sentence of each worker that has failed, and of the engine about single pipelines."""
        errors = {name: worker.error for name, worker in self._supervisor.workers.items()}
        errors |= {f"{each.name}/{ENGINE}": each.failure for each in self._pipelines}
        return [
            (error[0], error[1] if error[1].startswith(name) else f"{name}: {error[1]}")
            for name, error in errors.items()
            if error is not None
        ]

    def _named(self, pipeline: Pipeline, text: str) -> str:
        """A sentence about a pipeline, with its name where there are others."""
        return text if len(self._pipelines) == 1 else f"{pipeline.name}: {text}"

    def _engine_order(self) -> dict[str, Any]:
        """What the engine is to do, or its successor: all pipelines but those that are over."""
        return {"role": ENGINE, "lanes": [each.lane for each in self._pipelines if not each.is_over]}

    def _pulse(self, worker: str) -> int:
        if worker != ENGINE:
            pipeline, role = self._owners[worker]
            return pipeline.pulse(role)
        return self._engine_pulse.beat(
            {each.name: each.pulse(ENGINE) for each in self._pipelines if not (each.is_over or each.is_down)}
        )

    def _welcome(self, supervisor: Supervisor) -> None:
        """Say once that the run has begun, and on what."""
        if self._has_begun or supervisor.epoch_ns is None:
            return
        self._has_begun = True
        took_s = (supervisor.epoch_ns - self._began_ns) / NS_PER_S
        report = self._pipelines[0].report
        text = f"running with {report.backend} on {report.device}, ready after {took_s:.1f} s"
        self._say(Message(text=text, event="running"))

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
            self._service.ending()
        elif supervisor.epoch_ns is None:
            if self._complaints():
                supervisor.kill()  # the run cannot begin, and nobody holds anything yet
        elif self._is_time_over(supervisor.epoch_ns) or supervisor.workers[ENGINE].done:
            supervisor.stop(drain=True, timeout_s=DRAIN_TIMEOUT_S)
        else:
            self._end_pipelines(supervisor)

    def _is_time_over(self, epoch_ns: int) -> bool:
        duration_s = self._options.duration_s
        return duration_s is not None and self._clock.now_ns() - epoch_ns >= duration_s * NS_PER_S

    def _end_pipelines(self, supervisor: Supervisor) -> None:
        """End the pipelines that have no more to do, and with the last of them all."""
        for pipeline in self._pipelines:
            if pipeline.is_over or not (pipeline.wants_to_end or pipeline.is_hopeless(supervisor.workers)):
                continue
            pipeline.is_over = True
            if all(each.is_over for each in self._pipelines):
                supervisor.stop(drain=True, timeout_s=DRAIN_TIMEOUT_S)
                return
            supervisor.tell(ENGINE, "stop", lane=pipeline.name, drain=True)
            supervisor.brief(ENGINE, self._engine_order())
            supervisor.stop(pipeline.own_workers, drain=True, timeout_s=DRAIN_TIMEOUT_S)
            if pipeline.failure is not None or pipeline.is_down:
                self._part(pipeline)

    def _part(self, pipeline: Pipeline) -> None:
        """Tell the workers of a pipeline that the engine has nothing more for them."""
        for name in pipeline.own_workers:
            self._supervisor.tell(name, "forget", consumer=ENGINE)

    def _heed_hangup(self, signals: Signals, supervisor: Supervisor) -> None:
        """Reload once the run has begun; when the terminal was closed, it is a wish to stop."""
        if signals.hangups == self._hangups_seen or self._options.reload is None:
            return
        if self._terminal.is_gone:
            self._terminal.leave()
            self._hangups_seen = signals.hangups
            signals.terminations += 1
        elif supervisor.epoch_ns is not None and not supervisor.stopping:
            self._hangups_seen = signals.hangups
            self._service.reloading()
            for pipeline in self._pipelines:
                if not pipeline.is_over:
                    read = partial(self._options.reload, pipeline.name)
                    others = [each.plan.config for each in self._pipelines if each is not pipeline]
                    reload_pipeline(
                        pipeline, read, supervisor, others=others, engine_order=self._engine_order
                    )

    def _on_event(self, name: str, event: dict[str, Any]) -> None:
        """Give a worker's event to the pipeline that it is about; what the engine says may be about all."""
        lane = event.get("lane")
        if name != ENGINE:
            pipeline, role = self._owners[name]
            pipeline.hear(role, event)
        for pipeline in self._pipelines if name == ENGINE else ():
            if lane in {None, pipeline.name}:
                pipeline.hear(ENGINE, event)
                name = name if lane is None else f"{pipeline.prefix}{ENGINE}"
            if event["event"] == "lost" and pipeline.is_over:
                self._part(pipeline)  # the engine's successor does not know it any more
        if (message := message_of(event, source=name)) is not None:
            self._say(message)
