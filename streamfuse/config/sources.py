"""The two cameras in a pipeline file: where each stream comes from, and how it is read.

Keys that a kind of source cannot use are refused when it is opened, not ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from streamfuse.config.fields import AbsolutePath, Block, SourceUri, expected

__all__ = [
    "Agc",
    "InfraredSource",
    "Keys",
    "Palette",
    "Radiometry",
    "Retry",
    "SourceConfig",
    "Sources",
    "VisibleSource",
]

Side = Annotated[int, Field(ge=1, le=16_384)]

Palette = Literal["white-hot", "black-hot", "ironbow", "rainbow", "lava", "arctic"]
"""Names of the palettes that streamfuse knows."""


class Retry(Block):
    """When a camera that is absent or was lost is tried again: for ever, with growing delays."""

    first_s: Annotated[float, Field(gt=0, le=3_600)] = 0.5
    """Seconds before the first new attempt."""
    max_s: Annotated[float, Field(gt=0, le=3_600)] = 30.0
    """Most seconds between two attempts; each delay is twice the one before up to this."""
    jitter: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Share by which each delay is spread at random, so that cameras do not come back in step."""

    @model_validator(mode="after")
    def _rising(self) -> Retry:
        if self.first_s > self.max_s:
            raise expected(f"first_s at most max_s ({self.max_s:g})")
        return self


class Keys(Block):
    """CURVE keys of a connection to a capture node; made by ``streamfuse keys``."""

    own: AbsolutePath
    """File with this machine's secret key."""
    node: AbsolutePath
    """File with the capture node's public key."""


class SourceConfig(Block):
    """What both cameras have."""

    uri: SourceUri
    """A video file, a folder of images, ``rtsp://…``, ``/dev/v4l/by-id/…``, ``tcp://…`` or ``synthetic://…``."""
    size: tuple[Side, Side] | None = Field(default=None, strict=False)
    """Width and height to ask the camera for. With it a run begins while the camera is absent; otherwise it
    waits, unless the rig or the other camera tell the size."""
    fps: Annotated[float, Field(gt=0, le=1_000)] | None = None
    """Frames per second to ask the camera for, and to begin with while it is absent."""
    input_format: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")] | None = None
    """V4L2: what the camera is asked to send, such as ``yuyv422``, ``mjpeg`` or ``y16``."""
    transport: Literal["tcp", "udp"] = "tcp"
    """RTSP: how the video travels. ``tcp`` loses nothing; ``udp`` is quicker on a bad network."""
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 5.0
    """Seconds without an answer or a frame after which a camera is given up and opened again."""
    decode: Literal["auto", "software", "cuda", "vaapi"] = "auto"
    """What decodes compressed video; ``auto`` takes the hardware where it works."""
    latency_ms: Annotated[float, Field(ge=0, le=10_000)] = 0.0
    """Milliseconds from light to arrival that never change, taken off the capture times."""
    loop: bool = False
    """Files and folders: begin again at the end."""
    force_index: bool = False
    """Allow a bare ``/dev/videoN``, though a reboot can swap the two cameras."""
    retry: Retry = Retry()
    keys: Keys | None = None
    """For ``tcp://`` beyond this machine."""
    options: Mapping[str, str] = Field(default_factory=dict)
    """Further options of the source's library, such as FFmpeg's, or of a plug-in."""


class VisibleSource(SourceConfig):
    """The visible camera."""


class Agc(Block):
    """How raw 16-bit counts become the 8 bits that networks and people see."""

    method: Literal["plateau", "percentile"] = "plateau"
    """``plateau``: histogram equalisation of limited slope; ``percentile``: linear in between."""
    plateau_percent: Annotated[float, Field(gt=0, le=100)] = 7.0
    """``plateau``: most pixels, in percent, that count for one level; 100 equalises fully."""
    low_percent: Annotated[float, Field(ge=0, lt=100)] = 1.0
    """Share of the pixels that may be black."""
    high_percent: Annotated[float, Field(gt=0, le=100)] = 99.0
    """Percentile that becomes white."""
    time_constant_s: Annotated[float, Field(gt=0, le=60)] = 1.0
    """Seconds in which the levels follow the scene: longer is calmer."""

    @model_validator(mode="after")
    def _ordered(self) -> Agc:
        if self.low_percent >= self.high_percent:
            raise expected(f"low_percent below high_percent ({self.high_percent:g})")
        return self


class Radiometry(Block):
    """What the counts of a radiometric camera mean: temperature = scale * counts + offset, in °C."""

    scale: Annotated[float, Field(gt=0)] = 0.01
    """Kelvin per count; 0.01 for FLIR's T-Linear in high resolution."""
    offset: float = -273.15
    """°C at count 0."""
    emissivity: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Of what is looked at; 0.98 for skin, 0.95 for most paints."""
    reflected_c: Annotated[float, Field(ge=-273.15, le=2_000)] = 20.0
    """°C of what the surfaces reflect; matters where the emissivity is below 1."""


class InfraredSource(SourceConfig):
    """The infrared camera."""

    model_config = ConfigDict(populate_by_name=True)

    format: Literal["auto", "gray8", "gray16"] = "auto"
    """How its pixels are read: 8-bit grey, raw 16-bit counts, or ``auto``: as the source says."""
    agc: Agc = Agc()
    palette_in: Palette | AbsolutePath | None = Field(default=None, alias="palette-in")
    """The palette in which a camera paints, or an image of it: its colours become intensity again."""
    radiometry: Radiometry | None = None
    """For cameras whose counts are temperatures; never guessed."""
    telemetry: Literal["none", "lepton"] = "none"
    """Extra lines beside the image in which the camera tells of its shutter; they are cut off."""
    min_frozen_ms: Annotated[float, Field(ge=0, le=10_000)] = 150.0
    """Milliseconds of exact repeats after which the image counts as frozen (a closed shutter)."""


class Sources(Block):
    """The two cameras of the rig."""

    visible: VisibleSource
    infrared: InfraredSource
