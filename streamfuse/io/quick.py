"""The two ends of a process of ours, without the work that nobody needs."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["quick_process"]

_NEW_OBJECTS: Final = 10_000
"""After so many Python looks for garbage; it would after 700. Torch alone makes half a million objects, which
all stay: looking through them takes a fifth of the time to load it."""


@contextmanager
def quick_process() -> Iterator[None]:
    """Load libraries faster, and leave the process without taking them apart.

    The interpreter takes torch apart piece by piece, for a second of computing; the system takes it all back
    at once. So the process ends before that, with the status of :class:`SystemExit`, but after its threads,
    its exit handlers and what is still to be written. Any other exception goes its usual way.

    For the main function of a program alone, around all that it does: exit handlers run in reverse.
    """
    status: list[int] = []
    gc.set_threshold(_NEW_OBJECTS)
    atexit.register(_leave, status)
    try:
        yield
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            status.append(end.code or 0)
        raise
    status.append(0)


def _leave(status: list[int]) -> None:
    if not status:
        return
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:  # nobody reads it; the interpreter says so
        return
    os._exit(status[0])
