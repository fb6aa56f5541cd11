"""How well ``calibrate time`` finds offsets that were put into real recordings.

``python benchmarks/timeshift.py`` prints a table (needs STREAMFUSE_DATA). Nobody knows how synchronous clips
were to begin with: what is found in each whole clip is its zero, and each other version is compared with
it. In the rows at 10 frames a second the frames themselves are of other moments.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import numpy as np
from _common import data_folder, markdown_table, run

from streamfuse.clock import NS_PER_MS
from streamfuse.core.motiontrack import MotionTrack
from streamfuse.core.timeshift import find_shift
from streamfuse.errors import CalibrationError
from streamfuse.frames import StreamName
from streamfuse.geometry.gray import gray8
from streamfuse.io.media import VideoSource

Frames = list[tuple[np.ndarray, int]]
Streams = tuple[Frames, Frames]

_CLIPS = ("0117_1605", "0117_1620")
_HALF_S = 8.5
_THIRD_MS = 1e3 / 30


def _main() -> None:
    rows: list[Mapping[str, str]] = []
    for clip in _CLIPS:
        streams = _read(clip)
        zero_ms: float | None = None
        for name, true_ms, (visible, infrared) in _versions(streams):
            row = {"clip": clip, "version": name, "put in, ms": f"{true_ms:.1f}"}
            try:
                found = find_shift(_track(visible), _track(infrared))
            except CalibrationError as error:
                rows.append({**row, "found, ms": "refused", "95 %": str(error)[:40], "error, ms": ""})
                continue
            zero_ms = found.offset_ms if zero_ms is None else zero_ms
            low, high = found.interval_ms
            off_ms = found.offset_ms - zero_ms - true_ms
            rows.append(
                {**row, "found, ms": f"{found.offset_ms:.1f}", "95 %": f"{low:.1f} … {high:.1f}"}
                | {"error, ms": f"{off_ms:+.1f}"}
            )
    columns = ("clip", "version", "put in, ms", "found, ms", "95 %", "error, ms")
    sys.stdout.write(markdown_table(columns, [[row[name] for name in columns] for row in rows]) + "\n")


def _versions(streams: Streams) -> Iterator[tuple[str, float, Streams]]:
    """Name, milliseconds that must be added to infrared times, and the frames."""
    visible, infrared = streams
    yield "whole", 0.0, streams
    yield "times +250 ms", -250.0, (visible, _later(infrared, 250.0))
    yield "times -70 ms", 70.0, (visible, _later(infrared, -70.0))
    yield "first half", 0.0, (_part(visible, 0.0), _part(infrared, 0.0))
    last_s = visible[-1][1] / 1e9 - _HALF_S
    yield "last half", 0.0, (_part(visible, last_s), _part(infrared, last_s))
    yield "10 fps", 0.0, (visible[::3], infrared[::3])
    yield "10 fps, infrared a third later", _THIRD_MS, (visible[::3], _later(infrared[1::3], -_THIRD_MS))
    yield "10 fps, visible a third later", -_THIRD_MS, (_later(visible[1::3], -_THIRD_MS), infrared[::3])
    yield "30 and 10 fps", 0.0, (visible, infrared[::3])
    rng = np.random.default_rng(0)
    yield "3 ms jitter, a fifth lost", 0.0, (_rough(visible, rng), _rough(infrared, rng))


def _read(clip: str) -> Streams:
    folder = data_folder() / "m3svd" / "video"
    return _frames(folder, clip, StreamName.VISIBLE), _frames(folder, clip, StreamName.INFRARED)


def _frames(folder: Path, clip: str, stream: StreamName) -> Frames:
    with closing(VideoSource(folder / stream / f"{clip}.mp4", stream=stream)) as source:
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
    return [frame for frame in frames if begin_s <= frame[1] / 1e9 <= begin_s + _HALF_S]


def _rough(frames: Frames, rng: np.random.Generator) -> Frames:
    kept = [frame for frame in frames if rng.random() > 0.2]
    return [(plane, pts_ns + round(rng.normal(0.0, 3.0) * NS_PER_MS)) for plane, pts_ns in kept]


if __name__ == "__main__":
    run(_main)
