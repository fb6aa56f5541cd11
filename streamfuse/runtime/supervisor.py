"""Starts the workers, watches them, restarts the fallen, stops them all with a deadline.

The supervisor holds no pixels. It learns from three things: what workers say (events), whether
their processes live, and whether their boards move. A worker that dies without having said why is
started again after a back-off; one that reported an error has ended for good, and the others go on.
A worker may also be replaced on purpose, by one with another order; if that one fails before it is
ready, the old order is taken up again.
"""

from __future__ import annotations

import contextlib
import random
import selectors
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from streamfuse.clock import NS_PER_S, Clock
from streamfuse.core.backoff import Backoff
from streamfuse.errors import PromiseError
from streamfuse.runtime.child import WORKER_COMMAND, Child
from streamfuse.runtime.health import WorkerPhase

__all__ = ["STALL_TIMEOUT_S", "Pulse", "Supervisor", "WorkerState"]

READY_TIMEOUT_S: Final = 600.0
"""From the start of the workers until all are ready: covers compiling networks once on a slow machine."""
_SAY_WAITING_EVERY_S: Final = 15.0
_RESTART_TIMEOUT_S: Final = 120.0
"""Until a worker that was started again is ready: what is compiled lies in the cache by then."""
STALL_TIMEOUT_S: Final = 10.0
"""How long a worker's board may stand still before it is replaced."""
STEADY_AFTER_S: Final = 60.0
"""A worker that has lived so long works: should it die, its first restart comes soon again."""
_LEAVE_TIMEOUT_S: Final = 4.0
"""How long a worker may take to make room for its successor."""
_TICK_S: Final = 0.1
_HARD_KILL_AFTER_S: Final = 0.3


class Pulse(Protocol):
    """Tells whether a worker moves: a number that grows while it does."""

    def __call__(self, worker: str) -> int:
        """Progress of ``worker``; any change counts as life."""


@dataclass(slots=True)
class WorkerState:
    """What the supervisor knows of one worker."""

    order: dict[str, Any]
    child: Child | None = None
    ready: bool = False
    done: bool = False
    """It has ended for good: its work is finished, it failed, or it was stopped."""
    finished: bool = False
    """Its present process has said that its work is done; it has only to leave."""
    killed: bool = False
    """It was asked to end, and did not do it of its own."""
    restarts: int = 0
    """How often it has died and was started again."""
    lives: int = 0
    """Processes it has had, the present one included."""
    fallback: dict[str, Any] | None = None
    """The order before the one that is being tried out."""
    leave_by_ns: int | None = None
    """It was asked to make room for its successor, and has so long to do it."""
    stop_by_ns: int | None = None
    """It was asked to end, and has so long to do it."""
    restart_at_ns: int | None = None
    progress: int = -1
    progress_ns: int = 0
    started_ns: int = 0
    backoff: Backoff = field(default_factory=lambda: Backoff(rng=random.Random()))  # noqa: S311 - jitter
    error: tuple[int, str] | None = None
    """Exit code and sentence that it reported."""

    @property
    def phase(self) -> WorkerPhase:
        """What it is doing, in a word."""
        if self.error is not None:
            return WorkerPhase.FAILED
        if self.done:
            return WorkerPhase.DONE
        is_here = self.child is not None and self.leave_by_ns is None
        if is_here and self.ready:
            return WorkerPhase.RUNNING
        is_first = self.lives == 0 or (self.lives == 1 and is_here)
        return WorkerPhase.STARTING if is_first else WorkerPhase.RESTARTING


