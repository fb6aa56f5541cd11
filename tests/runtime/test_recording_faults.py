"""Faults of the recorder in a whole run: killed again and again, and its folder removed."""

from __future__ import annotations

import json
import random
import shutil
import signal
import time
from collections.abc import Callable

import av
import pytest

from streamfuse.io.shelf import Track, list_segments

STREET = "synthetic://street?seed=7&size=160x120&fps=20"
KILLS = 4  # the supervisor waits longer each time; tests/io/recorder kills 20 times


@pytest.mark.slow
@pytest.mark.fault
def test_a_recorder_of_a_run_that_is_killed_loses_a_second_each(
    world, wait_until, record_property: Callable[[str, object], None]
) -> None:
    """Every segment can be decoded and lacks at most its last second; the run never stops."""
    record_property("room", "operations")
    record_property("fault", f"kill -9 of the recorder of a run, {KILLS} times at random moments")
    world.write_pipeline("realtime", STREET, STREET)
    process = world.start("--set", "record.raw_infrared=true", "--set", "record.segment_s=2")
    rng = random.Random(5)  # noqa: S311 - picks moments
    folder = world.folder / "recordings"
    down_s = []
    for _ in range(KILLS):
        before = len(list_segments(folder))
        wait_until(lambda before=before: len(list_segments(folder)) > before)
        time.sleep(rng.uniform(0.2, 1.5))  # the random moment
        killed_s = time.monotonic()
        worker = world.workers(process)["recorder"]
        worker.kill()
        wait_until(lambda old=worker: world.workers(process).get("recorder", old).pid != old.pid)
        down_s.append(time.monotonic() - killed_s)
    wait_until(lambda: len(list_segments(folder)) > KILLS)
    process.send_signal(signal.SIGINT)
    words, _ = process.communicate(timeout=30)
    assert process.returncode == 130, words
    assert world.summary["restarts"]["recorder"] == KILLS
    lost_s = []
    for segment in list_segments(folder):
        assert not segment.is_open, segment
        assert segment.index is not None
        lines = [json.loads(line) for line in segment.index.read_text().splitlines()[1:]]
        shown_ms = times_ms(segment.tracks[Track.FUSED])
        assert shown_ms, segment
        lost_s.append((lines[-1]["pts_ms"] - shown_ms[-1]) / 1e3)
    record_property("recovery_s", max(down_s))
    record_property("promise", "at most 1 s of video lost by each kill")
    assert max(lost_s) <= 1.0


def times_ms(video) -> list[float]:
    """When the pictures of a video that decode are shown."""
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        return [float(frame.pts * stream.time_base * 1000) for frame in container.decode(stream)]


@pytest.mark.fault
def test_a_run_outlives_the_removal_of_its_recordings(
    world, wait_until, record_property: Callable[[str, object], None]
) -> None:
    """It is told once, and recordings appear in a new folder of the same name."""
    record_property("room", "operations")
    record_property("fault", "the folder of the recordings of a run is removed")
    world.write_pipeline("realtime", STREET, STREET)
    process = world.start("--log", "json")
    folder = world.folder / "recordings"
    wait_until(lambda: bool(list_segments(folder)))
    shutil.rmtree(folder)
    removed_s = time.monotonic()
    wait_until(lambda: bool(list_segments(folder)))
    recovery_s = time.monotonic() - removed_s
    record_property("recovery_s", recovery_s)
    record_property("promise", "recorded again within 5 s")
    process.send_signal(signal.SIGINT)
    words, _ = process.communicate(timeout=30)
    assert process.returncode == 130, words
    assert recovery_s <= 5, words
    assert world.summary["restarts"]["recorder"] == 0
    assert world.recorded_frames() > 0
    told = [json.loads(line) for line in words.splitlines() if line.startswith("{")]
    trouble = [each for each in told if "was removed while" in each["message"]]
    trouble += [each for each in told if "not recorded: " in each["message"]]
    assert trouble, words
    assert {each["level"] for each in trouble} == {"warning"}
    assert sum("was removed while it was written" in each["message"] for each in told) <= 1, words
