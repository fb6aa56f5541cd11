"""When a browser gets its next picture: decisions without a clock or a socket."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Mapping
from typing import Any, Final

from streamfuse.clock import NS_PER_S
from streamfuse.io.viewer.pictures import Look

__all__ = ["Pace", "Taker"]

_EARLY: Final = 0.25
"""Part of a period by which a picture may be early: cameras do not keep time to the millisecond."""


class Pace:
    """Lets at most ``fps`` pictures a second through, evenly.

    Args:
        fps: above 0.
    """

    def __init__(self, fps: float) -> None:
        self.fps = fps
        self._due_ns: int | None = None

    def wait_ns(self, now_ns: int) -> int:
        """How long the next picture has to wait; 0: it may go."""
        if self._due_ns is None:
            return 0
        return max(0, self._due_ns - round(_EARLY * self._period_ns) - now_ns)

    def went(self, now_ns: int) -> None:
        """A picture has gone."""
        # Counted from when it was due and not from when it went, so that jitter does not add up; who
        # is behind does not catch up either.
        due_ns = now_ns if self._due_ns is None else max(self._due_ns, now_ns - self._period_ns)
        self._due_ns = due_ns + self._period_ns

    @property
    def _period_ns(self) -> int:
        return round(NS_PER_S / self.fps)


class Taker:
    """What one browser wants and how far behind it is.

    A browser says what it has drawn; only so many pictures are ever on the way to it, wherever they
    queue up. One that stops drawing stops getting.

    Args:
        max_fps: pictures per second it may have at most.
        window: pictures that may be on the way to it.
    """

    def __init__(self, *, max_fps: float, window: int = 2) -> None:
        self.looks: tuple[Look, ...] = ()
        self._max_fps = max_fps
        self._window = window
        self._pace = Pace(max_fps)
        self._on_the_way: deque[int] = deque()

    def hear(self, message: str) -> None:
        """Take in what the browser says: ``{"want": {"layers": […], "fps": n}}`` or ``{"ready": n}``.

        Raises:
            ValueError: it says something else; one sentence.
        """
        try:
            said = json.loads(message)
        except RecursionError as error:
            raise ValueError("expected one small JSON object") from error
        if not isinstance(said, dict) or not said.keys() <= {"want", "ready"}:
            raise ValueError('expected an object with "want" or "ready"')
        if "want" in said:
            self._want(said["want"])
        if "ready" in said:
            self._ready(said["ready"])

    def wait_ns(self, now_ns: int) -> int | None:
        """How long until a picture may go; 0: now, None: not before the browser says something."""
        if not self.looks or len(self._on_the_way) >= self._window:
            return None
        return self._pace.wait_ns(now_ns)

    def took(self, number: int, now_ns: int) -> None:
        """Picture ``number`` is on its way."""
        self._on_the_way.append(number)
        self._pace.went(now_ns)

    def _want(self, want: Any) -> None:
        if not isinstance(want, Mapping) or not want.keys() <= {"layers", "fps"}:
            raise ValueError('expected "want" with "layers" and "fps"')
        layers, fps = want.get("layers", list(self.looks)), want.get("fps", self._pace.fps)
        known = [look.value for look in Look]
        if not isinstance(layers, list) or not all(layer in known for layer in layers):
            raise ValueError(f'expected "layers" out of {", ".join(known)}')
        if isinstance(fps, bool) or not isinstance(fps, int | float) or not 0 < fps < math.inf:
            raise ValueError('expected "fps" above 0')
        self.looks = tuple(look for look in Look if look.value in layers)
        self._pace.fps = max(0.1, float(min(fps, self._max_fps)))  # fps may be too large for a float

    def _ready(self, number: Any) -> None:
        if isinstance(number, bool) or not isinstance(number, int):
            raise ValueError('expected "ready" with the number of a picture')  # noqa: TRY004 - bad input, one error
        while self._on_the_way and self._on_the_way[0] <= number:
            self._on_the_way.popleft()
