"""What the two sources are, also when a camera is not there yet: a run may begin without it."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final

from streamfuse.clock import NS_PER_S, SystemClock
from streamfuse.config.pipeline import PipelineConfig
from streamfuse.config.rig import Rig
from streamfuse.config.sources import InfraredSource, SourceConfig
from streamfuse.core.backoff import Backoff
from streamfuse.core.thermal.telemetry import lepton_image_wh
from streamfuse.errors import SourceError
from streamfuse.frames import ColorRange, ImageSpec, PixelFormat, StreamName
from streamfuse.io.source import SourceInfo
from streamfuse.io.sources import is_live, open_source
from streamfuse.runtime.prober import probe_cameras

__all__ = ["Survey", "survey"]

_USUAL_FPS: Final = 25.0
"""Of a camera of which nothing is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """The sources of a run as far as they are known before it."""

    infos: Mapping[StreamName, SourceInfo]
    absent: Mapping[StreamName, str] = field(default_factory=dict)
    """Cameras that are not there, with the reason; their ``infos`` are what is declared or likely."""


def survey(
    config: PipelineConfig, rig: Rig, *, say: Callable[[str], None] | None, wait_s: float | None = None
) -> Survey:
    """Open both sources for a moment, and assume what is likely of a camera that is absent.

    Args:
        config: The pipeline.
        rig: Its rig, whose sizes an absent camera is assumed to have.
        say: Told what a person should know. A camera of which not even the size is known is then waited
            for; None: it is an error.
        wait_s: For so long at most; None: for ever.

    Raises:
        SourceError: a recording cannot be opened, or a camera is absent and its size is not known.
        StreamfuseError: a source that will never be had.
    """
    cameras = {StreamName.VISIBLE: config.sources.visible, StreamName.INFRARED: config.sources.infrared}
    found = _look_at(cameras, cameras)
    backoffs = {s: Backoff(camera.retry.first_s, max_s=camera.retry.max_s) for s, camera in cameras.items()}
    told: set[StreamName] = set()
    clock = SystemClock()
    until_ns = math.inf if wait_s is None else clock.now_ns() + wait_s * NS_PER_S
    while True:
        absent = {stream: error for stream, error in found.items() if isinstance(error, SourceError)}
        infos = _with_assumptions(found, cameras, rig)
        unknown = [stream for stream in cameras if stream not in infos]
        if not unknown:
            return Survey(
                infos=infos, absent={s: str(error).removeprefix(f"{s}: ") for s, error in absent.items()}
            )
        for stream in unknown:
            hint = f"declare sources.{stream}.size, and the run can begin without it"
            if say is None or clock.now_ns() >= until_ns:
                raise SourceError(f"{absent[stream]}; {hint}") from absent[stream]
            if stream not in told:
                told.add(stream)
                say(f"{absent[stream]}; waiting for it ({hint})")
        left_s = max(0.0, (until_ns - clock.now_ns()) / NS_PER_S)
        threading.Event().wait(min(left_s, max(backoffs[stream].next_delay_s() for stream in unknown)))
        found |= _look_at(cameras, unknown)


def _look_at(
    cameras: Mapping[StreamName, SourceConfig], streams: Iterable[StreamName]
) -> dict[StreamName, SourceInfo | SourceError]:
    found: dict[StreamName, SourceInfo | SourceError] = {}
    live = {}
    for stream in streams:
        if is_live(cameras[stream].uri):
            live[stream] = cameras[stream]
            continue
        partner_uri = cameras[stream.other].uri
        with closing(open_source(cameras[stream], stream=stream, partner_uri=partner_uri)) as source:
            found[stream] = source.info
    return found | probe_cameras(live)


def _with_assumptions(
    found: Mapping[StreamName, SourceInfo | SourceError],
    cameras: Mapping[StreamName, SourceConfig],
    rig: Rig,
) -> dict[StreamName, SourceInfo]:
    """What is known or likely of each source; an absent camera of unknown size has no entry."""
    sizes_wh: dict[StreamName, tuple[int, int] | None] = {}
    for stream, rig_wh in (
        (StreamName.VISIBLE, rig.visible_size_wh),
        (StreamName.INFRARED, rig.infrared_size_wh),
    ):
        info = found[stream]
        declared_wh = _declared_wh(cameras[stream]) or rig_wh
        sizes_wh[stream] = info.spec.size_wh if isinstance(info, SourceInfo) else declared_wh
    infos = {}
    for stream, info in found.items():
        # Without sizes in the rig both streams are of one size, or the run is refused.
        size_wh = sizes_wh[stream] or sizes_wh[stream.other]
        if isinstance(info, SourceInfo):
            infos[stream] = info
        elif size_wh is not None:
            infos[stream] = _likely(cameras[stream], size_wh, found[stream.other])
    return infos


def _declared_wh(config: SourceConfig) -> tuple[int, int] | None:
    """The size that the file declares, without the lines of telemetry that are cut off."""
    if isinstance(config, InfraredSource) and config.telemetry == "lepton" and config.size is not None:
        return lepton_image_wh(config.size)
    return config.size


def _likely(config: SourceConfig, size_wh: tuple[int, int], other: SourceInfo | SourceError) -> SourceInfo:
    """What a camera of that size probably gives; should it give something else, that is made fit."""
    fps = config.fps or (other.fps if isinstance(other, SourceInfo) else _USUAL_FPS)
    is_video = not isinstance(config, InfraredSource) or config.palette_in is not None
    if isinstance(config, InfraredSource) and _has_counts(config):
        spec = ImageSpec(format=PixelFormat.GRAY16, size_wh=size_wh)
    elif not is_video:
        spec = ImageSpec(format=PixelFormat.GRAY8, size_wh=size_wh)
    elif size_wh[0] % 2 or size_wh[1] % 2:
        spec = ImageSpec(format=PixelFormat.RGB24, size_wh=size_wh)
    else:
        spec = ImageSpec(format=PixelFormat.YUV420P, size_wh=size_wh, range=ColorRange.LIMITED)
    return SourceInfo(spec=spec, fps=fps, frame_count=None, live=True)


def _has_counts(config: InfraredSource) -> bool:
    raw = config.input_format == "y16" or config.radiometry is not None or config.telemetry != "none"
    return config.format == "gray16" or (config.format == "auto" and raw)
