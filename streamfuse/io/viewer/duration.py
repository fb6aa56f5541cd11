"""How long a recording is, from the end of its index: cheap enough for a list of many."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final

__all__ = ["duration_s"]

_TAIL_BYTES: Final = 64 * 1024
"""More than a line takes, even one with many objects."""
_MS_PER_S: Final = 1000


def duration_s(index: Path) -> float | None:
    """Seconds from the first pair of a closed index to its last; None where its end does not tell."""
    try:
        with index.open("rb") as file:
            file.seek(-min(_TAIL_BYTES, file.seek(0, os.SEEK_END)), os.SEEK_END)
            lines = file.read().splitlines()
        pts_ms = json.loads(lines[-1])["pts_ms"]
    except (OSError, ValueError, LookupError, TypeError):  # removed, cut off, or another kind of line
        return None
    is_time = isinstance(pts_ms, int | float) and 0 <= pts_ms < float("inf")
    return round(pts_ms / _MS_PER_S, 3) if is_time else None
