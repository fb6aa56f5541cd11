"""Keeps an encoder from making itself, and us, real-time (Linux's capabilities, by its C library).

As root, SVT-AV1 gives the highest real-time priority to its threads and, now or a little later, to the main
thread of the process, whose children inherit it: a recorder, or tests, then starve the rest of the machine.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["ordinary_priority"]

_VERSION: Final = 0x20080522
"""Of the structures below: _LINUX_CAPABILITY_VERSION_3 in capget(2)."""
_SYS_NICE: Final = 1 << 23
"""The right to take a real-time priority: CAP_SYS_NICE in capabilities(7)."""


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("thread_id", ctypes.c_int))


class _Rights(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


@contextmanager
def ordinary_priority() -> Iterator[None]:
    """Threads that are made in this block can never take a real-time priority, and this one cannot within it.

    Rights belong to a thread, and what it starts gets a copy of them.
    """
    rights = _rights()
    had = rights[0].effective & _SYS_NICE
    if not had:
        yield
        return
    rights[0].effective &= ~_SYS_NICE
    _set(rights)
    try:
        yield
    finally:
        rights[0].effective |= had
        _set(rights)


def _rights() -> ctypes.Array[_Rights]:
    """Those of this thread, in two words of 32 bits."""
    rights = (_Rights * 2)()
    _call("capget", rights)
    return rights


def _set(rights: ctypes.Array[_Rights]) -> None:
    _call("capset", rights)


def _call(name: str, rights: ctypes.Array[_Rights]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(ctypes.byref(_Header(_VERSION, 0)), rights):
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")
