"""The fused pictures with overlay as ``multipart/x-mixed-replace``: what browsers and players call MJPEG."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from streamfuse.clock import NS_PER_S, Clock
from streamfuse.io.viewer.pace import Pace
from streamfuse.io.viewer.pictures import Look
from streamfuse.io.viewer.screen import Screen

__all__ = ["BOUNDARY", "parts"]

BOUNDARY: Final = "streamfuse-picture"


async def parts(screen: Screen, max_fps: float, clock: Clock) -> AsyncIterator[bytes]:
    """The newest picture again and again until the screen is closed or the browser leaves."""
    delimiter = f"\r\n--{BOUNDARY}\r\n".encode()
    pace, number = Pace(max_fps), 0
    screen.viewers += 1
    try:
        yield delimiter
        while (picture := await screen.next_after(number)) is not None:
            if wait_ns := pace.wait_ns(clock.now_ns()):
                await asyncio.sleep(wait_ns / NS_PER_S)
                continue
            pace.went(clock.now_ns())
            number = picture.number
            jpeg = await picture.jpeg(Look.FUSED, overlay=True) or b""
            del picture  # a browser that stalls would hold on to the frame: that is megabytes
            head = f"Content-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            yield head.encode() + jpeg
            # On its own, for two reasons: browsers draw a picture only when they see the delimiter after
            # it, and uvicorn takes it only when the browser has taken the picture: then the next is chosen.
            yield delimiter
    finally:
        screen.viewers -= 1
