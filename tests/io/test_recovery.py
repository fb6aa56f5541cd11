"""What a recorder that was killed leaves, and what becomes of it."""

from __future__ import annotations

import contextlib
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from made_recordings import record
from servers import need_server

from streamfuse.io.index import read_index
from streamfuse.io.recovery import Fate, hidden, is_held, recover
from streamfuse.io.shelf import Track, clip_path, list_clips, list_segments, part_of
from streamfuse.io.video.repair import copy_pictures, sound_times
from streamfuse.jobs.verify import verify
from streamfuse.jobs.verifying.report import Kind

CHILD = Path(__file__).with_name("recording_child.py")
KILLS = 20
FPS = 25
SEGMENT = 3 * FPS
"""Pairs of a segment."""


def child(folder: Path, fps: int = FPS) -> subprocess.Popen[str]:
    """A process that records until it is killed."""
    path = os.pathsep.join(each for each in sys.path if each)
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(CHILD), str(folder), str(fps)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def pairs_until_killed(folder: Path, lines: int, fps: int = FPS) -> int:
    """Record until ``lines`` pairs were told of, kill; how many pairs were recorded."""
    process = child(folder, fps)
    assert process.stdout is not None
    with process:
        told = [process.stdout.readline() for _ in range(lines)]
        process.kill()
        told += process.stdout.readlines()
    return int([line for line in told if line.endswith("\n")][-1]) + 1


