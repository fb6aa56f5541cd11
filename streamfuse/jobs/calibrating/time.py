"""From two recordings of one scene to the time offset between their streams, in a rig file."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from streamfuse.clock import NS_PER_S
from streamfuse.config.rig import MadeBy, RigConfig
from streamfuse.core.motiontrack import MotionTrack
from streamfuse.core.timeshift import TimeShift, find_shift
from streamfuse.errors import SourceTruncatedError, UsageError
from streamfuse.frames import Image, PixelFormat, StreamName
from streamfuse.geometry.gray import gray8
from streamfuse.geometry.rig import RigGeometry
from streamfuse.geometry.warp import Registration
from streamfuse.io.files import check_writable
from streamfuse.io.rig_file import read_rig_config, write_rig_config
from streamfuse.io.source import SourceInfo
from streamfuse.io.sources import open_source, redact
from streamfuse.jobs.calibrating.align_pairs import check_there
from streamfuse.jobs.calibrating.pictures import is_camera, source_of
from streamfuse.jobs.calibrating.provenance import made_by

__all__ = ["Time", "TimeResult", "calibrate_time"]

MAX_SECONDS: Final = 60.0
"""Of each recording, from its start."""

Progress = Callable[[int, int | None, str], None]
_COMMAND: Final = "calibrate time"
_WIDE_MS: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Time:
    """What is to be done.

    Raises:
        UsageError: a live camera.
    """

    visible: str
    """Location of the visible recording."""
    infrared: str
    out: Path
    """The rig file; a registration in it is used."""

    def __post_init__(self) -> None:
        for stream, location in ((StreamName.VISIBLE, self.visible), (StreamName.INFRARED, self.infrared)):
            if is_camera(location, stream):
                raise UsageError(
                    f"--{stream} {redact(location)} is a live camera; record 20 s with `streamfuse run` and "
                    "give the recording, or let `sync.offset_ms: auto` measure while it runs"
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeResult:
    """What came out, and is in the rig file."""

    shift: TimeShift
    out: Path
    notes: tuple[str, ...]
    """What a person should know, a sentence each."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        shift = self.shift
        return {
            "time_offset_ms": shift.offset_ms,
            "interval_ms": list(shift.interval_ms),
            "spread_ms": shift.spread_ms,
            "confidence": shift.confidence,
            "displacement": list(shift.displacement),
            "overlap_s": shift.overlap_s,
            "out": str(self.out),
            "notes": list(self.notes),
        }


def calibrate_time(job: Time, *, on_progress: Progress | None = None) -> TimeResult:
    """Compare the motion in both recordings, and write the offset into the rig file.

    Raises:
        CalibrationError: the recordings do not tell the offset; nothing is written.
        UsageError: the rig file is for pictures of other sizes.
        ConfigError: mistakes in the rig file.
        SourceError: a recording cannot be read.
        OutputError: the rig file cannot be written.
    """
    for stream, location in ((StreamName.VISIBLE, job.visible), (StreamName.INFRARED, job.infrared)):
        check_there(location, stream)
    rig = read_rig_config(job.out) or RigConfig()
    check_writable(job.out.absolute().parent)
    visible, visible_wh = _track(job.visible, StreamName.VISIBLE, _as_it_is, on_progress)
    prepare = _registered(rig) if _registers(rig) else _as_it_is
    infrared, infrared_wh = _track(job.infrared, StreamName.INFRARED, prepare, on_progress, sized=rig)
    rig = rig.sized(visible_wh=visible_wh, infrared_wh=infrared_wh)
    if on_progress is not None:
        on_progress(0, None, "comparing the motion in both")
    shift = find_shift(visible, infrared, registered=_registers(rig))
    # The rig's own note tells of the other measurements; what this one says stands beside them.
    note = _note(rig.made_by, job, shift)
    write_rig_config(job.out, rig.grown(time_offset_ms=round(shift.offset_ms, 2), made_by=note))
    return TimeResult(shift=shift, out=job.out, notes=tuple(_notes(rig, shift, job)))


