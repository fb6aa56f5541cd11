"""Couriers: bounded, never in the way, and honest about what they lost; and how a way's standing is told."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from streamfuse.core.messages import Kind, Message
from streamfuse.io.publish.courier import Carry, Courier
from streamfuse.io.publish.standing import Standing
from streamfuse.testing import FakeClock


class Road:
    """A carrier that can be blocked and broken."""

    def __init__(self) -> None:
        self.arrived: list[bytes] = []
        self.error: Exception | None = None
        self.is_free = threading.Event()
        self.busy = threading.Event()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Carry]:
        """The way to send."""
        yield self._carry

    async def _carry(self, message: Message) -> None:
        self.busy.set()
        while not self.is_free.is_set():
            await asyncio.sleep(0.001)
        if self.error is not None:
            raise self.error
        self.arrived.append(message.body)


def messages(count: int) -> Sequence[Message]:
    """Messages that are told apart by their numbers."""
    return [Message(kind=Kind.PAIR, body=b"%d" % number) for number in range(count)]


def test_the_newest_wait_and_the_oldest_go() -> None:
    """One is on its way, four wait; the others are lost, and each is counted."""
    road = Road()
    courier = Courier(road.open(), standing=Standing("road"), room=4)
    first, *others = messages(10)
    courier.publish(first)
    assert road.busy.wait(5)
    for message in others:
        courier.publish(message)
    assert courier.standing.lost == 5
    road.is_free.set()
    courier.close()
    assert road.arrived == [b"0", b"6", b"7", b"8", b"9"]
    assert courier.standing.lost == 5


def test_the_end_does_not_wait_for_a_blocked_road() -> None:
    """Half a second is left; then what was under way and what waits are lost, and counted."""
    road = Road()
    courier = Courier(road.open(), standing=Standing("road"))
    for message in messages(3):
        courier.publish(message)
    began_s = time.monotonic()
    courier.close()
    courier.close()
    assert time.monotonic() - began_s < 2.0
    assert (road.arrived, courier.standing.lost) == ([], 3)


def test_an_accident_in_the_thread_is_not_silent() -> None:
    """A mistake of a carrier is raised where messages are published."""
    road = Road()
    road.error = ZeroDivisionError("an accident")
    road.is_free.set()
    courier = Courier(road.open(), standing=Standing("road"))
    (message,) = messages(1)
    courier.publish(message)
    courier.close()
    with pytest.raises(ZeroDivisionError, match="an accident"):
        courier.publish(message)


def test_a_failure_and_its_end_are_told_once_each() -> None:
    """However often it fails: one sentence, and one when it works again, with the time and the loss."""
    clock = FakeClock()
    standing = Standing("road", clock=clock)
    for _ in range(3):
        standing.fail("is blocked")
        standing.lose()
    assert standing.take_news() == ["road: is blocked; trying on"]
    clock.advance_ms(2_500)
    standing.work()
    standing.work()
    assert standing.take_news() == ["road: works again after 2.5 s; 3 messages were lost"]
    assert standing.lost == 3


def test_slowness_is_told_now_and_then() -> None:
    """A receiver that works and is too slow is told of every ten seconds, not with every message."""
    clock = FakeClock()
    standing = Standing("road", clock=clock)
    for _ in range(25):
        standing.lose()
        clock.advance_ms(1_000)
    assert standing.take_news() == [
        f"road: takes messages too slowly; {lost} lost so far" for lost in (1, 11, 21)
    ]
