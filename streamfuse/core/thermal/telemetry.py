"""Telemetry of FLIR Lepton cameras: extra rows of 16-bit words beside the image.

The words are those of telemetry row A in FLIR's *Lepton Engineering Datasheet* (section Telemetry
Mode); 32-bit values have their low word first. Lepton 2 adds three rows to its 80x60 image, Lepton 3
two to its 160x120 one; they stand below the image (footer, as delivered) or above it (header).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

from streamfuse.errors import SourceError, UsageError

__all__ = ["FfcState", "LeptonTelemetry", "lepton_image_wh", "lepton_telemetry"]

Counts = npt.NDArray[np.uint16]

_IMAGE_WH: Final = MappingProxyType({(80, 63): (80, 60), (160, 122): (160, 120)})
"""Size of the image by the size with telemetry."""

_REVISION, _TIME, _STATUS, _FRAME, _FPA, _FFC_FPA, _FFC_TIME = 0, 1, 3, 20, 24, 29, 30
"""Words of row A."""
_FFC_SHIFT: Final = 4
"""First of the two status bits that hold the FFC state."""
_MAX_REVISION: Final = 0x3FFF
"""Major revision 63; the highest known is below 32, and counts of a radiometric image lie above."""
_FPA_CK: Final = (22_000, 40_000)
"""Hundredths of a kelvin (-53..127 °C) that a working sensor can have."""
_WRAP: Final = 2**32
"""Milliseconds after which its clock begins anew."""


class FfcState(enum.IntEnum):
    """Where the camera is with its flat-field correction."""

    NEVER = 0
    IMMINENT = 1
    RUNNING = 2
    COMPLETE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class LeptonTelemetry:
    """What a Lepton says of itself with every frame."""

    revision: int
    """Of the layout: major in the high byte, minor in the low byte."""
    uptime_ms: int
    """Milliseconds since it was switched on; rolls over after 49 days."""
    frame: int
    """Running number of the frame."""
    ffc: FfcState
    fpa_c: float
    """°C of the sensor (focal plane array)."""
    last_ffc_c: float
    """°C of the sensor at the last flat-field correction."""
    last_ffc_ms: int
    """``uptime_ms`` at the last flat-field correction."""

    @property
    def shutter_closed(self) -> bool:
        """Whether the image is an old one, repeated behind the closed shutter."""
        return self.ffc is FfcState.RUNNING


def lepton_image_wh(size_wh: tuple[int, int]) -> tuple[int, int]:
    """Width and height of the image without its telemetry rows.

    Raises:
        UsageError: no Lepton with telemetry sends frames of this size.
    """
    if size_wh not in _IMAGE_WH:
        known = " and ".join(f"{width}x{height}" for width, height in _IMAGE_WH)
        raise UsageError(
            f"sources.infrared.telemetry: Lepton frames with telemetry are {known}, but the camera sends "
            f"{size_wh[0]}x{size_wh[1]}; switch telemetry on in the camera, or set `telemetry: none`"
        )
    return _IMAGE_WH[size_wh]


def lepton_telemetry(counts: Counts) -> tuple[Counts, LeptonTelemetry]:
    """Part a frame into image and telemetry.

    Args:
        counts: 63x80 or 122x160 uint16, with telemetry as footer or as header.

    Returns:
        The image, 60x80 or 120x160 uint16, a view; and what the telemetry says.

    Raises:
        UsageError: a frame of another size.
        SourceError: neither end of the frame can be telemetry: it is damaged, or telemetry is off.
    """
    _, height = lepton_image_wh((counts.shape[1], counts.shape[0]))
    extra = counts.shape[0] - height
    for words, image in ((counts[height:], counts[:height]), (counts[:extra], counts[extra:])):
        row = words.ravel()
        if _plausible(row):
            return image, _read(row)
    raise SourceError(
        "infrared: no telemetry in the last or the first rows of the frame (revision, sensor temperature "
        "and times make no sense); it is damaged, or the camera sends telemetry of another kind"
    )


def _plausible(row: Counts) -> bool:
    """Whether words can be row A; pixels of an image fail one of these with near certainty."""
    low_ck, high_ck = _FPA_CK
    return bool(
        0 < row[_REVISION] <= _MAX_REVISION
        and low_ck <= row[_FPA] <= high_ck
        and (_double(row, _TIME) - _double(row, _FFC_TIME)) % _WRAP <= _WRAP // 2
    )


def _read(row: Counts) -> LeptonTelemetry:
    return LeptonTelemetry(
        revision=int(row[_REVISION]),
        uptime_ms=_double(row, _TIME),
        frame=_double(row, _FRAME),
        ffc=FfcState(_double(row, _STATUS) >> _FFC_SHIFT & 0b11),
        fpa_c=_celsius(row[_FPA]),
        last_ffc_c=_celsius(row[_FFC_FPA]),
        last_ffc_ms=_double(row, _FFC_TIME),
    )


def _double(row: Counts, word: int) -> int:
    return int(row[word]) | int(row[word + 1]) << 16


def _celsius(centikelvin: np.uint16) -> float:
    return (int(centikelvin) - 27_315) / 100
