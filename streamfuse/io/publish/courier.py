"""A courier: brings messages over a network, in a thread of its own, so that the pipeline never waits for it.

What the network cannot take waits in a short queue. When that is full the oldest message makes room for the
newest, is counted and told of.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Final, TypeAlias

from streamfuse.core.messages import Message
from streamfuse.io.publish.publisher import Publisher
from streamfuse.io.publish.standing import Standing

__all__ = ["FAREWELL_S", "ROOM", "Carry", "Courier"]

Carry: TypeAlias = Callable[[Message], Awaitable[None]]
"""Brings one message to its receiver, or gives it up and tells the standing. It may wait and be cancelled."""

ROOM: Final = 256
"""Messages that wait for a receiver that is slow or away: some ten seconds of pairs, hours of events."""
FAREWELL_S: Final = 0.5
"""How long the end waits for what is still to be sent."""


class Courier(Publisher):
    """Publishes through a carrier that may wait.

    Args:
        carrier: the connection; entered and left in the courier's thread, it gives the way to send.
        standing: the carrier's books.
        room: messages that may wait.
    """

    def __init__(
        self, carrier: AbstractAsyncContextManager[Carry], *, standing: Standing, room: int = ROOM
    ) -> None:
        self.standing = standing
        self._carrier = carrier
        self._waiting: deque[Message] = deque()
        self._room = room
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._called = asyncio.Event()
        self._carrying: asyncio.Task[None] | None = None
        self._ending = False
        self._accident: Exception | None = None
        self._thread = threading.Thread(target=self._run, name=f"courier {standing.where}")
        self._thread.start()

    def publish(self, message: Message) -> None:
        """Take a message over; if too many wait, the oldest is lost.

        Raises:
            Exception: whatever ended the courier's thread before its time.
        """
        if self._accident is not None:
            raise self._accident
        with self._lock:
            is_full = len(self._waiting) >= self._room
            if is_full:
                self._waiting.popleft()
            self._waiting.append(message)
        if is_full:
            self.standing.lose()
        self._call(self._called.set)

    def end(self) -> None:
        """Send what waits within a moment, and then no more."""
        self._call(self._hurry)

    def close(self) -> None:
        """Wait for the end; what could not be sent is lost. May be called twice."""
        self.end()
        self._thread.join()

    def _call(self, what: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the thread has ended
            self._loop.call_soon_threadsafe(what)

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._work())
        except Exception as error:  # noqa: BLE001 - carried to the caller's thread and raised there
            self._accident = error

    async def _work(self) -> None:
        async with self._carrier as carry:
            self._carrying = asyncio.create_task(self._carry_all(carry))
            if self._ending:
                self._hurry()
            with contextlib.suppress(asyncio.CancelledError):  # by _hurry
                await self._carrying
        self.standing.leave(len(self._waiting))

    async def _carry_all(self, carry: Carry) -> None:
        while True:
            while (message := self._next()) is not None:
                try:
                    await carry(message)
                except asyncio.CancelledError:
                    self.standing.leave()
                    raise
            if self._ending:
                return
            self._called.clear()
            await self._called.wait()

    def _next(self) -> Message | None:
        with self._lock:
            return self._waiting.popleft() if self._waiting else None

    def _hurry(self) -> None:
        self._ending = True
        self._called.set()
        if self._carrying is not None:
            self._loop.call_later(FAREWELL_S, self._carrying.cancel)
