"""The bus between processes, which are killed and started again."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from streamfuse.core.flow import outbox_counters
from streamfuse.core.wire import Channel
from streamfuse.io.transport.board import Board
from streamfuse.io.transport.inlet import inlet_counters
from streamfuse.io.transport.rundir import RunDir

HERE = Path(__file__).parent


class Run:
    """A run folder with the boards of a producer and a consumer."""

    def __init__(self, stack: ExitStack) -> None:
        self.stack = stack
        self.run = stack.enter_context(RunDir.create())
        self.producer_board = stack.enter_context(
            Board.create(self.run.board("producer"), outbox_counters(["engine"]))
        )
        self.consumer_board = stack.enter_context(
            Board.create(self.run.board("consumer"), inlet_counters(Channel.VISIBLE))
        )

    def start(self, script: str, *arguments: str | int) -> subprocess.Popen[str]:
        """Start one of the two scripts; it does not outlive the test."""
        command = [sys.executable, str(HERE / script), str(self.run.path), *map(str, arguments)]
        process = self.stack.enter_context(
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )
        self.stack.callback(process.kill)
        return process

    def sent(self, word: str) -> int:
        """A counter of the producer."""
        return self.producer_board.get(f"to.engine.{word}")

    def received(self, word: str) -> int:
        """A counter of the consumer."""
        return self.consumer_board.get(f"from.visible.{word}")

    def check_the_books(self) -> None:
        """Everything that was offered went exactly one way."""
        dropped = sum(self.sent(f"dropped.{cause}") for cause in ("superseded", "worker_lost", "stopped"))
        assert self.sent("offered") == self.sent("sent") + dropped
        arrived = [self.received(word) for word in ("delivered", "overrun", "lost")]
        assert sum(arrived) == self.sent("sent")
        assert self.received("delivered") == self.received("finished") + self.received("orphaned")


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


@pytest.mark.parametrize("policy", ["realtime", "every_frame"])
def test_frames_reach_another_process_whole_and_in_order(run: Run, policy: str) -> None:
    """Every frame is delivered or, in realtime only, superseded; the end is heard."""
    consumer = run.start("bus_consumer.py", 3)
    producer = run.start("bus_producer.py", policy)
    lines(consumer, 5)
    assert last_line(producer) == "finished True"
    assert last_line(consumer) == "end finished"
    run.check_the_books()
    assert run.received("lost") == run.received("overrun") == run.received("orphaned") == 0
    if policy == "every_frame":
        assert run.received("delivered") == run.sent("offered")


@pytest.mark.parametrize("policy", ["realtime", "every_frame"])
def test_a_killed_consumer_is_replaced_and_the_books_balance(run: Run, policy: str) -> None:
    """What was on its way or in its hands is counted; its successor goes on with the next frame."""
    producer = run.start("bus_producer.py", policy)
    for _ in range(2):
        victim = run.start("bus_consumer.py", 3)
        lines(victim, 2)
        victim.kill()
        victim.wait()
    consumer = run.start("bus_consumer.py", 3)
    lines(consumer, 2)
    assert last_line(producer) == "finished True"
    assert last_line(consumer) == "end finished"
    run.check_the_books()
    assert run.received("lost") + run.received("orphaned") <= 2 * 3


@pytest.mark.parametrize("policy", ["realtime", "every_frame"])
def test_a_killed_producer_is_replaced_and_the_books_balance(run: Run, policy: str) -> None:
    """Its successor goes on counting; at most what was pending or on its way is missing."""
    consumer = run.start("bus_consumer.py", 3)
    for _ in range(2):
        victim = run.start("bus_producer.py", policy)
        lines(victim, 2)
        victim.kill()
        victim.wait()
    producer = run.start("bus_producer.py", policy)
    lines(producer, 2)
    assert last_line(producer) == "finished True"
    assert last_line(consumer) == "end finished"
    run.check_the_books()
    assert run.received("orphaned") == 0
    assert run.received("lost") + run.sent("dropped.worker_lost") <= 2 * (3 + 1)
