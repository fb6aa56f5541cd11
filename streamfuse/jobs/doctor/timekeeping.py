"""Whether somebody keeps the system's clock right, NTP or PTP: the kernel knows (``adjtimex(2)``)."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from streamfuse.errors import MachineError
from streamfuse.jobs.doctor.finding import Finding, Level

__all__ = ["ClockState", "judge_clock", "look_at_clock", "read_clock_state"]

_TIMEX: Final = struct.Struct("@I4xqqqqi")
"""The beginning of ``struct timex`` of 64-bit Linux: modes, offset, freq, maxerror, esterror, status."""
_TIMEX_NBYTES: Final = 512
"""More than the 208 that the kernel writes."""
_UNSYNCHRONISED: Final = 0x40
"""``STA_UNSYNC``: nobody has set the clock, or not for so long that it may be off by 16 s."""
_GOOD_MS: Final = 1_000.0
"""Of UTC labels: what people notice when they lay a recording beside another log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockState:
    """What the kernel says of the system's clock."""

    synchronised: bool
    max_error_ms: float
    """By how much it may be off; it grows by 0.5 ms a second until somebody compares the clock again."""


def read_clock_state() -> ClockState:
    """Ask the kernel; nothing is changed.

    Raises:
        MachineError: it does not answer, as in some containers.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(_TIMEX_NBYTES)
    if libc.adjtimex(buffer) < 0:
        reason = os.strerror(ctypes.get_errno())
        raise MachineError(f"the kernel does not tell ({reason}); look on the host, not in a container")
    _, _, _, max_error_us, _, status = _TIMEX.unpack_from(buffer)
    return ClockState(synchronised=not status & _UNSYNCHRONISED, max_error_ms=max_error_us / 1_000)


def look_at_clock() -> Iterator[Finding]:
    """The system's clock."""
    try:
        state = read_clock_state()
    except MachineError as error:
        text, _, fix = str(error).partition("; ")
        yield Finding(what="clock", level=Level.WARNING, text=text, fix=fix)
    else:
        yield judge_clock(state)


def judge_clock(state: ClockState) -> Finding:
    """Only labels depend on it: frames are paired by the monotonic clock, which cannot be set."""
    if not state.synchronised:
        text = "not synchronised: the UTC times of recordings and messages may be wrong"
        fix = "`timedatectl set-ntp true`, or install chrony; with PTP let phc2sys set the system's clock"
        return Finding(what="clock", level=Level.WARNING, text=text, fix=fix)
    text = f"synchronised, off by {state.max_error_ms:.0f} ms at most"
    if state.max_error_ms > _GOOD_MS:
        fix = "choose a time server that is nearer; `timedatectl timesync-status` shows the present one"
        return Finding(what="clock", level=Level.WARNING, text=text, fix=fix)
    return Finding(what="clock", level=Level.OK, text=text)
