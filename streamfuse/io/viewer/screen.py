"""The newest frame for those who look, each of its images encoded once and only if somebody wants it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from functools import cached_property

from streamfuse.clock import NS_PER_MS, Utc
from streamfuse.core.pair_record import pair_record
from streamfuse.frames import FusedFrame
from streamfuse.io.viewer.pictures import Look, image_of, look_jpeg

__all__ = ["Picture", "Screen", "status_of"]


def status_of(frame: FusedFrame, *, pipeline: str, fps: float) -> dict[str, object]:
    """The numbers that stand beside the picture; None stands for what is not known."""
    return {
        "pipeline": pipeline,
        "pair_id": frame.pair_id,
        "state": frame.state.value,
        "skew_ms": frame.skew_ms,
        "infrared_age_ms": frame.infrared_age_ms,
        "fps": round(fps, 1),
        "latency_ms": round(max(0, frame.fused_ns - frame.capture_ns) / NS_PER_MS, 1),
        "detections": len(frame.detections),
    }


class Picture:
    """A frame on the screen. Its JPEGs are made when the first one asks, in a thread beside the loop.

    Args:
        number: 1 for the first one shown.
        frame: with images that nobody changes any more.
        status: as :func:`status_of` has it.
        utc: labels the times in the record.
        quality: of the JPEGs, 1..100.
        shown_ns: monotonic time at which it came.
    """

    def __init__(
        self,
        number: int,
        frame: FusedFrame,
        *,
        status: Mapping[str, object],
        utc: Utc,
        quality: int,
        shown_ns: int,
    ) -> None:
        self.number = number
        self.status = status
        self.shown_ns = shown_ns
        self._frame = frame
        self._utc = utc
        self._quality = quality
        self._made: dict[tuple[Look, bool], asyncio.Task[bytes | None]] = {}

    @property
    def size_wh(self) -> tuple[int, int]:
        """Of all its images, in pixels."""
        return self._frame.image.spec.size_wh

    @property
    def encoded(self) -> int:
        """How many JPEGs were made of it."""
        return len(self._made)

    @cached_property
    def facts(self) -> str:
        """``"record": …, "status": …`` as JSON: the part of a message that is the same for all."""
        record = json.dumps(pair_record(self._frame, self._utc), allow_nan=False)
        return f'"record": {record}, "status": {json.dumps(self.status, allow_nan=False)}'

    def has(self, look: Look) -> bool:
        """Whether its pair has that image."""
        return image_of(self._frame, look) is not None

    async def jpeg(self, look: Look, *, overlay: bool = False) -> bytes | None:
        """One of its images as a JPEG, or None where the pair has none. Asked for twice it is made once."""
        key = look, overlay
        if key not in self._made:
            making = asyncio.to_thread(look_jpeg, self._frame, look, overlay=overlay, quality=self._quality)
            self._made[key] = asyncio.create_task(making)
        return await asyncio.shield(self._made[key])  # who leaves takes it away from nobody


class Screen:
    """The newest picture and those who wait for a newer one.

    ``picture`` may be set from any thread; all else belongs to the event loop.
    """

    def __init__(self) -> None:
        self.picture: Picture | None = None
        self.viewers = 0
        """Who looks at live pictures at the moment."""
        self.closed = asyncio.Event()
        self._changed = asyncio.Event()

    def announce(self) -> None:
        """Wake all who wait."""
        self._changed.set()
        self._changed = asyncio.Event()

    def close(self) -> None:
        """Send all who wait away, now and from now on."""
        self.closed.set()
        self.announce()

    async def next_after(self, number: int) -> Picture | None:
        """The newest picture once it has another number, or None when the screen is closed."""
        while not self.closed.is_set():
            picture = self.picture
            if picture is not None and picture.number != number:
                return picture
            await self._changed.wait()
        return None
