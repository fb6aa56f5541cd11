"""The WebSocket of the page: pictures to each browser as fast as it takes them, and how the run is.

Server to browser, binary: the length of the header (32 bits, little-endian), the header as JSON, then the
JPEGs back to back. The header has ``viewer`` (id of this server), ``frame`` (number), ``size`` (width and
height), ``layers`` (``name`` and ``nbytes`` of each JPEG), ``record`` (the pair's) and ``status``. Once a
second as text: ``{"health": …, "viewers": n}``. Browser to server, text: see
:meth:`~streamfuse.io.viewer.pace.Taker.hear`.
"""

from __future__ import annotations

import asyncio
import json
import struct
from typing import Final

from starlette.websockets import WebSocket, WebSocketDisconnect

from streamfuse.clock import NS_PER_S, Clock
from streamfuse.io.viewer.health import HealthFile
from streamfuse.io.viewer.pace import Taker
from streamfuse.io.viewer.pictures import Look
from streamfuse.io.viewer.screen import Picture, Screen

__all__ = ["Live", "message_of"]

_TELL_EVERY_S: Final = 1.0
_GOING_AWAY: Final = 1001
_BAD_MESSAGE: Final = 1008
_TRY_LATER: Final = 1013


class Live:
    """Serves ``/live``.

    Args:
        screen: has the pictures.
        health: has the state of the run.
        viewer_id: of this server.
        max_fps: pictures per second that a browser gets at most.
        max_viewers: browsers that may look at once; further ones are asked to come later.
        clock: paces the pictures.
    """

    def __init__(
        self,
        screen: Screen,
        health: HealthFile,
        *,
        viewer_id: str,
        max_fps: float,
        max_viewers: int,
        clock: Clock,
    ) -> None:
        self._screen = screen
        self._health = health
        self._viewer_id = viewer_id
        self._max_fps = max_fps
        self._max_viewers = max_viewers
        self._clock = clock

    async def serve(self, socket: WebSocket) -> None:
        """Look after one browser until it leaves or the screen is closed."""
        await socket.accept()
        if self._screen.viewers >= self._max_viewers:
            await socket.close(_TRY_LATER, f"{self._max_viewers} browsers look already")
            return
        self._screen.viewers += 1
        browser = _Browser(socket, Taker(max_fps=self._max_fps))
        tasks = [
            asyncio.create_task(work) for work in (browser.listen(), self._show(browser), self._tell(browser))
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._screen.viewers -= 1
            for task in tasks:
                task.cancel()
            done = await asyncio.gather(*tasks, return_exceptions=True)
        for result in done:
            if isinstance(result, Exception) and not isinstance(result, WebSocketDisconnect):
                raise result

    async def _show(self, browser: _Browser) -> None:
        number = 0
        while True:
            await browser.wants_more(self._clock)
            number, message = await self._next(browser.taker, number)
            if message is None:
                await browser.socket.close(_GOING_AWAY, "the viewer stops")
                return
            await browser.socket.send_bytes(message)

    async def _next(self, taker: Taker, number: int) -> tuple[int, bytes | None]:
        """The newest picture after ``number`` as a message; None when there will be none.

        It returns bytes, so a browser that stalls does not hold on to the frame: that is megabytes.
        """
        picture = await self._screen.next_after(number)
        if picture is None:
            return number, None
        taker.took(picture.number, self._clock.now_ns())
        return picture.number, await message_of(picture, taker.looks, self._viewer_id)

    async def _tell(self, browser: _Browser) -> None:
        while True:
            told = {"health": await self._health.read(), "viewers": self._screen.viewers}
            await browser.socket.send_text(json.dumps(told))
            await asyncio.sleep(_TELL_EVERY_S)


class _Browser:
    """One connection, and what its other end wants."""

    def __init__(self, socket: WebSocket, taker: Taker) -> None:
        self.socket = socket
        self.taker = taker
        self._heard = asyncio.Event()

    async def listen(self) -> None:
        """Hear what the browser says until it leaves or talks nonsense."""
        while (message := await self.socket.receive())["type"] == "websocket.receive":
            try:
                self.taker.hear(message.get("text") or "")
            except ValueError as error:
                await self.socket.close(_BAD_MESSAGE, str(error)[:100])
                return
            self._heard.set()

    async def wants_more(self, clock: Clock) -> None:
        """Come back when the next picture may go."""
        while (wait_ns := self.taker.wait_ns(clock.now_ns())) != 0:
            self._heard.clear()
            try:
                async with asyncio.timeout(None if wait_ns is None else wait_ns / NS_PER_S):
                    await self._heard.wait()
            except TimeoutError:
                continue


async def message_of(picture: Picture, looks: tuple[Look, ...], viewer_id: str) -> bytes:
    """A picture as one message, with those of its images that are there."""
    jpegs = await asyncio.gather(*(picture.jpeg(look) for look in looks))
    there = [(look, jpeg) for look, jpeg in zip(looks, jpegs, strict=True) if jpeg is not None]
    layers = [{"name": look.value, "nbytes": len(jpeg)} for look, jpeg in there]
    own = {"viewer": viewer_id, "frame": picture.number, "size": picture.size_wh, "layers": layers}
    # What is the same for all browsers is written as JSON once, not for each of them.
    header = f"{json.dumps(own)[:-1]}, {picture.facts}}}".encode()
    return b"".join((struct.pack("<I", len(header)), header, *(jpeg for _, jpeg in there)))
