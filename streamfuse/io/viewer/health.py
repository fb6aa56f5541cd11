"""How the run is, as its supervisor writes it into a file."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from streamfuse.clock import NS_PER_MS, Clock

__all__ = ["HealthFile"]

_FRESH_NS: Final = 400 * NS_PER_MS
"""For this long what was read is good for all who ask: it is written twice a second."""


class HealthFile:
    """Reads the supervisor's file, once for many.

    Args:
        path: of the file; None: there is none.
        clock: tells when it was read last.
    """

    def __init__(self, path: Path | None, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._read_ns: int | None = None
        self._content: Mapping[str, Any] | None = None

    async def read(self) -> Mapping[str, Any] | None:
        """What the file says; None when it is not there or cannot be read."""
        now_ns = self._clock.now_ns()
        if self._path is not None and (self._read_ns is None or now_ns - self._read_ns > _FRESH_NS):
            self._read_ns = now_ns
            self._content = await asyncio.to_thread(_content, self._path)
        return self._content


def _content(path: Path) -> Mapping[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
