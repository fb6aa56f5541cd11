"""From a GenICam buffer to an image. Names and numbers are those of the Pixel Format Naming Convention."""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import MappingProxyType
from typing import Final

import numpy as np

from streamfuse.frames import Image
from streamfuse.io.cameras.bayer import BayerOrder, demosaic

__all__ = ["READABLE", "bytes_per_pixel", "choose_format", "image_of"]

# By the 32-bit codes of the PFNC, which every buffer carries.
_GRAY8: Final = 0x0108_0001
_GRAY16: Final = MappingProxyType(
    {0x0110_0003: "Mono10", 0x0110_0005: "Mono12", 0x0110_0025: "Mono14", 0x0110_0007: "Mono16"}
)
_BAYER: Final[MappingProxyType[int, BayerOrder]] = MappingProxyType(
    {0x0108_0008: "GR", 0x0108_0009: "RG", 0x0108_000A: "GB", 0x0108_000B: "BG"}
)
_RGB: Final = 0x0218_0014
_BGR: Final = 0x0218_0015

READABLE: Final = "Mono8, Mono10, Mono12, Mono14, Mono16, RGB8, BGR8 and BayerRG8, GR8, GB8, BG8"
"""The pixel formats that become images."""


def bytes_per_pixel(code: int) -> int | None:
    """Of a readable pixel format; None for all others."""
    if code == _GRAY8 or code in _BAYER:
        return 1
    if code in _GRAY16:
        return 2
    return 3 if code in {_RGB, _BGR} else None


def image_of(data: bytes, code: int, size_wh: tuple[int, int]) -> Image:
    """The image in ``data``, which holds whole rows without gaps.

    Counts of 10 to 14 bits keep their value. Samples are not copied where they need not be changed.

    Raises:
        ValueError: a pixel format that is not readable, or too little data.
    """
    depth = bytes_per_pixel(code)
    if depth is None:
        raise ValueError(f"pixel format 0x{code:08X} is not one of {READABLE}")
    width, height = size_wh
    needed = width * height * depth
    if len(data) < needed:
        raise ValueError(f"{width}x{height} pixels need {needed} bytes, got {len(data)}")
    samples = np.frombuffer(data, np.uint8, needed)
    if depth == 2:
        return Image.from_gray(samples.view("<u2").astype(np.uint16, copy=False).reshape(height, width))
    if depth == 3:
        pixels = samples.reshape(height, width, 3)
        return Image.from_rgb(pixels if code == _RGB else np.ascontiguousarray(pixels[..., ::-1]))
    plane = samples.reshape(height, width)
    return Image.from_rgb(demosaic(plane, _BAYER[code])) if code in _BAYER else Image.from_gray(plane)


def choose_format(wanted: str | None, offered: Sequence[str], *, raw: bool) -> str | None:
    """The camera's name of the pixel format to set; None leaves it as it is.

    Args:
        wanted: What the pipeline file names, in any case of letters.
        offered: What the camera has.
        raw: Without ``wanted``: whether counts of more than 8 bits are needed.

    Raises:
        ValueError: the camera does not have it; the message lists what it has.
    """
    if wanted is not None:
        named = {_plain(name): name for name in offered}
        if _plain(wanted) in named:
            return named[_plain(wanted)]
        raise ValueError(f"pixel format {wanted} is not offered; choose one of {', '.join(offered)}")
    if not raw:
        return None
    deep = [name for name in ("Mono16", "Mono14", "Mono12", "Mono10") if name in offered]
    if not deep:
        raise ValueError(f"16-bit counts are not offered; choose one of {', '.join(offered)}")
    return deep[0]


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
