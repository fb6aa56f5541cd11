"""The disk under the recordings: how much room it has, and how room is made."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path

from streamfuse.config.outputs import Retention
from streamfuse.core.retention import Stored, chosen_to_go
from streamfuse.errors import OutputError
from streamfuse.io.shelf import list_segments

__all__ = ["make_room", "spare_nbytes"]


def spare_nbytes(folder: Path, retention: Retention | None) -> int | None:
    """Bytes that may still be written to ``folder``: its free space without what is to stay free.

    A folder that was removed is made again, but not those above it: they may be where a disk is mounted.

    Returns:
        None where the folder is not there and cannot be made, or its disk does not answer.
    """
    try:
        folder.mkdir(exist_ok=True)
        free_nbytes = shutil.disk_usage(folder).free
    except OSError:
        return None
    return free_nbytes - ((retention and retention.min_free) or 0)


def make_room(folder: Path, retention: Retention, *, now_utc: datetime, next_nbytes: int) -> int:
    """Remove the oldest recordings as far as ``retention`` wants it, and say how many went.

    Args:
        folder: Of the recordings.
        retention: The limits.
        now_utc: The present.
        next_nbytes: What is about to be written.

    Raises:
        OutputError: the folder cannot be read, or a recording cannot be removed.
    """
    segments = {segment.stem: segment for segment in list_segments(folder)}
    stored = [
        Stored(name=stem, nbytes=each.nbytes, begun_utc=each.begun_utc, is_open=each.is_open)
        for stem, each in segments.items()
    ]
    try:
        free_nbytes = shutil.disk_usage(folder).free
        gone = chosen_to_go(
            stored, retention, now_utc=now_utc, free_nbytes=free_nbytes, next_nbytes=next_nbytes
        )
        for each in gone:
            for path in segments[each.name].paths:
                path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"{folder}: old recordings cannot be removed ({error.strerror}); check the rights of the folder"
        ) from error
    return len(gone)
