"""The infrared stream on its last steps: from what the camera sends to 8 bits, and to temperatures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt

from streamfuse.config.sources import InfraredSource
from streamfuse.core.thermal.agc import make_agc
from streamfuse.core.thermal.palette import NAMES, PaletteInverse, named_palette, palette_of
from streamfuse.core.thermal.radiometry import Radiometry
from streamfuse.errors import UsageError
from streamfuse.frames import Detection, Frame, Image, PixelFormat
from streamfuse.io.images import read_image

__all__ = ["Infrared"]

Counts = npt.NDArray[np.uint16]
Sample = Callable[[Counts], tuple[Counts, npt.NDArray[np.bool_] | None]]


class Infrared:
    """Makes intensity of the frames of one infrared camera, and tells how hot detected objects are.

    Args:
        config: the camera's block of the pipeline file; opening the source has checked its pixels.

    Raises:
        UsageError: the picture of a palette is none.
        SourceError: it cannot be read.
    """

    def __init__(self, config: InfraredSource) -> None:
        self._agc = make_agc(config.agc)
        self._painted = None if config.palette_in is None else PaletteInverse(_palette(config.palette_in))
        self._radiometry = None if config.radiometry is None else Radiometry(config.radiometry)

    def gray(self, frame: Frame) -> Image:
        """The frame as intensity: 16-bit counts through the AGC, painted colours through the palette."""
        image = frame.image
        if image.spec.format is PixelFormat.GRAY16:
            return Image.from_gray(self._agc.apply(_counts(image), frame.capture_ns))
        if self._painted is not None:
            return Image.from_gray(self._painted.apply(image))
        return image

    def measured(
        self, detections: Sequence[Detection], frame: Frame | None, sample: Sample
    ) -> tuple[Detection, ...]:
        """The detections with their temperatures, where the camera is radiometric and gave a frame.

        Args:
            detections: in pixels of the fused image.
            frame: of the infrared camera.
            sample: puts its counts on the grid of the fused image, and tells where it looks.
        """
        if self._radiometry is None or frame is None or not detections:
            return tuple(detections)
        counts, seen = sample(_counts(frame.image))
        return tuple(
            replace(found, temperature_c=self._radiometry.measure(found, counts, seen=seen))
            for found in detections
        )


def _counts(image: Image) -> Counts:
    return cast("Counts", image.planes[0])


def _palette(name: str | Path) -> npt.NDArray[np.uint8]:
    if name in NAMES:
        return named_palette(str(name))
    image = read_image(Path(name))
    if image.spec.format is not PixelFormat.RGB24:
        raise UsageError(f"sources.infrared.palette-in: {name} is {image.spec.format}, wanted a colour bar")
    try:
        return palette_of(cast("npt.NDArray[np.uint8]", image.planes[0]))
    except ValueError as error:
        raise UsageError(f"sources.infrared.palette-in: {name}: {error}") from error
