"""Checking recordings, and mending them: each kind of damage, done to files of the real recorder."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_recordings import START_NS, record

from streamfuse.errors import SourceError
from streamfuse.frames import Event, EventPhase
from streamfuse.io.index import read_index
from streamfuse.io.shelf import clip_path, part_of
from streamfuse.jobs.verify import verify
from streamfuse.jobs.verifying.report import Finding, Kind, Mend

TIMES_MS = [40 * number for number in range(50)]
EVERYTHING = {"visible": True, "infrared": True, "raw_infrared": True, "subtitles": True}


def event(phase: EventPhase) -> tuple[Event, ...]:
    """One event in a phase of its own."""
    return (Event(id="gate-1", rule="gate", phase=phase, began_ns=START_NS, objects=1),)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two segments of all tracks, a clip, and a held infrared image."""
    folder = tmp_path_factory.mktemp("recorded")
    events = {5: event(EventPhase.BEGUN), 6: event(EventPhase.GOING), 7: event(EventPhase.ENDED)}
    record(folder, TIMES_MS, held={9: 8, 10: 8, 25: 24}, events=events, **EVERYTHING)
    return folder


@pytest.fixture
def folder(template: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return shutil.copytree(template, tmp_path / "recordings")


def first(folder: Path, suffix: str) -> Path:
    """A file of the first segment."""
    return next(path for path in sorted(folder.iterdir()) if path.name.endswith(f"-0001{suffix}"))


def told(folder: Path) -> list[tuple[str, Mend | None]]:
    """The problems of the first segment, as text and mend."""
    problems = verify([folder]).findings[0].problems
    return [(f"{problem.file.partition('-0001')[2]} {problem.text}", problem.mend) for problem in problems]


def test_what_the_recorder_makes_is_whole(folder: Path) -> None:
    """Every picture decodes, and tracks, index and clip agree, with held images recorded once."""
    one, two, clip = verify([folder]).findings
    assert [finding.problems for finding in (one, two, clip)] == [(), (), ()]
    assert [video.pictures for video in one.videos] == [25, 25, 23, 23]
    assert [video.pictures for video in two.videos] == [25, 25, 25, 25]
    assert (one.kind, one.pairs, round(one.duration_s, 2)) == (Kind.SEGMENT, 25, 0.96)
    assert (clip.kind, clip.name) == (Kind.CLIP, "gate-1")


@pytest.mark.parametrize("suffix", [".mp4", ".visible.mp4", ".raw-infrared.mkv", ".jsonl"])
def test_a_file_of_a_segment_names_the_segment(folder: Path, suffix: str) -> None:
    """Whichever file is given, all of its segment are checked, and nothing else."""
    (finding,) = verify([first(folder, suffix), first(folder, suffix)]).findings
    assert len(finding.videos) == 4


def test_a_file_of_a_clip_names_the_clip(folder: Path) -> None:
    """The thumbnail does it, too."""
    for suffix in (".mp4", ".jpg", ".json"):
        (finding,) = verify([clip_path(folder, "gate-1", suffix)]).findings
        assert finding.kind is Kind.CLIP


def test_a_video_of_somebody_else_is_checked_alone(folder: Path, tmp_path: Path) -> None:
    """Any video can be decoded from end to end."""
    video = shutil.copy(first(folder, ".mp4"), tmp_path / "holiday.mp4")
    (finding,) = verify([video]).findings
    assert (finding.kind, finding.videos[0].pictures, finding.problems) == (Kind.VIDEO, 25, ())


def test_a_long_wait_between_pairs_is_a_gap_and_no_fault(tmp_path: Path) -> None:
    """A camera that was away leaves a gap in all files alike."""
    record(tmp_path, [0, 40, 80, 120, 700, 740])
    (finding,) = verify([tmp_path]).findings
    assert [(gap.at_s, gap.length_s) for gap in finding.gaps] == [(0.12, 0.58)]
    assert finding.problems == ()


def cut_video(folder: Path) -> None:
    """Half of a closed video is gone, and with it the index at its end."""
    os.truncate(first(folder, ".visible.mp4"), 900)


def scratch_video(folder: Path) -> None:
    """Some bytes in the middle are others."""
    path = first(folder, ".raw-infrared.mkv")
    data = bytearray(path.read_bytes())
    middle = len(data) // 3
    data[middle : middle + 40] = bytes(40)
    path.write_bytes(data)


def lose_index(folder: Path) -> None:
    """The index is gone."""
    first(folder, ".jsonl").unlink()


def behead_index(folder: Path) -> None:
    """The header is not JSON any more."""
    path = first(folder, ".jsonl")
    path.write_text("x" + path.read_text())


def tear_index(folder: Path) -> None:
    """The last line is cut off, with the newline."""
    path = first(folder, ".jsonl")
    with path.open("a") as file:
        file.write('{"pts_ms":')


def spoil_lines(folder: Path) -> None:
    """Two lines in the middle are zeros, as after a power cut."""
    path = first(folder, ".jsonl")
    lines = path.read_text().splitlines()
    lines[5:5] = ["\0" * 30, "[]"]
    path.write_text("\n".join(lines) + "\n")


def add_lines(folder: Path) -> None:
    """Lines after the last picture."""
    path = first(folder, ".jsonl")
    last = path.read_text().splitlines()[-1]
    with path.open("a") as file:
        file.write(last.replace('"pts_ms":960.0', '"pts_ms":1000.0') + "\n")


def drop_lines(folder: Path) -> None:
    """Three lines are gone, the last one and one whose infrared image the next pairs hold among them."""
    path = first(folder, ".jsonl")
    head, *lines = path.read_text().splitlines()
    kept = [line for number, line in enumerate(lines) if number not in {3, 8, 24}]
    path.write_text("\n".join((head, *kept)) + "\n")


def spoil_line(folder: Path) -> None:
    """One line is another now."""
    path = first(folder, ".jsonl")
    lines = path.read_text().splitlines()
    lines[5] = "[]"
    path.write_text("\n".join(lines) + "\n")


def leave_parts(folder: Path) -> None:
    """The recorder died."""
    for suffix in (".mp4", ".infrared.mp4", ".jsonl"):
        path = first(folder, suffix)
        path.rename(part_of(path))


@pytest.mark.parametrize(
    ("damage", "words", "mend"),
    [
        (lose_index, ".jsonl is missing", Mend.NEW_INDEX),
        (behead_index, ".jsonl is no index of version 1", Mend.NEW_INDEX),
        (tear_index, ".jsonl its last line is cut off", Mend.CUT_INDEX),
        (spoil_lines, ".jsonl 2 lines, from line 6 on, cannot be read", Mend.CUT_INDEX),
        (add_lines, ".jsonl 1 of 26 lines has no picture, from 1.000 s on", Mend.CUT_INDEX),
        (spoil_line, ".jsonl line 6 cannot be read or does not rise in time", Mend.CUT_INDEX),
        (spoil_line, ".mp4 1 picture is not in the index, from 0.160 s on", Mend.ADD_LINES),
        (drop_lines, ".mp4 3 pictures are not in the index, from 0.120 s on", Mend.ADD_LINES),
        (leave_parts, ".infrared.mp4.part was left by a recorder that died", Mend.FINISH),
    ],
)
def test_damage_that_can_be_mended(
    folder: Path, damage: Callable[[Path], None], words: str, mend: Mend
) -> None:
    """It is told and not touched; after a repair everything is whole, and the old file is still there."""
    damage(folder)
    before = contents(folder)
    assert any(text.startswith(words) and how is mend for text, how in told(folder))
    assert contents(folder) == before
    report = verify([folder], repair=True)
    assert report.broken == []
    assert report.findings[0].mended
    assert report.findings[1].mended == ()
    assert verify([folder]).broken == []
    if mend is not Mend.FINISH:
        assert before <= contents(folder)


def contents(folder: Path) -> set[bytes]:
    """What the files of a folder hold, whatever they are called."""
    return {path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_new_index_tells_the_times_of_the_pictures(folder: Path) -> None:
    """What was found in the pictures is lost, and the index says that it was made anew."""
    lose_index(folder)
    verify([folder], repair=True)
    index = read_index(first(folder, ".jsonl"))
    assert [line.pts_ns for line in index.lines] == [each * 1_000_000 for each in TIMES_MS[:25]]
    assert index.head["rebuilt"] is True
    assert index.head["start_utc"] == "2026-03-04T05:06:07.000Z"
    assert (index.fps, index.pipeline) == (25.0, "yard")


def test_added_lines_tell_what_is_known(folder: Path) -> None:
    """The times; nothing else is made up, and the lines that were there stay as they were."""
    before = first(folder, ".jsonl").read_text().splitlines()
    drop_lines(folder)
    (finding, *_) = verify([folder], repair=True).findings
    assert "3 lines added" in finding.mended[0]
    after = first(folder, ".jsonl").read_text().splitlines()
    changed = [number for number, pair in enumerate(zip(before, after, strict=True)) if len(set(pair)) > 1]
    assert changed == [4, 9, 25]
    old, new = json.loads(before[4]), json.loads(after[4])
    assert new["rebuilt"] is True
    known = {"pts_ms", "schema", "capture_utc", "capture_ns", "detections", "events"}
    assert all(new[key] == old[key] for key in known)
    assert all(value is None for key, value in new.items() if key not in {*known, "rebuilt"})


def test_no_lines_are_added_for_the_video_of_another_segment(folder: Path, tmp_path: Path) -> None:
    """Its pictures are told, and the index stays as it is."""
    (other,) = record(tmp_path / "other", [0, 13, 26])
    shutil.copy(other, first(folder, ".mp4"))
    before = first(folder, ".jsonl").read_text()
    assert verify([folder], repair=True).broken
    assert first(folder, ".jsonl").read_text() == before


def test_damaged_pictures_are_left_out_and_told(folder: Path) -> None:
    """What a scratch costs is lost; the rest of the video plays, and the damaged file is kept."""
    scratch_video(folder)
    (damaged, *_), before = told(folder), contents(folder)
    assert damaged[1] is Mend.PICTURES
    (finding, *others) = verify([folder], repair=True).findings
    assert all(other.problems == () for other in others)
    raw = finding.videos[-1]
    assert raw.damaged == 0
    assert 0 < raw.pictures < 23
    assert [problem.mend for problem in finding.problems] == [None]  # the index tells of what it lacks
    assert "lacks" in finding.problems[0].text
    assert before <= contents(folder)


def test_a_closed_video_that_was_cut_off_is_told(folder: Path) -> None:
    """Its index was at its end: it does not open, and nothing is made up."""
    cut_video(folder)
    (problem, *_), before = told(folder), contents(folder)
    assert problem[0].startswith(".visible.mp4")
    finding = verify([folder], repair=True).findings[0]
    assert finding.problems
    assert before <= contents(folder)


@pytest.mark.parametrize("suffix", [".mp4", ".visible.mp4", ".infrared.mp4", ".raw-infrared.mkv"])
def test_a_track_that_is_gone_is_told(folder: Path, suffix: str) -> None:
    """The index knows which tracks were recorded."""
    first(folder, suffix).unlink()
    assert told(folder) == [(f"{suffix} is missing", None)]


def test_tracks_of_another_segment_are_told(folder: Path, tmp_path: Path) -> None:
    """Pictures that are not in the index belong to another segment."""
    (other,) = record(tmp_path / "other", [0, 13, 26])
    shutil.copy(other, first(folder, ".visible.mp4"))
    texts = [text for text, _ in told(folder)]
    assert ".visible.mp4 lacks 24 pictures that the index tells of, from 0.040 s on" in texts
    assert ".visible.mp4 2 pictures are not in the index, from 0.013 s on" in texts


@pytest.mark.parametrize(
    ("suffix", "data", "words"),
    [
        (".mp4", None, "gate-1.mp4 is missing"),
        (".jpg", None, "gate-1.jpg is missing"),
        (".jpg", b"no picture", "gate-1.jpg"),
        (".json", b"{", "gate-1.json is missing, or cannot be read"),
        (".json", b'{"duration_s": 60}', "gate-1.json tells of 60.0 s"),
    ],
)
def test_what_a_clip_lacks_is_told(folder: Path, suffix: str, data: bytes | None, words: str) -> None:
    """A clip is a video, a thumbnail and what it is about."""
    path = clip_path(folder, "gate-1", suffix)
    path.unlink()
    if data is not None:
        path.write_bytes(data)
    (problem,) = verify([folder]).findings[-1].problems
    assert f"{problem.file} {problem.text}".startswith(words)


@given(data=st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_damage_stops_the_check_or_costs_what_was_there(
    template: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Whatever happens to bytes, verify says what is wrong; a repair overwrites no only copy and ends."""
    folder = shutil.copytree(template, tmp_path_factory.mktemp("hurt") / "recordings")
    path = data.draw(st.sampled_from(sorted(path for path in folder.rglob("*") if path.is_file())))
    content = bytearray(path.read_bytes())
    start = data.draw(st.integers(0, len(content) - 1))
    noise = data.draw(st.binary(min_size=1, max_size=60))
    content[start : start + len(noise)] = noise
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    before = contents(folder)
    findings: dict[str, Finding] = {each.name: each for each in verify([folder]).findings}
    assert contents(folder) == before
    for finding in verify([folder], repair=True).findings:
        assert not finding.can_be_mended
        assert finding.problems == () or findings[finding.name].problems
    assert before <= contents(folder)


def test_the_report_is_json(folder: Path) -> None:
    """It says whether all is well, and what is not."""
    tear_index(folder)
    plain = json.loads(json.dumps(verify([folder]).as_dict()))
    assert plain["ok"] is False
    assert plain["findings"][0]["problems"] == [
        {"file": first(folder, ".jsonl").name, "text": "its last line is cut off", "mend": "cut_index"}
    ]


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    """A path that is not there, an empty folder and a strange index are errors of their own."""
    with pytest.raises(SourceError, match="is not there"):
        verify([tmp_path / "gone"])
    with pytest.raises(SourceError, match="holds no recording"):
        verify([tmp_path])
    (tmp_path / "a.jsonl").write_text("{}\n")
    with pytest.raises(SourceError, match="is no index of a recording"):
        verify([tmp_path / "a.jsonl"])
