"""What a V4L2 device says of itself, asked with the kernel's own calls; it may be in use meanwhile.

The layouts and numbers are those of ``linux/videodev2.h``, part of the kernel's stable interface.
"""

from __future__ import annotations

import fcntl
import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["V4L2_LINKS", "V4l2Device", "V4l2Mode", "ask", "bare_index", "offered", "stable_names"]

V4L2_LINKS: Final = Path("/dev/v4l")
"""Where udev keeps names that outlive a reboot."""

_CAPTURE: Final = 0x1
_HAS_DEVICE_CAPS: Final = 0x8000_0000
_BUF_TYPE_CAPTURE: Final = 1
_DISCRETE: Final = 1
_MOST_ENTRIES: Final = 256
"""Against a driver that never ends its list."""

_QUERYCAP: Final = struct.Struct("16s32s32s3I12x")
_FMTDESC: Final = struct.Struct("3I32sI16x")
_FRMSIZE: Final = struct.Struct("3I6I8x")
_FRMIVAL: Final = struct.Struct("5I6I8x")


def _request(number: int, layout: struct.Struct, *, writes: bool = True) -> int:
    """The number of an ioctl, by the rules of ``asm-generic/ioctl.h``."""
    direction = 3 if writes else 2
    return direction << 30 | layout.size << 16 | ord("V") << 8 | number


_VIDIOC_QUERYCAP: Final = _request(0, _QUERYCAP, writes=False)
_VIDIOC_ENUM_FMT: Final = _request(2, _FMTDESC)
_VIDIOC_ENUM_FRAMESIZES: Final = _request(74, _FRMSIZE)
_VIDIOC_ENUM_FRAMEINTERVALS: Final = _request(75, _FRMIVAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class V4l2Mode:
    """One pixel format and size that a device offers."""

    fourcc: str
    """The kernel's name of the pixel format, such as ``YUYV`` or ``Y16``."""
    size_wh: tuple[int, int]
    """Of a range of sizes, the largest."""
    fps: float | None
    """The highest rate; None where the driver does not tell."""

    def __str__(self) -> str:
        rate = "" if self.fps is None else f" at {self.fps:g} fps"
        return f"{self.fourcc} {self.size_wh[0]}x{self.size_wh[1]}{rate}"


@dataclass(frozen=True, slots=True, kw_only=True)
class V4l2Device:
    """A device that answered."""

    card: str
    """Its name, as the maker gave it."""
    driver: str
    captures: bool
    """Whether it gives video; a camera has further nodes, for metadata, that do not."""
    modes: tuple[V4l2Mode, ...]


def ask(path: Path | str) -> V4l2Device:
    """What the device at ``path`` is and offers.

    Raises:
        OSError: it is absent, may not be opened, or is no V4L2 device.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        raw = fcntl.ioctl(descriptor, _VIDIOC_QUERYCAP, bytes(_QUERYCAP.size))
        driver, card, _, _, capabilities, device_caps = _QUERYCAP.unpack(raw)
        own = device_caps if capabilities & _HAS_DEVICE_CAPS else capabilities
        captures = bool(own & _CAPTURE)
        modes = tuple(_modes(descriptor)) if captures else ()
    finally:
        os.close(descriptor)
    return V4l2Device(card=_text(card), driver=_text(driver), captures=captures, modes=modes)


def offered(path: Path | str) -> str:
    """The modes of a device as a list for a message; empty where it does not tell."""
    try:
        return ", ".join(str(mode) for mode in ask(path).modes)
    except OSError:
        return ""


def bare_index(uri: str) -> bool:
    """Whether ``uri`` is a ``/dev/videoN``, whose number the kernel gives out anew at each start."""
    return re.fullmatch(r"/dev/video\d+", uri) is not None


def stable_names(device: Path | str, *, links: Path = V4L2_LINKS) -> tuple[str, ...]:
    """The names under ``links`` that point to ``device``: by identity first, then by place."""
    target = Path(device).resolve()
    names = [
        str(link)
        for folder in ("by-id", "by-path")
        for link in sorted((links / folder).glob("*"))
        if link.resolve() == target
    ]
    return tuple(names)


def _modes(descriptor: int) -> Iterator[V4l2Mode]:
    for index in range(_MOST_ENTRIES):
        query = _FMTDESC.pack(index, _BUF_TYPE_CAPTURE, 0, b"", 0)
        answer = _try(descriptor, _VIDIOC_ENUM_FMT, query)
        if answer is None:
            return
        fourcc: int = _FMTDESC.unpack(answer)[4]
        for size_wh in _sizes(descriptor, fourcc):
            yield V4l2Mode(fourcc=_name(fourcc), size_wh=size_wh, fps=_rate(descriptor, fourcc, size_wh))


def _sizes(descriptor: int, fourcc: int) -> Iterator[tuple[int, int]]:
    for index in range(_MOST_ENTRIES):
        query = _FRMSIZE.pack(index, fourcc, *[0] * 7)
        answer = _try(descriptor, _VIDIOC_ENUM_FRAMESIZES, query)
        if answer is None:
            return
        _, _, kind, first, second, _, _, height, _ = _FRMSIZE.unpack(answer)
        if kind == _DISCRETE:
            yield first, second
        else:  # least and most width, step, least and most height, step
            yield second, height
            return


def _rate(descriptor: int, fourcc: int, size_wh: tuple[int, int]) -> float | None:
    """The highest frame rate of a mode; of a range of intervals the least comes first."""
    rates: list[float] = []
    for index in range(_MOST_ENTRIES):
        query = _FRMIVAL.pack(index, fourcc, *size_wh, *[0] * 7)
        answer = _try(descriptor, _VIDIOC_ENUM_FRAMEINTERVALS, query)
        if answer is None:
            break
        _, _, _, _, kind, numerator, denominator = _FRMIVAL.unpack(answer)[:7]
        if numerator:
            rates.append(denominator / numerator)
        if kind != _DISCRETE:
            break
    return max(rates, default=None)


def _try(descriptor: int, request: int, query: bytes) -> bytes | None:
    try:
        return fcntl.ioctl(descriptor, request, query)
    except OSError:  # the end of the list, or a call that the driver does not have
        return None


def _name(fourcc: int) -> str:
    return struct.pack("<I", fourcc & 0x7FFF_FFFF).decode("latin-1").strip()


def _text(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode("utf-8", "replace")