def _as_it_is(image: Image) -> Image:
    return image


def _registers(rig: RigConfig) -> bool:
    """Whether the rig file says how the pictures lie on each other."""
    known = rig.visible is not None and rig.infrared is not None
    return known and (bool(rig.planes) or rig.has_lenses_and_pose)


def _registered(rig: RigConfig) -> Callable[[Image], Image]:
    """Infrared pictures on the grid of the visible camera."""
    geometry = RigGeometry.of(rig)
    visible_wh, infrared_wh = geometry.visible_size_wh, geometry.infrared_size_wh
    way = Registration.of(geometry, visible_size_wh=visible_wh, infrared_size_wh=infrared_wh)
    # What the infrared camera does not see must stay dark: visible pixels there would agree with themselves.
    dark = Image.from_gray(np.zeros(visible_wh[::-1], np.uint8))
    return lambda image: way.apply(image, dark)


def _track(
    location: str,
    stream: StreamName,
    prepare: Callable[[Image], Image],
    on_progress: Progress | None,
    *,
    sized: RigConfig | None = None,
) -> tuple[MotionTrack, tuple[int, int]]:
    """The motion in the first minute of a recording, and the size of its pictures."""
    track = MotionTrack()
    with contextlib.closing(open_source(source_of(location, stream), stream=stream)) as source:
        size_wh = source.info.spec.size_wh
        if sized is not None:
            sized.sized(infrared_wh=size_wh)
        begin_ns: int | None = None
        with contextlib.suppress(SourceTruncatedError):  # what was read before is as good as ever
            while (frame := source.read()) is not None:
                begin_ns = frame.pts_ns if begin_ns is None else begin_ns
                if frame.pts_ns - begin_ns > MAX_SECONDS * NS_PER_S:
                    break
                track.add(_plane(prepare(frame.image)), frame.pts_ns)
                if on_progress is not None:
                    on_progress(len(track), _frames_used(source.info), f"{stream} frames watched")
    return track, size_wh


def _frames_used(info: SourceInfo) -> int | None:
    """How many frames are looked at, where that is known."""
    return None if info.frame_count is None else min(info.frame_count, round(MAX_SECONDS * info.fps) + 1)


def _plane(image: Image) -> np.ndarray[Any, Any]:
    """Raw counts where there are some: the contrast of 8 bits pumps with the scene."""
    return image.planes[0] if image.spec.format is PixelFormat.GRAY16 else gray8(image)


def _note(before: MadeBy | None, job: Time, shift: TimeShift) -> MadeBy:
    note = made_by(
        _COMMAND,
        used=[Path(redact(each)).name for each in (job.visible, job.infrared)],
        residuals={"confidence": shift.confidence},
        uncertainty={"time_offset_ms": shift.spread_ms},
    )
    kept = {} if before is None else before.model_dump(exclude_defaults=True)
    return MadeBy.model_validate(kept | {"time_offset": note.model_dump(mode="json", exclude_defaults=True)})


def _notes(rig: RigConfig, shift: TimeShift, job: Time) -> list[str]:
    low, high = shift.interval_ms
    between = f"({low:+.1f} to {high:+.1f} ms with 95 %)"
    notes = [f"Infrared capture times get {shift.offset_ms:+.1f} ms added {between}."]
    both = ((StreamName.VISIBLE, job.visible), (StreamName.INFRARED, job.infrared))
    if any("://" not in source_of(location, stream).uri for stream, location in both):
        notes.append(
            "A file begins at its first frame, here as in `streamfuse run`: what lies between the beginnings "
            "of the two is in the offset. For live cameras, measure on a recording of `streamfuse run`, "
            "whose streams begin together."
        )
    if not _registers(rig):
        notes.append(
            "The rig file has no registration, which makes the offset less sure; "
            "run `streamfuse calibrate align` with this file first, then this again."
        )
    elif shift.spread_ms > _WIDE_MS:
        notes.append("That is not very sure: record longer, with people who walk and wave about.")
    return notes
