"""Several consumers of one ring, each in a process of its own."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from streamfuse.core.flow import outbox_counters
from streamfuse.core.wire import Channel
from streamfuse.io.transport.board import Board
from streamfuse.io.transport.inlet import inlet_counters
from streamfuse.io.transport.rundir import RunDir

HERE = Path(__file__).parent
NAMES = ("engine", "recorder", "guest")
SLOW_S = 0.2


class Run:
    """A run folder with a producer's board and one for each consumer."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._run = stack.enter_context(RunDir.create())
        self._producer = stack.enter_context(
            Board.create(self._run.board("producer"), outbox_counters(NAMES[:2]))
        )
        self._consumers = {
            name: stack.enter_context(Board.create(self._run.board(name), inlet_counters(Channel.VISIBLE)))
            for name in NAMES
        }

    def produce(self, policy: str, *consumers: str) -> subprocess.Popen[str]:
        """Start the producer; the end of its input ends it."""
        return self._start("bus_producer.py", policy, *consumers)

    def consume(self, name: str, *, pause_s: float = 0.0) -> subprocess.Popen[str]:
        """Start a consumer with a window of 3."""
        return self._start("bus_consumer.py", "3", name, str(pause_s))

    def sent(self, name: str, word: str) -> int:
        """A counter of the producer for one consumer."""
        return self._producer.get(f"to.{name}.{word}")

    def received(self, name: str, word: str) -> int:
        """A counter of a consumer."""
        return self._consumers[name].get(f"from.visible.{word}")

    def check_the_books(self, *names: str) -> None:
        """For each consumer, everything that was offered went exactly one way."""
        for name in names:
            dropped = sum(
                self.sent(name, f"dropped.{cause}") for cause in ("superseded", "worker_lost", "stopped")
            )
            assert self.sent(name, "offered") == self.sent(name, "sent") + dropped
            arrived = sum(self.received(name, word) for word in ("delivered", "overrun", "lost"))
            assert arrived == self.sent(name, "sent")

    def _start(self, script: str, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(HERE / script), str(self._run.path), *arguments]
        process = self._stack.enter_context(
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )
        self._stack.callback(process.kill)
        return process


@pytest.fixture
def run() -> Iterator[Run]:
    """A run whose processes and folder are gone after the test."""
    with ExitStack() as stack:
        yield Run(stack)


def lines(process: subprocess.Popen[str], count: int) -> None:
    """Wait until the process has printed so many lines more."""
    assert process.stdout is not None
    for _ in range(count):
        assert process.stdout.readline(), "the process ended early"


def last_line(process: subprocess.Popen[str]) -> str:
    """End the process's input and see what it prints last, when it ends well."""
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return out.strip().splitlines()[-1]


def test_two_consumers_get_every_frame_and_the_same(run: Run) -> None:
    """With back-pressure nothing is lost for either; each checks number and pixels of every frame."""
    producer = run.produce("every_frame", "engine", "recorder")
    consumers = [run.consume(name) for name in ("engine", "recorder")]
    for consumer in consumers:
        lines(consumer, 5)
    assert last_line(producer) == "finished True"
    assert [last_line(consumer) for consumer in consumers] == ["end finished"] * 2
    run.check_the_books("engine", "recorder")
    offered = run.sent("engine", "offered")
    assert offered >= 500
    assert [run.received(name, "delivered") for name in ("engine", "recorder")] == [offered] * 2


@pytest.mark.fault
def test_a_slow_consumer_slows_nothing_else(run: Run, record_property: Callable[[str, object], None]) -> None:
    """Beside one that takes 200 ms over each frame, the other goes on, and misses nothing by it."""
    record_property("fault", "a consumer takes 200 ms over each frame that comes every millisecond")
    record_property("promise", "the other consumer goes on, without an overrun")
    producer = run.produce("realtime", "engine", "recorder")
    engine = run.consume("engine")
    lines(engine, 1)
    alone = _rate(run, engine, 4)
    slow = run.consume("recorder", pause_s=SLOW_S)
    lines(slow, 1)
    beside = _rate(run, slow, 5)
    record_property("rate_beside_vs_alone", round(beside / alone, 2))
    assert beside > 10 / SLOW_S  # one that waited for the other would get a window's worth in that time: 3
    assert run.received("engine", "overrun") == run.received("engine", "lost") == 0
    assert run.sent("recorder", "dropped.superseded") > 10 * run.received("recorder", "delivered")
    assert last_line(producer) == "finished True"
    assert [last_line(consumer) for consumer in (engine, slow)] == ["end finished"] * 2
    run.check_the_books("engine", "recorder")


@pytest.mark.fault
@pytest.mark.parametrize("policy", ["realtime", "every_frame"])
def test_a_guest_comes_and_goes_and_costs_nobody_a_frame(
    run: Run, policy: str, record_property: Callable[[str, object], None]
) -> None:
    """A viewer that is slow, is killed, and comes again: the expected consumer notices nothing."""
    record_property("fault", f"a slow viewer is killed and comes again ({policy})")
    record_property("promise", "the expected consumer loses no frame")
    producer = run.produce(policy)
    engine = run.consume("engine")
    lines(engine, 1)
    for _ in range(2):
        guest = run.consume("guest", pause_s=0.05)
        lines(guest, 2)
        guest.kill()
        guest.wait()
    lines(engine, 3)
    assert last_line(producer) == "finished True"
    assert last_line(engine) == "end finished"
    run.check_the_books("engine")
    assert run.received("engine", "overrun") == run.received("engine", "lost") == 0
    if policy == "every_frame":
        assert run.received("engine", "delivered") == run.sent("engine", "offered")


def _rate(run: Run, shown_by: subprocess.Popen[str], count: int) -> float:
    """Frames per second that the engine gets while a process prints so many lines."""
    start_s, before = time.monotonic(), run.received("engine", "delivered")
    lines(shown_by, count)
    return (run.received("engine", "delivered") - before) / (time.monotonic() - start_s)
