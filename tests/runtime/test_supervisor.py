"""The supervisor with real child processes that play a script."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import pytest

from streamfuse.clock import NS_PER_S, SystemClock
from streamfuse.errors import PromiseError
from streamfuse.runtime.health import WorkerPhase
from streamfuse.runtime.supervisor import Supervisor

# A worker in a few lines: it does what its order's `script` says, word by word.
WORKER = """
import json, os, signal, sys
order = json.loads(sys.stdin.readline())
def say(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)
def hear():
    line = sys.stdin.readline()
    return json.loads(line) if line else {"command": "gone"}
script = order["script"][min(order["restarts"], len(order["script"]) - 1)]
for word in script.split():
    if word == "ready": say("ready")
    elif word == "go":
        while hear()["command"] not in ("go", "stop"): pass
    elif word == "stop":
        while hear()["command"] not in ("stop", "gone"): pass
    elif word == "error": say("error", text="no such camera", exit_code=3); sys.exit(3)
    elif word == "die": os.kill(os.getpid(), signal.SIGKILL)
    elif word == "tell": say("told", **hear())
    elif word == "crash": sys.exit(70)
    elif word == "noise": print("a library speaks", file=sys.stderr, flush=True)
    elif word == "done": say("done")
    elif word == "environment": say("environment", blas=os.environ["OPENBLAS_NUM_THREADS"])
    elif word == "linger": signal.setitimer(signal.ITIMER_REAL, 1.0); signal.pause()
    elif word == "deaf": signal.signal(signal.SIGTERM, signal.SIG_IGN); say("deaf"); signal.pause()
say("done")
"""

Events = list[tuple[str, dict[str, Any]]]


def supervise(
    scripts: dict[str, list[str]],
    *,
    until: Callable[[Supervisor, Events], bool] | None = None,
    deadline_s: float = 30.0,
    stall_timeout_s: float = 10.0,
    on_turn: Callable[[Supervisor, Events], None] = lambda *_: None,
) -> tuple[Supervisor, Events]:
    """Run scripted workers until all have ended; ``until`` asks for a stop when it becomes true."""
    clock = SystemClock()
    events: Events = []
    supervisor = Supervisor(
        {name: {"script": script} for name, script in scripts.items()},
        clock,
        pulse=lambda _: 0,
        on_event=lambda name, event: events.append((name, event)),
        command=(sys.executable, "-c", WORKER),
        stall_timeout_s=stall_timeout_s,
    )
    end_ns = clock.now_ns() + round(deadline_s * NS_PER_S)
    with supervisor:
        supervisor.start()
        while supervisor.running:
            supervisor.step()
            on_turn(supervisor, events)
            if until is not None and not supervisor.stopping and until(supervisor, events):
                supervisor.stop(drain=True, timeout_s=0.5)
            assert clock.now_ns() < end_ns, f"still running: {json.dumps(events)}"
    return supervisor, events


def said(events: Events, name: str) -> list[str]:
    """Kinds of events of one worker, in order."""
    return [event["event"] for who, event in events if who == name]


def test_workers_go_when_all_are_ready_and_end_by_themselves() -> None:
    """The run begins once, for everybody, and is over when the last one is done."""
    supervisor, events = supervise({"a": ["ready go"], "b": ["ready go"]})
    assert supervisor.epoch_ns is not None
    assert said(events, "a") == ["ready", "done"]
    assert said(events, "b") == ["ready", "done"]


def test_a_worker_that_dies_is_started_again_and_told_to_go() -> None:
    """A kill -9 costs a restart, and the successor joins the run that is under way."""
    supervisor, events = supervise({"a": ["ready go die", "ready go"]})
    assert said(events, "a") == ["ready", "lost", "ready", "done"]
    assert supervisor.workers["a"].restarts == 1


def test_a_worker_that_reports_an_error_is_not_started_again() -> None:
    """An error that has been explained is final; the others go on to their end."""
    supervisor, events = supervise({"a": ["ready go error"], "b": ["ready go"]})
    assert supervisor.workers["a"].error == (3, "no such camera")
    assert supervisor.workers["a"].restarts == 0
    assert said(events, "b") == ["ready", "done"]


def test_a_worker_that_dies_before_the_run_began_ends_it() -> None:
    """What cannot even start would only be restarted for ever."""
    with pytest.raises(PromiseError, match="a died while starting"):
        supervise({"a": ["die"], "b": ["ready go"]})


def test_who_is_waited_for_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that compiles for minutes must not look like a program that hangs."""
    monkeypatch.setattr("streamfuse.runtime.supervisor._SAY_WAITING_EVERY_S", 0.2)
    said_so = "still getting ready after"
    _, events = supervise(
        {"slow": ["deaf"], "quick": ["ready", "stop"]},
        until=lambda _, events: sum(said_so in str(event.get("text")) for _, event in events) == 2,
    )
    assert {who for who, event in events if said_so in str(event.get("text"))} == {"slow"}


