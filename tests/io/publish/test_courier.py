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
from streamfuse.io.publish.standing import News, Standing
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


def warning(text: str) -> News:
    """Something is wrong."""
    return News(text=text, level="warning")


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
    courier.standing.finish()
    assert courier.standing.take_news() == [warning("road: 3 messages were not delivered")]


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
    assert standing.take_news() == [warning("road: is blocked; trying on")]
    clock.advance_ms(2_500)
    standing.work()
    standing.work()
    again = News(text="road: works again after 2.5 s; 3 messages were lost", level="info")
    assert standing.take_news() == [again]
    assert standing.lost == 3


def test_slowness_is_told_now_and_then() -> None:
    """A receiver that works and is too slow is told of every 30 s, not with every message."""
    clock = FakeClock()
    standing = Standing("road", clock=clock)
    told: list[News] = []
    for _ in range(75):
        standing.lose()
        told += standing.take_news()
        clock.advance_ms(1_000)
    assert told == [
        warning(f"road: takes messages too slowly; {lost} lost so far")
        for lost in ("1 message was", "31 messages were", "61 messages were")
    ]


def test_a_failure_that_costs_messages_is_told_again() -> None:
    """Every 30 s with the number so far, while messages are being lost; without a loss it is quiet."""
    clock = FakeClock()
    standing = Standing("road", clock=clock)
    standing.fail("is blocked")
    told = standing.take_news()
    for second in range(100):
        if second < 50:
            standing.lose()
        told += standing.take_news()
        clock.advance_ms(1_000)
    assert told == [
        warning("road: is blocked; trying on"),
        warning("road: is blocked, for 30 s now; 31 messages were lost so far"),
        warning("road: is blocked, for 60 s now; 50 messages were lost so far"),
    ]


def test_at_the_end_every_loss_has_been_told_once() -> None:
    """What was left over is one sentence; so is what was lost shortly before; and then there is silence."""
    standing = Standing("road", clock=FakeClock())
    standing.fail("is blocked")
    standing.take_news()
    standing.lose(2)
    standing.finish()
    assert standing.take_news() == [warning("road: 2 messages were lost in all")]
    standing.leave(33)
    standing.finish()
    assert standing.take_news() == [warning("road: 33 messages were not delivered; 35 were lost in all")]
    standing.finish()
    assert standing.take_news() == []
