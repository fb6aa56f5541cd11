"""How well ``calibrate time`` finds offsets that are known.

``python benchmarks/timeshift.py`` prints two tables (the second one needs STREAMFUSE_DATA).

The street: two cameras whose truth is known, registered with the matrix it is drawn with; 12 s of 320x240.

M3SVD: registered clips. Nobody knows how synchronous they were to begin with: what is found in each whole
clip is its zero, and each other version is compared with it, too. In the rows below 30 frames a second the
frames themselves are of other moments.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from _common import data_folder, markdown_table, run

from streamfuse.clock import NS_PER_MS
from streamfuse.core.motiontrack import MotionTrack
from streamfuse.core.timeshift import TimeShift, find_shift
from streamfuse.errors import CalibrationError
from streamfuse.frames import Image, StreamName
from streamfuse.geometry.gray import gray8
from streamfuse.geometry.warp import Registration
from streamfuse.io.media import VideoSource
from streamfuse.io.source import Source
from streamfuse.io.synthetic.source import SyntheticSource
from streamfuse.io.synthetic.spec import StreetSpec
from streamfuse.io.synthetic.street import Street

Frames = list[tuple[np.ndarray, int]]
Streams = tuple[Frames, Frames]

_CLIPS = ("0117_1605", "0117_1620", "0111_1716")
_PART_S = 8.5
_THIRD_MS = 1e3 / 30
_SIZE_WH = 320, 240
_SKEW_MS = 37.0
_STREETS = (
    *((seed, "day") for seed in (1, 2, 3, 4, 5, 11, 16, 18)),
    *((seed, "dusk") for seed in (6, 7, 8, 9, 17)),
    *((seed, "night") for seed in (10, 12, 13)),
    *((seed, "smoke") for seed in (14, 15)),
)


def _main() -> None:
    rows = [row for seed, light in _STREETS for row in _street(seed, light)]
    columns = ("street", "light", "fps", "put in, ms", "found, ms", "95 %", "error, ms")
    sys.stdout.write(markdown_table(columns, rows) + "\n\n")
    rows = [row for clip in _CLIPS for row in _clip(clip)]
    columns = ("clip", "version", "put in, ms", "found, ms", "95 %", "error, ms", "to the whole, ms")
    sys.stdout.write(markdown_table(columns, rows) + "\n")


def _street(seed: int, light: str) -> Iterator[Sequence[str]]:
    uri = f"synthetic://street?seed={seed}&light={light}&size=320x240&fps=30&duration=12&skew_ms={_SKEW_MS:g}"
    matrix = Street(StreetSpec.from_uri(uri)).H_visible_from_infrared
    way = Registration(matrix, visible_size_wh=_SIZE_WH, infrared_size_wh=_SIZE_WH)
    dark = Image.from_gray(np.zeros(_SIZE_WH[::-1], np.uint8))
    visible = _frames(SyntheticSource(uri, stream=StreamName.VISIBLE))
    infrared = [
        (gray8(way.apply(Image.from_gray(plane), dark)), pts_ns - round(_SKEW_MS * NS_PER_MS))
        for plane, pts_ns in _frames(SyntheticSource(uri, stream=StreamName.INFRARED))
    ]
    for every in (1, 2):
        found = _found((visible[::every], infrared[::every]))
        error = "" if isinstance(found, str) else f"{found.offset_ms - _SKEW_MS:+.1f}"
        yield str(seed), light, f"{30 // every}", f"{_SKEW_MS:g}", *_told(found), error


def _clip(clip: str) -> Iterator[Sequence[str]]:
    zero_ms: float | None = None
    for name, put_ms, streams in _versions(_read(clip)):
        found = _found(streams)
        if isinstance(found, str):
            yield clip, name, f"{put_ms:.1f}", *_told(found), "", ""
            continue
        zero_ms = found.offset_ms if zero_ms is None else zero_ms
        error_ms = found.offset_ms - put_ms
        yield clip, name, f"{put_ms:.1f}", *_told(found), f"{error_ms:+.1f}", f"{error_ms - zero_ms:+.1f}"


def _found(streams: Streams) -> TimeShift | str:
    try:
        return find_shift(_track(streams[0]), _track(streams[1]), registered=True)
    except CalibrationError as error:
        return str(error)


def _told(found: TimeShift | str) -> tuple[str, str]:
    if isinstance(found, str):
        return "refused", found[:40]
    low, high = found.interval_ms
    return f"{found.offset_ms:.1f}", f"{low:.1f} … {high:.1f}"


def _versions(streams: Streams) -> Iterator[tuple[str, float, Streams]]:
    """Name, milliseconds that must be added to infrared times, and the frames."""
    visible, infrared = streams
    yield "whole", 0.0, streams
    yield "times +250 ms", -250.0, (visible, _later(infrared, 250.0))
    yield "times -70 ms", 70.0, (visible, _later(infrared, -70.0))
    last_s = visible[-1][1] / 1e9 - _PART_S
    for name, begin_s in (("first", 0.0), ("middle", last_s / 2), ("last", last_s)):
        if last_s > 0:
            yield f"{name} {_PART_S} s", 0.0, (_part(visible, begin_s), _part(infrared, begin_s))
    yield "15 fps", 0.0, (visible[::2], infrared[::2])
    yield "15 fps, infrared half a frame later", _THIRD_MS, (visible[::2], _later(infrared[1::2], -_THIRD_MS))
    yield "10 fps", 0.0, (visible[::3], infrared[::3])
    yield "10 fps, infrared a third later", _THIRD_MS, (visible[::3], _later(infrared[1::3], -_THIRD_MS))
    yield "10 fps, visible a third later", -_THIRD_MS, (_later(visible[1::3], -_THIRD_MS), infrared[::3])
    yield "30 and 10 fps", 0.0, (visible, infrared[::3])
    rng = np.random.default_rng(0)
    yield "3 ms jitter, a fifth lost", 0.0, (_rough(visible, rng), _rough(infrared, rng))


def _read(clip: str) -> Streams:
    folder = data_folder() / "m3svd" / "video"
    return _video(folder, clip, StreamName.VISIBLE), _video(folder, clip, StreamName.INFRARED)


def _video(folder: Path, clip: str, stream: StreamName) -> Frames:
    return _frames(VideoSource(folder / stream / f"{clip}.mp4", stream=stream))


def _frames(opened: Source) -> Frames:
    with closing(opened) as source:
        frames = []
        while (frame := source.read()) is not None:
            frames.append((gray8(frame.image).copy(), frame.pts_ns))
    return frames


def _track(frames: Frames) -> MotionTrack:
    track = MotionTrack()
    for plane, pts_ns in frames:
        track.add(plane, pts_ns)
    return track


def _later(frames: Frames, ms: float) -> Frames:
    return [(plane, pts_ns + round(ms * NS_PER_MS)) for plane, pts_ns in frames]


def _part(frames: Frames, begin_s: float) -> Frames:
    return [frame for frame in frames if begin_s <= frame[1] / 1e9 <= begin_s + _PART_S]


def _rough(frames: Frames, rng: np.random.Generator) -> Frames:
    kept = [frame for frame in frames if rng.random() > 0.2]
    return [(plane, pts_ns + round(rng.normal(0.0, 3.0) * NS_PER_MS)) for plane, pts_ns in kept]


if __name__ == "__main__":
    run(_main)
