"""The shelf: names of a recording's files, and what a folder holds."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfuse.io.shelf import (
    Track,
    clip_path,
    free_stem,
    index_path,
    list_clips,
    list_segments,
    part_of,
    pipeline_of,
    segment_path,
    stem_of,
    suffix_of,
    whole_of,
)

BEGUN = datetime(2026, 11, 22, 6, 53, 30, tzinfo=UTC)
STEM = "yard-20261122T065330Z-0001"


def put(path: Path, text: str = "x") -> Path:
    """A file with a text."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def test_names_are_those_of_the_documents(tmp_path: Path) -> None:
    """Each track has its own ending beside one stem."""
    assert stem_of("yard", BEGUN, 1) == STEM
    assert [segment_path(tmp_path, STEM, track).name.removeprefix(STEM) for track in Track] == [
        ".mp4",
        ".visible.mp4",
        ".infrared.mp4",
        ".raw-infrared.mkv",
    ]
    assert index_path(tmp_path, STEM).name == f"{STEM}.jsonl"
    assert clip_path(tmp_path, "gate-1", ".jpg") == tmp_path / "events" / "gate-1.jpg"


@given(
    name=st.text(min_size=1, max_size=30),
    number=st.integers(1, 10**6),
    begun=st.datetimes(datetime(1000, 1, 1)),
)
def test_any_pipeline_gives_a_stem_that_is_found_again(name: str, number: int, begun: datetime) -> None:
    """Whatever a pipeline is called, its files stay in the folder and are told as one segment."""
    begun = begun.replace(tzinfo=UTC)
    stem = stem_of(name, begun, number)
    path = segment_path(Path("/recordings"), stem, Track.VISIBLE)
    assert path.parent == Path("/recordings")
    assert not path.name.startswith(".")
    assert path.name == stem + suffix_of(Track.VISIBLE)
    assert whole_of(part_of(path)) == path
    assert stem == f"{pipeline_of(stem)}-{begun:%Y%m%dT%H%M%SZ}-{number:04d}"


@pytest.mark.parametrize("name", ["../etc/passwd", "a/b", "", "yard", f"{STEM}/..", f"{STEM}\n", ".."])
def test_what_is_no_name_is_refused(tmp_path: Path, name: str) -> None:
    """A name that leads elsewhere never becomes a path."""
    with pytest.raises(ValueError, match="no name"):
        segment_path(tmp_path, name, Track.FUSED)
    with pytest.raises(ValueError, match="no name"):
        index_path(tmp_path, name)
    if name != "yard":
        with pytest.raises(ValueError, match="no name"):
            clip_path(tmp_path, name, ".mp4")
    with pytest.raises(ValueError, match=r"\.mp4, \.jpg, \.json"):
        clip_path(tmp_path, "gate-1", "/../x.mp4")


def test_segments_are_listed_oldest_first(tmp_path: Path) -> None:
    """Files of one stem are one segment, wherever in the listing they come."""
    later = stem_of("alley", BEGUN.replace(minute=54), 2)
    fused, index = put(segment_path(tmp_path, STEM, Track.FUSED), "1234"), put(index_path(tmp_path, STEM))
    raw = put(segment_path(tmp_path, STEM, Track.RAW_INFRARED), "12")
    put(part_of(segment_path(tmp_path, later, Track.VISIBLE)))
    first, second = list_segments(tmp_path)
    assert first.tracks == {Track.FUSED: fused, Track.RAW_INFRARED: raw}
    assert (first.stem, first.index, first.nbytes, first.is_open) == (STEM, index, 7, False)
    assert first.begun_utc == BEGUN
    assert first.paths == (fused, raw, index)
    assert (second.stem, second.index, second.is_open) == (later, None, True)
    assert second.tracks == {Track.VISIBLE: part_of(segment_path(tmp_path, later, Track.VISIBLE))}


def test_other_files_are_not_ours(tmp_path: Path) -> None:
    """What is not named like a recording is neither listed nor, therefore, ever deleted."""
    names = (
        "holiday.mp4",
        f"{STEM}.mp4.damaged",
        f".{STEM}.mp4",
        f"{STEM}.avi",
        "yard-20269922T065330Z-0001.mp4",
        "notes",
    )
    for name in names:
        put(tmp_path / name)
    (tmp_path / "events" / "deeper").mkdir(parents=True)
    assert list_segments(tmp_path) == []
    assert list_clips(tmp_path) == []


def test_a_folder_that_is_not_there_is_empty(tmp_path: Path) -> None:
    """Before the first recording there is no folder."""
    assert list_segments(tmp_path / "gone") == []
    assert list_clips(put(tmp_path / "a file")) == []


def test_clips_are_listed_newest_first(tmp_path: Path) -> None:
    """By the beginning of the event, or without it by the time of the files."""
    for event_id, began in (("a.b", "2026-11-22T06:53:30.000Z"), ("b", "2026-11-22T06:54:30.000Z")):
        put(clip_path(tmp_path, event_id, ".json"), json.dumps({"began_utc": began}))
        put(clip_path(tmp_path, event_id, ".jpg"))
    os.utime(put(part_of(clip_path(tmp_path, "c", ".mp4"))), (0, 0))
    put(clip_path(tmp_path, "d", ".json"), "[]")
    os.utime(put(clip_path(tmp_path, "d", ".json"), "[]"), (1, 1))
    clips = list_clips(tmp_path)
    assert [clip.id for clip in clips] == ["b", "a.b", "d", "c"]
    assert clips[1].begun_utc == BEGUN
    assert clips[1].about == {"began_utc": "2026-11-22T06:53:30.000Z"}
    assert (clips[1].video, clips[1].thumbnail) == (None, clip_path(tmp_path, "a.b", ".jpg"))
    assert clips[2].about == {}
    assert clips[3].is_open


def test_a_stem_is_free_if_nothing_of_it_is_there(tmp_path: Path) -> None:
    """A recorder that comes again within a second overwrites nothing, not even a part."""
    assert free_stem(tmp_path, "yard", BEGUN) == STEM
    put(part_of(segment_path(tmp_path, STEM, Track.INFRARED)))
    put(index_path(tmp_path, STEM.replace("0001", "0002")))
    assert free_stem(tmp_path, "yard", BEGUN) == STEM.replace("0001", "0003")
