"""A FLIR Lepton whose frames carry telemetry: image and shutter flag parted, whatever brings the frames."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Final, cast

import numpy as np
import numpy.typing as npt

from streamfuse.core.thermal.telemetry import lepton_image_wh, lepton_telemetry
from streamfuse.errors import SourceError, UsageError
from streamfuse.frames import DropCause, Image, PixelFormat
from streamfuse.io.source import Source, SourceFrame, SourceInfo

__all__ = ["LeptonSource"]

_MAX_DAMAGED: Final = 9
"""Frames in a row without telemetry that makes sense: one second of a Lepton, and more than a disturbance."""


class LeptonSource:
    """Cuts the telemetry rows off the frames of another source, and says when the shutter is closed.

    Args:
        source: gives the frames with their telemetry; it belongs to this one, and is closed with it.

    Raises:
        UsageError: the source's frames cannot be those of a Lepton with telemetry.
    """

    def __init__(self, source: Source) -> None:
        spec = source.info.spec
        if spec.format is not PixelFormat.GRAY16:
            raise UsageError(
                f"sources.infrared.telemetry: it comes with raw 16-bit counts, but the source gives "
                f"{spec.format}; switch the camera to Y16, or set `telemetry: none`"
            )
        self._source = source
        self._info = replace(source.info, spec=replace(spec, size_wh=lepton_image_wh(spec.size_wh)))

    @property
    def info(self) -> SourceInfo:
        """Of the images without telemetry."""
        return self._info

    def read(self) -> SourceFrame | None:
        """The next image. Frames with damaged telemetry are left out, and the next one counts them.

        Raises:
            SourceError: too many of them in a row, or what the source raises.
        """
        lost: Counter[DropCause] = Counter()
        while (frame := self._source.read()) is not None:
            lost.update(frame.lost)
            try:
                counts, said = lepton_telemetry(cast("npt.NDArray[np.uint16]", frame.image.planes[0]))
            except SourceError:
                lost[DropCause.CORRUPT] += 1
                if lost[DropCause.CORRUPT] >= _MAX_DAMAGED:
                    raise
                continue
            closed = frame.shutter_closed or said.shutter_closed
            return replace(frame, image=Image.from_gray(counts), shutter_closed=closed, lost=lost)
        return None

    def skip(self, count: int) -> None:
        """Go on at frame number ``count``."""
        self._source.skip(count)

    def close(self) -> None:
        """Close the source."""
        self._source.close()
