"""What the pipeline file says of the infrared pixels, against what the source gives: never guessed."""

from __future__ import annotations

from typing import Final

from streamfuse.config.sources import InfraredSource
from streamfuse.errors import UsageError
from streamfuse.frames import PixelFormat

__all__ = ["check_declared"]

_COLORED: Final = frozenset({PixelFormat.RGB24, PixelFormat.YUV420P})


def check_declared(config: InfraredSource, given: PixelFormat) -> None:
    """Refuse pixels of another kind than ``format``, ``radiometry`` and ``palette-in`` are about.

    Raises:
        UsageError: with what to do.
    """
    counts = given is PixelFormat.GRAY16
    if config.format == "gray16" and not counts:
        raise UsageError(
            f"sources.infrared.format: gray16 is wanted, but the source gives {given}; "
            "switch the camera to raw counts (V4L2: `input_format: y16`), or set `format: gray8`"
        )
    if config.format == "gray8" and counts:
        raise UsageError(
            "sources.infrared.format: gray8 is wanted, but the source gives gray16; "
            "switch the camera to 8 bits, or set `format: gray16`"
        )
    if config.radiometry is not None and not counts:
        raise UsageError(
            "sources.infrared.radiometry: temperatures need the raw 16-bit counts, but the source gives "
            f"{given}; let the camera send them (Y16), or leave `radiometry` out"
        )
    if config.palette_in is not None and given not in _COLORED:
        raise UsageError(
            f"sources.infrared.palette-in: the source gives {given}, which has no colours; "
            "leave `palette-in` out"
        )
