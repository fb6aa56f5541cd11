"""Fused frames to record, and what is found in a recording afterwards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import numpy as np

from streamfuse.clock import UtcLabel
from streamfuse.frames import FusedFrame, Image, ImageSpec, Layer, PairState, PixelFormat

__all__ = ["FPS", "START_NS", "UTC", "fused", "index_of", "pictures_of"]

FPS = 30
NS_PER_FRAME = 1_000_000_000 // FPS
START_NS = 5_000_000_000
# 2026-03-04 05:06:07.250 UTC at START_NS.
UTC = UtcLabel(monotonic_ns=START_NS, utc_ns=1_772_600_767_250_000_000)


def fused(
    index: int, *, size_wh: tuple[int, int] = (64, 48), capture_ns: int | None = None, **facts: Any
) -> FusedFrame:
    """Frame number ``index`` of a steady stream with all layers; the luma of each is its number.

    The raw infrared is of 32x24 and 16 bits; its samples are a thousand times its number and a ramp.
    """
    spec = ImageSpec(format=PixelFormat.YUV420P, size_wh=size_wh)
    level = 16 + index % 200
    image = Image(spec, tuple(np.full(shape, level, np.uint8) for shape in spec.plane_shapes))
    capture_ns = START_NS + index * NS_PER_FRAME if capture_ns is None else capture_ns
    seq = facts.get("infrared_seq", index + 7)
    layers = {Layer.VISIBLE: image}
    if seq is not None:
        raw = (seq % 60) * 1_000 + np.arange(24 * 32, dtype=np.uint16).reshape(24, 32)
        layers[Layer.INFRARED] = Image.from_gray(np.full(size_wh[::-1], level, np.uint8))
        layers[Layer.RAW_INFRARED] = Image.from_gray(raw.astype(np.uint16))
    story: dict[str, Any] = {
        "state": PairState.MATCHED,
        "skew_ms": 1.25,
        "infrared_age_ms": 0.0,
        "visible_seq": index,
        "infrared_seq": seq,
        "layers": layers,
        **facts,
    }
    return FusedFrame(pair_id=index, image=image, capture_ns=capture_ns, fused_ns=capture_ns + 9, **story)


def index_of(video: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Header and lines of the index beside a fused video, which may not exist."""
    header, *lines = (json.loads(line) for line in video.with_suffix(".jsonl").read_text().splitlines())
    return header, lines


def pictures_of(video: Path) -> list[tuple[float, int]]:
    """(milliseconds, first sample) of every picture of a video, also of one that is cut off."""
    found = []
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        for frame in container.decode(stream):
            assert frame.pts is not None
            sample = int(frame.to_ndarray()[0, 0])
            found.append((float(frame.pts * stream.time_base * 1000), sample))
    return found