def test_stop_reaches_everybody() -> None:
    """Workers that would go on for ever end when they are asked to."""
    _, events = supervise(
        {"a": ["ready go stop"], "b": ["ready go stop"]}, until=lambda s, _: s.epoch_ns is not None
    )
    assert said(events, "a") == said(events, "b") == ["ready", "done"]


def test_a_worker_that_ignores_every_request_is_killed_in_time() -> None:
    """The deadline holds even for a worker that is deaf to SIGTERM."""
    clock = SystemClock()
    started_ns = clock.now_ns()
    _, events = supervise({"a": ["ready go deaf"]}, until=lambda _, events: "deaf" in said(events, "a"))
    assert "log" in said(events, "a")
    assert clock.now_ns() - started_ns < 10 * NS_PER_S


def test_a_worker_that_has_done_its_work_may_take_its_time_to_leave() -> None:
    """On a starved machine closing takes longer than a picture ever may; nothing of it is done again."""
    supervisor, events = supervise({"slow": ["ready go done linger"]}, stall_timeout_s=0.2)
    assert said(events, "slow") == ["ready", "done"]
    assert supervisor.workers["slow"].restarts == 0


def test_what_a_worker_prints_is_passed_on() -> None:
    """Words of libraries on standard error are not lost."""
    _, events = supervise({"a": ["noise ready go"]})
    assert ("a", {"event": "log", "text": "a library speaks"}) in events


def test_a_worker_that_stands_still_is_replaced() -> None:
    """It lives and says nothing, and its pulse does not move: it is ended, once, and started again."""
    supervisor, events = supervise({"a": ["ready go stop", "ready go"]}, stall_timeout_s=0.5)
    assert supervisor.workers["a"].restarts == 1
    logs = [event["text"] for _, event in events if event["event"] == "log"]
    assert logs == ["no progress for 0.5 s: replaced"]
    assert said(events, "a") == ["ready", "log", "lost", "ready", "done"]


def once_begun(act: Callable[[Supervisor], None]) -> Callable[[Supervisor, Events], None]:
    """Do something one time, in the first turn after the run began."""
    done: list[bool] = []

    def turn(supervisor: Supervisor, _: Events) -> None:
        if supervisor.epoch_ns is not None and not done:
            done.append(True)
            act(supervisor)

    return turn


def until_ready_again(_: Supervisor, events: Events) -> bool:
    """Whether worker ``a`` has said a second time that it is ready."""
    return said(events, "a").count("ready") == 2


def test_a_worker_is_replaced_by_one_with_another_order() -> None:
    """The old one ends in its own time, nobody is told to forget it, and no restart is counted."""
    phases: list[WorkerPhase] = []

    def replace(supervisor: Supervisor) -> None:
        supervisor.replace("a", {"script": ["ready go stop"]})
        phases.append(supervisor.workers["a"].phase)

    supervisor, events = supervise(
        {"a": ["ready go stop"], "b": ["ready go stop"]},
        until=until_ready_again,
        on_turn=once_begun(replace),
    )
    assert said(events, "a") == ["ready", "done", "replaced", "ready", "done"]
    assert (phases, supervisor.workers["a"].restarts) == ([WorkerPhase.RESTARTING], 0)
    assert supervisor.workers["a"].phase is WorkerPhase.DONE


