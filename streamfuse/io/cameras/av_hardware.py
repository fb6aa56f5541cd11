"""What decodes compressed video: the hardware where it works, else the processor."""

from __future__ import annotations

from functools import cache
from typing import Final, Literal

import av
from av.codec.hwaccel import HWAccel, hwdevices_available

from streamfuse.errors import UsageError

__all__ = ["accelerator"]

_KINDS: Final = ("cuda", "vaapi")
"""In the order in which ``auto`` tries them."""


def accelerator(decode: Literal["auto", "software", "cuda", "vaapi"], *, label: str) -> HWAccel | None:
    """What to give :func:`av.open`; None decodes in software.

    ``auto`` takes the first kind that works, and still decodes in software what that cannot.

    Raises:
        UsageError: a kind that was asked for by name does not work here.
    """
    if decode == "software":
        return None
    if decode == "auto":
        kind = next((kind for kind in _KINDS if _problem(kind) is None), None)
        return None if kind is None else HWAccel(kind, allow_software_fallback=True)
    problem = _problem(decode)
    if problem is not None:
        raise UsageError(f"{label}: decode: {decode} does not work here ({problem}); use decode: auto")
    return HWAccel(decode, allow_software_fallback=False)


@cache
def _problem(kind: str) -> str | None:
    """Why this machine cannot decode with ``kind``; None if it can. Found by trying, once a process."""
    if kind not in hwdevices_available():
        return f"this build of FFmpeg has {', '.join(hwdevices_available()) or 'none'}"
    try:
        HWAccel(kind).create(av.Codec("h264", "r"))
    except (av.FFmpegError, NotImplementedError, OSError) as error:
        return str(getattr(error, "strerror", None) or error)
    return None
