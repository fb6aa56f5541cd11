"""What the counts of a radiometric camera mean in °C, and how hot a detected object is.

The camera's own scale gives the temperature of a black body that would radiate as much. A real
surface of emissivity e radiates less and mirrors its surroundings; for a grey body whose radiation
grows as T^4 (Stefan-Boltzmann), with temperatures in kelvin::

    T_apparent^4 = e T_object^4 + (1 - e) T_reflected^4

See R. Usamentiaga et al., "Infrared Thermography for Temperature Measurement and Non-Destructive
Testing", Sensors 14 (2014). Limits: a camera sees 8 to 14 µm only, where the exponent is not exactly
4, and the air in between is taken as clear. Below an emissivity of some 0.6 the result is a guess.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from streamfuse.config import sources
from streamfuse.core.masks import decode_mask
from streamfuse.frames import Detection, Temperature

__all__ = ["Radiometry"]

Counts = npt.NDArray[np.uint16]
Mask = npt.NDArray[np.bool_]

_ZERO_C: Final = 273.15
"""Kelvin at 0 °C."""


class Radiometry:
    """Temperatures from counts, with the correction for emissivity and reflected surroundings."""

    def __init__(self, settings: sources.Radiometry) -> None:
        self._settings = settings

    def celsius(self, counts: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """°C of what is seen, for counts of any shape; absolute zero where no surface could be so cold."""
        settings = self._settings
        apparent_c = np.asarray(counts, np.float64) * settings.scale + settings.offset
        if settings.emissivity == 1.0:
            return apparent_c
        mirrored = (1.0 - settings.emissivity) * (settings.reflected_c + _ZERO_C) ** 4
        radiated = np.maximum(apparent_c + _ZERO_C, 0.0) ** 4 - mirrored
        kelvin: npt.NDArray[np.float64] = (np.maximum(radiated, 0.0) / settings.emissivity) ** 0.25
        return kelvin - _ZERO_C

    def measure(
        self, detection: Detection, counts: Counts, *, seen: Mask | None = None
    ) -> Temperature | None:
        """How hot an object is: within its mask where it has one, else within its box.

        Args:
            detection: in pixels of ``counts``.
            counts: HxW uint16, registered onto the fused image.
            seen: HxW, where the infrared camera looks; None: everywhere.

        Returns:
            None where the infrared camera does not see the object.
        """
        height, width = counts.shape
        left, top, right, bottom = detection.box_xyxy
        window = (
            slice(max(0, round(top)), min(height, max(round(top) + 1, round(bottom)))),
            slice(max(0, round(left)), min(width, max(round(left) + 1, round(right)))),
        )
        wanted = np.ones(counts[window].shape, np.bool_) if seen is None else seen[window]
        if detection.mask_rle is not None:
            wanted = wanted & decode_mask(detection.mask_rle, (width, height))[window]
        found = self.celsius(counts[window][wanted])
        if not found.size:
            return None
        return Temperature(min_c=float(found.min()), mean_c=float(found.mean()), max_c=float(found.max()))