class Supervisor:
    """Runs a set of named workers to their common end.

    Args:
        orders: the order of the day of each worker, by name; sent as its first line.
        clock: monotonic time.
        pulse: see :class:`Pulse`.
        on_event: told of every event, with the worker's name; may call :meth:`stop`.
        command: what to start for each worker.
        stall_timeout_s: a worker whose pulse has stood still for so long hangs, and is replaced.
    """

    def __init__(
        self,
        orders: Mapping[str, dict[str, Any]],
        clock: Clock,
        *,
        pulse: Pulse,
        on_event: Callable[[str, dict[str, Any]], None],
        command: Sequence[str] = WORKER_COMMAND,
        stall_timeout_s: float = STALL_TIMEOUT_S,
    ) -> None:
        self._command = command
        self._stall_timeout_s = stall_timeout_s
        self.workers = {name: WorkerState(order=order) for name, order in orders.items()}
        self._clock = clock
        self._pulse = pulse
        self._on_event = on_event
        self._selector = selectors.DefaultSelector()
        self._epoch_ns: int | None = None
        self._say_waiting_s = _SAY_WAITING_EVERY_S
        self._stopping = False

    def __enter__(self) -> Supervisor:
        return self

    def __exit__(self, *exc: object) -> None:
        self.kill()
        self._selector.close()

    @property
    def running(self) -> bool:
        """Whether any worker is still to end."""
        return any(not worker.done for worker in self.workers.values())

    @property
    def stopping(self) -> bool:
        """Whether :meth:`stop` was called for all."""
        return self._stopping

    @property
    def epoch_ns(self) -> int | None:
        """Monotonic time of the run's beginning; None before all workers were ready."""
        return self._epoch_ns

    def start(self) -> None:
        """Start all workers; the run begins by itself when all have said that they are ready."""
        self._started_ns = self._clock.now_ns()
        for name in self.workers:
            self._spawn(name)

    def step(self) -> None:
        """Wait a moment for news and act on it. Call it while :attr:`running`."""
        for key, _ in self._selector.select(_TICK_S):
            self._hear(key.data)
        now_ns = self._clock.now_ns()
        for name, worker in self.workers.items():
            self._look_after(name, worker, now_ns)
        self._begin_when_ready(now_ns)

    def stop(self, names: Collection[str] | None = None, *, drain: bool, timeout_s: float) -> None:
        """Ask workers to end, and see to it that they have when ``timeout_s`` is over.

        Args:
            names: of the workers; None: all.
            drain: let them finish what is under way; otherwise they give it up.
            timeout_s: then SIGTERM, shortly after SIGKILL.
        """
        self._stopping = self._stopping or names is None
        deadline_ns = self._clock.now_ns() + round(timeout_s * NS_PER_S)
        for name, worker in self.workers.items():
            if names is not None and name not in names:
                continue
            worker.stop_by_ns = min(worker.stop_by_ns or deadline_ns, deadline_ns)
            if worker.child is not None:
                worker.child.command("stop", drain=drain)
            else:
                worker.done = True

    def brief(self, name: str, order: dict[str, Any]) -> None:
        """Change the order that a worker's successors will begin with."""
        self.workers[name].order = order

    def tell(self, name: str, command: str, **fields: object) -> None:
        """Give a worker a command, if it is there."""
        child = self.workers[name].child
        if child is not None:
            child.command(command, **fields)

    def replace(self, name: str, order: dict[str, Any]) -> None:
        """End a worker in its own time, and start one with another order in its place.

        A worker that has ended for good stays so: nobody offers it anything any more.
        """
        worker = self.workers[name]
        if worker.done:
            return
        worker.fallback = worker.fallback or worker.order
        worker.order = order
        if worker.child is not None:
            worker.leave_by_ns = self._clock.now_ns() + round(_LEAVE_TIMEOUT_S * NS_PER_S)
            worker.child.command("stop", drain=False)

    def kill(self) -> None:
        """End whatever still runs, at once."""
        for worker in self.workers.values():
            if worker.child is not None:
                worker.child.kill()
                self._bury(worker)
            worker.done = True

    def _spawn(self, name: str) -> None:
        worker = self.workers[name]
        worker.child = Child({**worker.order, "restarts": worker.lives}, command=self._command)
        worker.lives += 1
        worker.restart_at_ns = worker.leave_by_ns = None
        worker.started_ns = worker.progress_ns = self._clock.now_ns()
        worker.ready = worker.finished = False
        for pipe in worker.child.pipes:
            self._selector.register(pipe, selectors.EVENT_READ, name)

    def _hear(self, name: str) -> None:
        worker = self.workers[name]
        if worker.child is None:
            return
        for event in worker.child.events():
            if event["event"] == "ready":
                self._welcome(worker)
            elif event["event"] == "done":
                worker.finished = True
            elif event["event"] == "error":
                worker.error = (int(event["exit_code"]), str(event["text"]))
            self._on_event(name, event)

    def _welcome(self, worker: WorkerState) -> None:
        worker.ready = True
        if worker.leave_by_ns is None:
            worker.fallback = None
        worker.progress_ns = self._clock.now_ns()
        if worker.child is None or self._epoch_ns is None:
            return
        worker.child.command("go", epoch_ns=self._epoch_ns)
        for name, other in self.workers.items():
            if other.done:
                worker.child.command("forget", consumer=name)

    def _begin_when_ready(self, now_ns: int) -> None:
        if self._epoch_ns is not None or self.stopping:
            return
        waiting = [name for name, worker in self.workers.items() if not worker.ready]
        if not waiting:
            self._epoch_ns = now_ns
            for worker in self.workers.values():
                if worker.child is not None:
                    worker.child.command("go", epoch_ns=now_ns)
            return
        waited_s = (now_ns - self._started_ns) / NS_PER_S
        if waited_s > READY_TIMEOUT_S:
            raise PromiseError(f"not ready after {READY_TIMEOUT_S:.0f} s: {', '.join(waiting)}")
        if waited_s > self._say_waiting_s:
            self._say_waiting_s += _SAY_WAITING_EVERY_S
            *others, last = waiting
            also = f", and so are {', '.join(others)}" if others else ""
            text = f"still getting ready after {waited_s:.0f} s of at most {READY_TIMEOUT_S:.0f}{also}"
            self._on_event(last, {"event": "log", "text": text})

    def _look_after(self, name: str, worker: WorkerState, now_ns: int) -> None:
        if worker.done:
            return
        if worker.child is None:
            if worker.restart_at_ns is not None and now_ns >= worker.restart_at_ns:
                self._spawn(name)
            return
        status = worker.child.exit_status
        if status is None:
            self._enforce_stop(name, worker, now_ns)
            self._watch_progress(name, worker, now_ns)
            if now_ns - worker.started_ns > STEADY_AFTER_S * NS_PER_S:
                worker.backoff.reset()
            return
        self._hear(name)  # its last words
        self._bury(worker)
        is_stopping = worker.stop_by_ns is not None
        if not is_stopping and self._is_followed(name, worker, status):
            self._spawn(name)
        elif status == 0 or worker.finished or worker.error is not None or is_stopping:
            worker.killed = not (status == 0 or worker.finished or worker.error is not None)
            self._retire(name, worker)
        elif self._epoch_ns is None:
            raise PromiseError(f"{name} died while starting ({_cause(status)}); its last words are above")
        else:
            delay_s = worker.backoff.next_delay_s()
            worker.restarts += 1
            worker.restart_at_ns = now_ns + round(delay_s * NS_PER_S)
            self._on_event(
                name, {"event": "lost", "text": f"{_cause(status)}; starting it again in {delay_s:.1f} s"}
            )

    def _is_followed(self, name: str, worker: WorkerState, status: int) -> bool:
        """Whether a worker that has just ended is replaced at once, by one with another order."""
        if worker.leave_by_ns is not None:
            worker.error = None
            self._on_event(name, {"event": "replaced"})
            return True
        if worker.fallback is None or status == 0:
            return False
        why = worker.error[1] if worker.error is not None else _cause(status)
        worker.order, worker.error, worker.fallback = worker.fallback, None, None
        text = f"goes on as before, as the changes cannot be made: {why}"
        self._on_event(name, {"event": "warning", "text": text})
        return True

    def _watch_progress(self, name: str, worker: WorkerState, now_ns: int) -> None:
        if worker.leave_by_ns is not None and now_ns > worker.leave_by_ns and worker.child is not None:
            worker.child.kill()
        progress = self._pulse(name)
        works = worker.ready and not worker.finished
        patience_s = self._stall_timeout_s if works else _RESTART_TIMEOUT_S
        if progress != worker.progress or self._epoch_ns is None:
            worker.progress, worker.progress_ns = progress, now_ns
        elif now_ns - worker.progress_ns > patience_s * NS_PER_S and worker.child is not None:
            fate = "replaced" if worker.stop_by_ns is None else "killed"
            text = f"no progress for {patience_s:g} s: {fate}"
            self._on_event(name, {"event": "log", "text": text})
            worker.progress_ns = now_ns
            worker.child.kill()

    def _retire(self, name: str, worker: WorkerState) -> None:
        worker.done = True
        for other in self.workers.values():
            if other.child is not None:
                other.child.command("forget", consumer=name)

    def _bury(self, worker: WorkerState) -> None:
        assert worker.child is not None  # only the living are buried
        for pipe in worker.child.pipes:
            with contextlib.suppress(KeyError):  # registered once, buried once; kill() may come in between
                self._selector.unregister(pipe)
        worker.child.close()
        worker.child = None

    def _enforce_stop(self, name: str, worker: WorkerState, now_ns: int) -> None:
        if worker.stop_by_ns is None or worker.child is None or now_ns < worker.stop_by_ns:
            return
        if now_ns - worker.stop_by_ns <= _HARD_KILL_AFTER_S * NS_PER_S:
            worker.child.terminate()
            return
        if not worker.killed:
            self._on_event(name, {"event": "log", "text": "did not end in time: killed"})
        worker.killed = True
        worker.child.kill()


def _cause(status: int) -> str:
    return f"ended by signal {-status}" if status < 0 else f"ended with status {status}"
