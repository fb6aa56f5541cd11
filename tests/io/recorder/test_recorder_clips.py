"""Clips of events as files: pre-roll, post-roll, thumbnail and what they are about."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from recorded import FPS, UTC, fused, pictures_of

from streamfuse.config.outputs import Clips, Record
from streamfuse.frames import Event, EventPhase, FusedFrame
from streamfuse.io.recorder.recorder import Recorder
from streamfuse.io.shelf import list_clips, list_segments

NS_PER_FRAME = 1_000_000_000 // FPS


def with_event(number: int, *, first: int, last: int, name: str = "e1") -> FusedFrame:
    """Frame ``number`` of a stream in which an event lasts from frame ``first`` to ``last``."""
    if not first <= number <= last:
        return fused(number)
    phase = EventPhase.BEGUN if number == first else EventPhase.GOING
    phase = EventPhase.ENDED if number == last else phase
    began_ns = fused(first).capture_ns
    return fused(number, events=(Event(id=name, rule="person", phase=phase, began_ns=began_ns, objects=2),))


def record(folder: Path, *frames: FusedFrame, clips: Clips, **options: Any) -> list[str]:
    """Record frames; what was said."""
    said: list[str] = []
    settings = Record(dir=folder, codec="libx264", clips=clips, **options)
    with Recorder(settings, name="yard", fps=FPS, utc=UTC, say=lambda _, text: said.append(text)) as recorder:
        for frame in frames:
            recorder.turn(frame.capture_ns)
            assert recorder.write(frame, now_ns=frame.capture_ns)
    return said


def test_a_clip_shows_what_was_before_and_after_its_event(tmp_path: Path) -> None:
    """It begins with the key frame before the pre-roll and ends with the post-roll, across segments."""
    frames = [with_event(number, first=100, last=120) for number in range(200)]
    assert record(tmp_path, *frames, clips=Clips(pre_s=1.0, post_s=0.5), segment_s=1.0) == []
    (clip,) = list_clips(tmp_path)
    assert clip.video is not None
    assert clip.thumbnail is not None
    lumas = [luma for _, luma in pictures_of(clip.video)]
    first, last = lumas[0] - 16, lumas[-1] - 16
    assert 38 <= first <= 71
    assert 132 <= last <= 138
    assert len(lumas) == last - first + 1
    assert clip.thumbnail.read_bytes().startswith(b"\xff\xd8")
    assert not clip.is_open
    assert len(list_segments(tmp_path)) == 7


def test_a_clip_tells_what_it_is_about(tmp_path: Path) -> None:
    """Times are UTC, and where in its video the event begins is known."""
    frames = [with_event(number, first=40, last=50) for number in range(70)]
    record(tmp_path, *frames, clips=Clips(pre_s=1.0, post_s=0.2))
    (clip,) = list_clips(tmp_path)
    about = json.loads((tmp_path / "events" / "e1.json").read_text())
    assert about == dict(clip.about)
    assert about["event_at_s"] > 1.0
    assert about["duration_s"] > about["event_at_s"] + 0.5
    stable = {key: about[key] for key in ("id", "event", "rule", "pipeline", "objects", "cut_by", "codec")}
    assert stable == {
        "id": "e1",
        "event": "e1",
        "rule": "person",
        "pipeline": "yard",
        "objects": 2,
        "cut_by": "ended",
        "codec": "libx264",
    }
    assert about["began_utc"] == "2026-03-04T05:06:08.583Z"
    assert about["ended_utc"] == "2026-03-04T05:06:08.916Z"


def test_without_continuous_only_clips_are_kept(tmp_path: Path) -> None:
    """The pre-roll waits in memory, and the folder has nothing but the clip."""
    frames = [with_event(number, first=40, last=50) for number in range(80)]
    record(tmp_path, *frames, clips=Clips(pre_s=0.5, post_s=0.2), continuous=False)
    assert [path.name for path in tmp_path.iterdir()] == ["events"]
    names = sorted(path.name for path in (tmp_path / "events").iterdir())
    assert names == ["e1.jpg", "e1.json", "e1.mp4"]


def test_a_clip_at_hand_is_finished_when_the_recorder_stops(tmp_path: Path) -> None:
    """The event goes on, its clip is whole as far as it goes."""
    frames = [with_event(number, first=40, last=500) for number in range(60)]
    record(tmp_path, *frames, clips=Clips(pre_s=0.0))
    (clip,) = list_clips(tmp_path)
    assert clip.video is not None
    assert (clip.about["cut_by"], clip.about["ended_utc"]) == ("stopped", None)
    assert [luma - 16 for _, luma in pictures_of(clip.video)][-1] in {58, 59, 60}


def test_a_restarted_recorder_does_not_overwrite_the_clip_of_its_forerunner(tmp_path: Path) -> None:
    """The same event has two clips then, and both tell whose they are."""
    for _ in range(2):
        frames = [with_event(number, first=10, last=500) for number in range(20)]
        record(tmp_path, *frames, clips=Clips())
    assert sorted((clip.id, clip.about["event"]) for clip in list_clips(tmp_path)) == [
        ("e1", "e1"),
        ("e1-2", "e1"),
    ]


def test_a_clip_that_cannot_be_written_costs_no_frame(tmp_path: Path) -> None:
    """It is told, and the recording goes on."""
    (tmp_path / "events").write_text("in the way")
    frames = [with_event(number, first=10, last=15) for number in range(20)]
    said = record(tmp_path, *frames, clips=Clips(post_s=0.0))
    assert said[0].startswith("the clip of person is cut off")
    (segment,) = list_segments(tmp_path)
    assert len(pictures_of(next(iter(segment.tracks.values())))) == 20


def test_other_clips_hold_after_a_reload(tmp_path: Path) -> None:
    """The maximal length is taken over while an event goes on; where things are recorded is not."""
    settings = Record(dir=tmp_path, codec="libx264", clips=Clips(pre_s=0.0))
    with Recorder(settings, name="yard", fps=FPS, utc=UTC) as recorder:
        for number in range(120):
            if number == 40:
                recorder.reload(Record(dir=tmp_path / "elsewhere", clips=Clips(pre_s=0.0, max_s=1.0)))
            frame = with_event(number, first=10, last=500)
            recorder.write(frame, now_ns=frame.capture_ns)
    (clip,) = list_clips(tmp_path)
    assert clip.about["cut_by"] == "max_s"
    assert 0.9 < clip.about["duration_s"] < 1.1
    assert not (tmp_path / "elsewhere").exists()
