"""Hours of running, in short: memory does not grow, and every frame stays on the books.

``STREAMFUSE_SOAK_S=600`` makes it ten minutes long, with the limit that a long run allows to measure.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import psutil
import pytest

SECONDS = float(os.environ.get("STREAMFUSE_SOAK_S", "30"))
WARM_UP = 0.4
"""Share of the time in which libraries fill their caches and rings are touched for the first time."""
LIMIT_MB_PER_MIN = 1.0 if SECONDS >= 600 else 30.0
"""A leak of one 320x240 frame a second would be 4.6 MB a minute, of each frame 90."""
MIB = 2**20


def _slope_mb_per_min(samples: list[tuple[float, int]]) -> float:
    """Growth by Theil and Sen: the median over all pairs of samples, which single jumps do not move."""
    times, sizes = (np.array(values, float) for values in zip(*samples, strict=True))
    first, second = np.triu_indices(len(times), 1)
    slopes = (sizes[second] - sizes[first]) / (times[second] - times[first])
    return float(np.median(slopes)) * 60 / MIB


@pytest.mark.fault
@pytest.mark.timeout(round(SECONDS) + 180)
def test_memory_does_not_grow_while_a_camera_comes_and_goes(
    world: Any, rtsp: Callable[..., Any], record_property: Callable[[str, object], None]
) -> None:
    """Every process of a run with a camera that is lost again and again keeps its resident memory."""
    record_property("fault", f"soak of {SECONDS:g} s, a camera is cut off every 5 s")
    record_property("promise", f"each process grows by less than {LIMIT_MB_PER_MIN:g} MB/min")
    camera = rtsp(size_wh=(320, 240), fps=15)
    world.write_pipeline(
        "realtime",
        camera.uri,
        "synthetic://street?infrared_size=320x240&infrared_fps=9&format=gray16&ffc_every=10&ffc=0.5",
        'viewer: {web: "127.0.0.1:0"}\npublish: [{kind: jsonl, path: events.jsonl}]\n',
    )
    retry = "sources.visible.retry={first_s: 0.1, max_s: 0.5}"
    process = world.start("--duration", str(SECONDS), "--set", retry, "--set", "record.segment_s=5")
    samples = _watched(process, cut=camera.drop_clients)
    words, _ = process.communicate(timeout=60)
    assert process.returncode == 0, words
    summary = world.summary
    assert summary["cameras"]["visible"]["reconnects"] >= SECONDS / 5 / 3
    assert summary["fused"] > SECONDS
    slopes = {name: round(_slope_mb_per_min(seen), 2) for name, seen in samples.items()}
    record_property("slopes_mb_per_min", slopes)
    assert {"engine", "capture visible", "capture infrared", "recorder", "viewer"} <= slopes.keys()
    assert max(slopes.values()) < LIMIT_MB_PER_MIN, slopes


def _watched(process: Any, *, cut: Callable[[], None]) -> dict[str, list[tuple[float, int]]]:
    """Resident bytes of the run's processes by name, once a second after the warm-up, until it ends."""
    samples: dict[str, list[tuple[float, int]]] = defaultdict(list)
    began_s = cut_s = time.monotonic()
    while process.poll() is None:
        now_s = time.monotonic()
        if now_s - cut_s > 5:
            cut()
            cut_s = now_s
        if now_s - began_s > WARM_UP * SECONDS:
            for name, nbytes in _resident(process.pid):
                samples[name].append((now_s, nbytes))
        try:
            process.wait(1)
        except subprocess.TimeoutExpired:
            continue
    # A process that has just begun, or is about to end, says nothing about growth.
    return {name: seen[:-3] for name, seen in samples.items() if len(seen) > 10}


def _resident(pid: int) -> list[tuple[str, int]]:
    found = []
    for each in [psutil.Process(pid), *psutil.Process(pid).children()]:
        try:
            title = " ".join(each.cmdline()).strip().removeprefix("streamfuse ")
            found.append(("supervisor" if each.pid == pid else title, each.memory_info().rss))
        except psutil.NoSuchProcess:
            continue
    return found