@pytest.mark.slow
@pytest.mark.fault
def test_a_killed_recorder_loses_a_second_and_the_rest_is_whole(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Wherever it is killed: after the scan, every file has its name and verify finds nothing wrong."""
    record_property("room", "operations")
    record_property("fault", f"kill -9 of a recorder of four tracks and a clip at {KILLS} random moments")
    record_property("promise", "at most 1 s lost each; all files whole after the scan at the next start")
    took_s, lost = [], []
    for seed in range(KILLS):
        folder = tmp_path / str(seed)
        count = pairs_until_killed(folder, random.Random(seed).randint(30, 250))  # noqa: S311 - a test's dice
        begun = time.monotonic()
        assert all(each.fate is not Fate.LEFT for each in recover(folder))
        took_s.append(time.monotonic() - begun)
        assert [path.name for path in folder.rglob("*.part")] == []
        # What a clip is about is written when its pictures are: a kill in its first second comes before.
        findings = [each for each in verify([folder]).findings if each.kind is Kind.SEGMENT]
        assert [each.problems for each in findings if each.problems] == []
        written = [min(SEGMENT, count - start) for start in range(0, count, SEGMENT)]
        kept = [*(finding.videos[0].pictures for finding in findings), 0]  # the last one may be gone
        lost += [(some - rest) / FPS for some, rest in zip(written, kept, strict=False)]
        assert recover(folder) == []
    assert max(lost) <= 1
    record_property("recovery_s", max(took_s))
    record_property("lost_s", max(lost))


@pytest.mark.fault
def test_a_recorder_killed_at_a_slow_rate_loses_three_pictures(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """The fragment that was not finished is seconds long, and yet verify finds nothing wrong."""
    record_property("room", "operations")
    record_property("fault", "kill -9 of a recorder of four tracks at 1 to 3 fps")
    record_property("promise", "at most 3 pictures lost; all files whole after the scan at the next start")
    took_s, lost = [], []
    for fps, pairs in ((1, 4), (1, 9), (1, 24), (2, 30), (3, 31)):
        folder = tmp_path / f"{fps}-{pairs}"
        count = pairs_until_killed(folder, pairs, fps)
        begun = time.monotonic()
        assert all(each.fate is not Fate.LEFT for each in recover(folder))
        took_s.append(time.monotonic() - begun)
        findings = [each for each in verify([folder]).findings if each.kind is Kind.SEGMENT]
        assert [each.problems for each in findings if each.problems] == []
        lost.append(count - sum(each.videos[0].pictures for each in findings))
    assert max(lost) <= 3
    record_property("recovery_s", max(took_s))
    record_property("lost_pictures", max(lost))


def slow(folder: Path, lines: int) -> Path:
    """The index of 20 pairs at 1 fps whose recorder died, ahead of the video by some lines."""
    (video,) = record(folder, range(0, 20_000, 1_000), segment_s=60)
    video.rename(part_of(video))
    index = video.with_suffix(".jsonl")
    last = index.read_text().splitlines()[-1]
    with index.open("a") as file:
        for number in range(20, 20 + lines):
            file.write(last.replace('"pts_ms":19000.0', f'"pts_ms":{number}000.0') + "\n")
    return index.rename(part_of(index))


@pytest.mark.parametrize(("ahead", "kept"), [(2, 20), (3, 20), (4, 24)])
def test_lines_of_three_pictures_are_cut_however_long_those_are(
    tmp_path: Path, ahead: int, kept: int
) -> None:
    """At 1 fps three pictures are 3 s; four lines are no loss of a crash, and kept."""
    slow(tmp_path, ahead)
    assert [each.note for each in recover(tmp_path)] == ["20 pictures", f"{kept} pairs"]
    assert bool(verify([tmp_path]).broken) is (ahead == 4)


@pytest.mark.parametrize(("lost", "is_cost"), [(3, True), (4, False)])
@pytest.mark.parametrize("track", [Track.VISIBLE, Track.RAW_INFRARED])
def test_a_track_that_lost_three_slow_pictures_is_whole(
    tmp_path: Path, track: Track, lost: int, is_cost: bool
) -> None:
    """Beside another one that went on, after a crash; a fourth one is told."""
    (video,) = record(tmp_path, range(0, 20_000, 1_000), segment_s=60, visible=True, raw_infrared=True)
    (segment,) = list_segments(tmp_path)
    path = segment.tracks[track]
    times_ns = sound_times(path)
    copy_pictures(path, hidden(path), times_ns[:-lost])
    hidden(path).replace(path)
    problems = [problem for each in verify([tmp_path]).findings for problem in each.problems]
    assert [each.text for each in problems] == (
        [] if is_cost else [f"lacks {lost} pictures that the index tells of, from 16.000 s on"]
    )
    assert video.exists()


@pytest.mark.parametrize(("begins", "is_cost"), [(16, True), (15, False)])
def test_a_track_of_which_nothing_reached_the_disk_may_lack_three_pictures(
    tmp_path: Path, begins: int, is_cost: bool
) -> None:
    """The infrared came late, and the crash came before its first fragment was whole."""
    times_ms = range(0, 20_000, 1_000)
    (video,) = record(tmp_path, times_ms, segment_s=60, infrared=True)
    (segment,) = list_segments(tmp_path)
    segment.tracks[Track.INFRARED].unlink()
    index = video.with_suffix(".jsonl")
    head, *lines = index.read_text().splitlines()
    lines = [re.sub(r'"infrared_seq":\d+', '"infrared_seq":null', each) for each in lines[:begins]] + lines[
        begins:
    ]
    index.write_text("\n".join((head, *lines)) + "\n")
    copy_pictures(video, hidden(video), sound_times(video))
    hidden(video).replace(video)
    problems = [problem.text for each in verify([tmp_path]).findings for problem in each.problems]
    assert problems == ([] if is_cost else ["is missing"])


def test_a_living_recorder_is_left_alone(tmp_path: Path) -> None:
    """Its locks tell that it lives; once it is dead its files are finished."""
    process = child(tmp_path)
    assert process.stdout is not None
    with process:
        for _ in range(40):
            process.stdout.readline()
        os.kill(process.pid, 19)
        try:
            parts = [path for path in tmp_path.iterdir() if path.suffix == ".part"]
            assert parts
            assert all(is_held(path) for path in parts)
            assert recover(tmp_path) == []
            findings = verify([tmp_path]).findings
            assert any(finding.being_written for finding in findings)
            assert not any(finding.problems for finding in findings)
        finally:
            process.kill()
    assert {each.fate for each in recover(tmp_path)} == {Fate.FINISHED}
    assert not any(segment.is_open for segment in list_segments(tmp_path))


def left_behind(folder: Path) -> tuple[Path, Path]:
    """A segment of 50 pairs as if its recorder had died: video and index."""
    (video,) = record(folder, range(0, 2000, 40), segment_s=10)
    index = video.with_suffix(".jsonl")
    return video.rename(part_of(video)), index.rename(part_of(index))


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7])
def test_a_cut_video_is_kept_up_to_its_last_sound_picture(tmp_path: Path, share: float) -> None:
    """A file system that lost the end: what is before it stays, the index ends there, a torn line goes."""
    (video,) = record(tmp_path, range(0, 2000, 40), segment_s=10, raw_infrared=True)
    (segment,) = list_segments(tmp_path)
    raw, index = segment.tracks[Track.RAW_INFRARED], video.with_suffix(".jsonl")
    part = raw.rename(part_of(raw))
    os.truncate(part, round(part.stat().st_size * share))
    text = index.read_text()
    part_of(index).write_text(text + text.splitlines()[-1][:40])
    index.unlink()
    results = recover(tmp_path)
    assert [each.fate for each in results] == [Fate.FINISHED, Fate.FINISHED]
    assert len(read_index(index).lines) == 50  # the fused video goes on to the end
    (finding,) = verify([tmp_path]).findings
    pictures = {each.path: each.pictures for each in finding.videos}
    assert pictures[video] == 50
    assert 0 < pictures[raw] < 50


def test_lines_ahead_of_the_video_are_cut(tmp_path: Path) -> None:
    """The index reaches the disk at once, pictures within a second: what they lack, it need not have."""
    video, index = left_behind(tmp_path)
    last = index.read_text().splitlines()[-1]
    with index.open("a") as file:
        for time_ms in (2000, 2040, 2900):
            file.write(last.replace('"pts_ms":1960.0', f'"pts_ms":{time_ms}.0') + "\n")
    assert [each.note for each in recover(tmp_path)] == ["50 pictures", "50 pairs"]
    assert verify([tmp_path]).broken == []
    assert not video.exists()


def test_an_index_that_went_on_alone_is_kept(tmp_path: Path) -> None:
    """Lines long after the last picture are no loss of a crash: what they tell is kept."""
    _, index = left_behind(tmp_path)
    last = index.read_text().splitlines()[-1]
    with index.open("a") as file:
        for time_ms in (3000, 5000, 7000, 9000):
            file.write(last.replace('"pts_ms":1960.0', f'"pts_ms":{time_ms}.0') + "\n")
    assert [each.note for each in recover(tmp_path)] == ["50 pictures", "54 pairs"]


def test_what_holds_nothing_goes(tmp_path: Path) -> None:
    """A recorder that dies at once leaves a head without pictures, and an index without pairs."""
    video, index = left_behind(tmp_path)
    video.write_bytes(video.read_bytes()[:600])
    index.write_text(index.read_text().splitlines()[0] + "\n")
    assert {each.fate for each in recover(tmp_path)} == {Fate.REMOVED}
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_read_is_set_aside(tmp_path: Path) -> None:
    """A damaged file is not thrown away, and is in nobody's way; the others are finished."""
    video, _ = left_behind(tmp_path)
    video.write_bytes(bytes(10_000))
    first, second = recover(tmp_path)
    assert (first.fate, second.fate) == (Fate.SET_ASIDE, Fate.FINISHED)
    assert first.path.name.endswith(".mp4.damaged")
    assert first.path.read_bytes() == bytes(10_000)
    assert recover(tmp_path) == []


def test_one_that_cannot_be_finished_hinders_no_other(tmp_path: Path) -> None:
    """What fails is told and tried again the next time."""
    video, index = left_behind(tmp_path)
    obstacle = tmp_path / f".mending-{video.name.removesuffix('.part')}"
    obstacle.mkdir()
    first, second = recover(tmp_path)
    assert (first.fate, first.path) == (Fate.LEFT, video)
    assert "cannot be finished" in first.note
    assert second.fate is Fate.FINISHED
    obstacle.rmdir()
    (again,) = recover(tmp_path)
    assert again.fate is Fate.FINISHED
    assert not index.exists()


def test_clips_are_finished(tmp_path: Path) -> None:
    """A clip and a thumbnail that were not closed get their names."""
    (video,) = record(tmp_path, range(0, 800, 40))
    clip_path(tmp_path, "gate-1", ".mp4").parent.mkdir()
    video.rename(part_of(clip_path(tmp_path, "gate-1", ".mp4")))
    part_of(clip_path(tmp_path, "gate-1", ".jpg")).write_bytes(b"a picture")
    assert [each.fate for each in recover(tmp_path)] == [Fate.FINISHED, Fate.FINISHED]
    (clip,) = list_clips(tmp_path)
    assert clip.paths == (clip_path(tmp_path, "gate-1", ".mp4"), clip_path(tmp_path, "gate-1", ".jpg"))


def test_without_room_a_part_gets_its_name_as_it_is(tmp_path: Path) -> None:
    """A full disk must not keep files open for ever: the video can be read, and retention can take it."""
    need_server(None if os.geteuid() == 0 else "a disk that is full is made by root")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], check=True)
    try:
        video, _ = left_behind(disk)
        with (disk / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
            while True:
                filler.write(bytes(4096))
        assert "no room" in recover(disk)[0].note
        (finding,) = verify([disk]).findings
        assert [each.pictures for each in finding.videos] == [50]
        assert finding.problems == ()
        assert not video.exists()
    finally:
        subprocess.run(["umount", str(disk)], check=True)
