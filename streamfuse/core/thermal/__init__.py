"""Thermal cameras: 16 bits squeezed into 8, palettes, temperatures, shutters and telemetry."""

from streamfuse.core.thermal.agc import SteadyAgc, agc_percentile
from streamfuse.core.thermal.shutter import FreezeDetector, ShutterWatch, image_digest

__all__ = ["FreezeDetector", "ShutterWatch", "SteadyAgc", "agc_percentile", "image_digest"]
