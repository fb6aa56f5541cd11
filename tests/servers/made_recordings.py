"""Recordings for tests, made by the real recorder: what each number of a picture is can be seen in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from streamfuse.clock import UtcLabel
from streamfuse.config.outputs import Record
from streamfuse.frames import Event, FusedFrame, Image, ImageSpec, Layer, PairState, PixelFormat
from streamfuse.io.recorder.recorder import Recorder

__all__ = ["START_NS", "UTC", "fused", "number_in", "record"]

START_NS = 5_000_000_000
UTC = UtcLabel(monotonic_ns=START_NS, utc_ns=1_772_600_767_250_000_000)
_STEP = 8


def fused(
    number: int,
    capture_ns: int,
    *,
    size_wh: tuple[int, int] = (64, 48),
    infrared_seq: int | None = None,
    events: tuple[Event, ...] = (),
) -> FusedFrame:
    """A pair whose pictures are as bright as 8 times their number; the raw infrared is the number itself."""
    seq = number if infrared_seq is None else infrared_seq
    width, height = size_wh
    return FusedFrame(
        pair_id=number,
        state=PairState.MATCHED if seq == number else PairState.HELD,
        image=_flat(number, size_wh),
        capture_ns=capture_ns,
        fused_ns=capture_ns + 9,
        skew_ms=1.0,
        infrared_age_ms=1.0,
        visible_seq=number,
        infrared_seq=seq,
        events=events,
        layers={
            Layer.VISIBLE: _flat(number, size_wh),
            Layer.INFRARED: Image.from_gray(np.full((height, width), _level(seq), np.uint8)),
            Layer.RAW_INFRARED: Image.from_gray(np.full((24, 32), 30_000 + seq, np.uint16)),
        },
    )


def number_in(image: Image) -> int:
    """The number, below 32, that a picture of :func:`fused` shows."""
    level = float(image.planes[0].mean())
    return round(level - 30_000) if image.spec.format is PixelFormat.GRAY16 else round(level / _STEP)


def record(
    folder: Path,
    times_ms: Iterable[int],
    *,
    name: str = "yard",
    utc: UtcLabel = UTC,
    size_wh: tuple[int, int] = (64, 48),
    held: Mapping[int, int] | None = None,
    events: Mapping[int, tuple[Event, ...]] | None = None,
    **settings: Any,
) -> tuple[Path, ...]:
    """Record one pair for each time after the start of ``utc``, in segments of 1 s; the fused videos.

    Args:
        folder: Of the recordings.
        times_ms: Of the pairs.
        name: Of the pipeline.
        utc: Its start.
        size_wh: Of the pictures.
        held: Infrared frames by the number of the pair that holds them.
        events: Of pairs, by number.
        settings: More of the pipeline's ``record``.
    """
    how: dict[str, Any] = {"dir": folder, "segment_s": 1, "codec": "libx264", **settings}
    with Recorder(Record(**how), name=name, fps=25, utc=utc) as recorder:
        for number, time_ms in enumerate(times_ms):
            capture_ns = utc.monotonic_ns + time_ms * 1_000_000
            frame = fused(
                number,
                capture_ns,
                size_wh=size_wh,
                infrared_seq=(held or {}).get(number),
                events=(events or {}).get(number, ()),
            )
            assert recorder.write(frame, now_ns=capture_ns)
        return recorder.paths


def _flat(number: int, size_wh: tuple[int, int]) -> Image:
    spec = ImageSpec(format=PixelFormat.YUV420P, size_wh=size_wh)
    return Image(spec, tuple(np.full(shape, _level(number), np.uint8) for shape in spec.plane_shapes))


def _level(number: int) -> int:
    return _STEP * number % 256