@pytest.mark.parametrize("end", ["error", "crash", "die"])
def test_a_replacement_that_fails_makes_room_for_what_was_there(end: str) -> None:
    """An address that is taken does not cost the viewer: it goes on as before, with one sentence."""
    supervisor, events = supervise(
        {"a": ["ready go stop"]},
        until=until_ready_again,
        on_turn=once_begun(lambda supervisor: supervisor.replace("a", {"script": [end]})),
    )
    (text,) = [event["text"] for _, event in events if event["event"] == "warning"]
    assert text.startswith("goes on as before, as the changes cannot be made: ")
    assert (end != "error") or text.endswith("no such camera")
    assert supervisor.workers["a"].error is None
    assert supervisor.workers["a"].order == {"script": ["ready go stop"]}


def test_a_worker_that_does_not_make_room_is_ended() -> None:
    """Its successor comes nevertheless, after the time that it has to leave."""
    _, events = supervise(
        {"a": ["ready go deaf"]},
        until=until_ready_again,
        on_turn=once_begun(lambda supervisor: supervisor.replace("a", {"script": ["ready go stop"]})),
    )
    assert said(events, "a") == ["ready", "deaf", "replaced", "ready", "done"]


def test_a_worker_is_told_and_so_are_its_successors() -> None:
    """A command reaches the living; who comes after a crash begins with the new order."""

    def change(supervisor: Supervisor) -> None:
        supervisor.brief("a", {"script": ["", "ready go tell"]})
        supervisor.tell("a", "config", config="new")

    _, events = supervise(
        {"a": ["ready go tell die"]},
        until=until_ready_again,
        on_turn=once_begun(change),
    )
    told = [event for _, event in events if event["event"] == "told"]
    assert told[0] == {"event": "told", "command": "config", "config": "new"}
    assert said(events, "a") == ["ready", "told", "lost", "ready", "told", "done"]


def test_the_phase_of_a_worker_follows_its_life() -> None:
    """Starting, running, restarting after a death, and failed with a reason."""
    seen: dict[str, list[WorkerPhase]] = {"a": [], "b": []}

    def look(supervisor: Supervisor, _: Events) -> None:
        for name, phases in seen.items():
            if (phase := supervisor.workers[name].phase) not in phases[-1:]:
                phases.append(phase)

    supervise(
        {"a": ["ready go die", "ready go stop"], "b": ["ready go error"]},
        until=until_ready_again,
        on_turn=look,
    )
    assert seen["a"][:2] in (
        [WorkerPhase.STARTING, WorkerPhase.RUNNING],
        [WorkerPhase.RUNNING, WorkerPhase.RESTARTING],
    )
    assert WorkerPhase.RESTARTING in seen["a"]
    assert seen["b"][-1] is WorkerPhase.FAILED


@pytest.mark.parametrize(("asked", "expected"), [(None, "1"), ("3", "3")])
def test_numpy_has_one_thread_in_a_worker_unless_told(
    monkeypatch: pytest.MonkeyPatch, asked: str | None, expected: str
) -> None:
    """Threads of its own took the cores from the networks, and waited for them."""
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    if asked is not None:
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", asked)
    _, events = supervise({"a": ["environment ready go"]})
    assert ("a", {"event": "environment", "blas": expected}) in events


def test_a_worker_that_stands_still_while_it_is_to_end_is_killed() -> None:
    """Nobody replaces it any more, and it is known that it did not come to its end."""
    supervisor, events = supervise(
        {"a": ["ready go deaf"]}, until=lambda s, _: s.epoch_ns is not None, stall_timeout_s=0.2
    )
    assert ("a", {"event": "log", "text": "no progress for 0.2 s: killed"}) in events
    assert (supervisor.workers["a"].killed, supervisor.workers["a"].restarts) == (True, 0)
