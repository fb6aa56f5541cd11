"""A recording of our own as a source: its capture times, and what a crash leaves."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from made_recordings import START_NS, UTC, number_in, record

from streamfuse.clock import UtcLabel
from streamfuse.config.sources import SourceConfig
from streamfuse.core.clockfit import TimeSource
from streamfuse.errors import SourceError, SourceTruncatedError, UsageError
from streamfuse.frames import PixelFormat, StreamName
from streamfuse.io.shelf import Track, part_of, segment_path
from streamfuse.io.source import Source
from streamfuse.io.sources import open_source

STEM = "yard-20260304T050607Z-0001"
# A camera of 25 fps that is late now and then, with one long gap, where a new segment begins.
TIMES_MS = [0, 40, 83, 120, 160, 199, 240, 1200, 1240, 1281, 1320, 1360]


def opened(folder: Path, query: str = "", *, loop: bool = False) -> closing[Source]:
    """The recording of a folder as a source, closed in the end."""
    config = SourceConfig(uri=f"recording://{folder}{query}", loop=loop)
    return closing(open_source(config, stream=StreamName.VISIBLE))


def taken(source: Source, limit: int = 100) -> list[tuple[int, int]]:
    """Number and milliseconds of the frames to the end."""
    seen: list[tuple[int, int]] = []
    while len(seen) < limit and (frame := source.read()) is not None:
        seen.append((number_in(frame.image), round(frame.pts_ns / 1e6)))
    return seen


def until_told(source: Source) -> tuple[int, str]:
    """How many frames come before the truth is told, and what it is."""
    count = 0
    try:
        while source.read() is not None:
            count += 1
    except SourceTruncatedError as error:
        assert source.read() is None
        return count, str(error)
    pytest.fail(f"the recording ended quietly after {count} frames")


def test_frames_come_with_their_capture_times(tmp_path: Path) -> None:
    """All segments play as one stream, with the times and gaps at which the scene was seen."""
    assert len(record(tmp_path, TIMES_MS)) == 2
    with opened(tmp_path, "?stream=fused") as source:
        assert source.info.frame_count == len(TIMES_MS)
        assert source.info.spec.size_wh == (64, 48)
        assert not source.info.live
        first = source.read()
        assert first is not None
        assert first.stamp is not None
        assert first.stamp.source is TimeSource.FILE
        assert first.stamp.time_ns == START_NS
        assert taken(source) == list(enumerate(TIMES_MS))[1:]


def test_skip_and_loop(tmp_path: Path) -> None:
    """A restarted worker goes on where it was, in a looped recording too."""
    record(tmp_path, TIMES_MS)
    with opened(tmp_path) as source:
        source.skip(9)
        assert taken(source) == list(enumerate(TIMES_MS))[9:]
    with opened(tmp_path, loop=True) as source:
        source.skip(len(TIMES_MS) + 1)
        assert taken(source, 2) == [(1, 1360 + 40 + 40), (2, 1360 + 40 + 83)]


def test_a_recording_over_a_restart_of_the_machine(tmp_path: Path) -> None:
    """Monotonic time begins anew; the gap is that of the UTC, and times rise."""
    record(tmp_path, [0, 40])
    record(tmp_path, [0, 40], utc=UtcLabel(monotonic_ns=7, utc_ns=UTC.utc_ns + 60_000_000_000))
    with opened(tmp_path) as source:
        assert taken(source) == [(0, 0), (1, 40), (0, 60_000), (1, 60_040)]


def test_a_crash_is_told_at_the_end(tmp_path: Path) -> None:
    """Lines without a picture, a line cut short and a file alone: what is there plays, then one error."""
    paths = record(tmp_path, TIMES_MS)
    index = paths[1].with_suffix(".jsonl")
    last = index.read_text().splitlines()[-1]
    later = last.replace('"pts_ms":160.0', '"pts_ms":200.0')
    assert later != last
    index.write_text(index.read_text() + later + "\n" + later[:30])
    (tmp_path / "yard-20260304T050607Z-0009.jsonl").write_text("{}\n")
    with opened(tmp_path) as source:
        count, told = until_told(source)
    assert count == len(TIMES_MS)
    assert f"{paths[1].name} lacks 1 of 6 pictures" in told
    assert "yard-20260304T050607Z-0009.mp4 is missing" in told


def test_an_index_of_another_video_is_told(tmp_path: Path) -> None:
    """Pictures that the index does not know have no capture time, and none is made up."""
    first, second = record(tmp_path, [0, 40, 80, 1500, 1550])
    second.write_bytes(first.read_bytes())
    with opened(tmp_path) as source, pytest.raises(SourceError, match="is not in its index"):
        taken(source)


def test_every_recorded_stream_plays_on_one_timeline(tmp_path: Path) -> None:
    """Streams begin at the first pair, also where a picture comes first later; a held one comes once."""
    everything = {"visible": True, "infrared": True, "raw_infrared": True}
    record(tmp_path, [0, 40, 80, 120, 1160], held={1: 0, 2: 0}, **everything)
    with opened(tmp_path, "?stream=visible") as source:
        assert taken(source) == [(0, 0), (1, 40), (2, 80), (3, 120), (4, 1160)]
        assert source.info.frame_count == 5
    for stream in ("infrared", "raw_infrared"):
        with opened(tmp_path, f"?stream={stream}") as source:
            assert source.info.frame_count is None
            assert taken(source) == [(0, 0), (3, 120), (4, 1160)]
    assert source.info.spec.format is PixelFormat.GRAY16
    assert source.info.spec.size_wh == (32, 24)


def test_a_stream_that_was_not_recorded_is_told(tmp_path: Path) -> None:
    """The message names the stream."""
    record(tmp_path, [0, 40])
    with pytest.raises(SourceError, match="holds no visible stream"):
        opened(tmp_path, "?stream=visible")


def test_what_is_being_written_is_left_out(tmp_path: Path) -> None:
    """A segment with a part plays once it is closed."""
    first, second = record(tmp_path, TIMES_MS)
    second.rename(part_of(second))
    with opened(tmp_path) as source:
        assert taken(source) == list(enumerate(TIMES_MS))[:7]
    assert segment_path(tmp_path, first.stem, Track.FUSED) == first


def test_another_size_is_told(tmp_path: Path) -> None:
    """A stream has one size."""
    record(tmp_path, [0])
    record(tmp_path, [10_000], size_wh=(32, 48))
    with opened(tmp_path) as source, pytest.raises(SourceError, match="32x48 yuv420p after 64x48 yuv420p"):
        taken(source)


def test_several_pipelines_need_a_choice(tmp_path: Path) -> None:
    """Two recordings in one folder are not mixed."""
    record(tmp_path, [0, 40], name="yard")
    record(tmp_path, [0, 40, 80], name="gate")
    with pytest.raises(UsageError, match=r"add \?pipeline= one of gate, yard"):
        opened(tmp_path)
    with opened(tmp_path, "?pipeline=gate") as source:
        assert len(taken(source)) == 3
    with pytest.raises(UsageError, match="no pipeline door; there are gate, yard"):
        opened(tmp_path, "?pipeline=door")


@pytest.mark.parametrize(
    ("query", "words"),
    [("?stream=sound", "no stream sound; there are fused, visible"), ("?speed=2", "unknown key speed")],
)
def test_what_cannot_be_asked_for(tmp_path: Path, query: str, words: str) -> None:
    """The query knows two keys."""
    with pytest.raises(UsageError, match=words):
        opened(tmp_path, query)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "holds no whole segment"),
        ({f"{STEM}.mp4.part": "x", "b.mp4": "x"}, "holds no"),
        ({f"{STEM}.mp4": "x", f"{STEM}.jsonl": "no\n"}, "is no index of version 1"),
        ({f"{STEM}.mp4": "x", f"{STEM}.jsonl": '{"streamfuse_index":99}\n'}, "its version is 99"),
        ({f"{STEM}.mp4": "x", f"{STEM}.jsonl": ""}, "is no index of version 1"),
    ],
)
def test_what_is_no_recording(tmp_path: Path, files: dict[str, str], words: str) -> None:
    """Nothing, parts, and files of somebody else are told in one sentence."""
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(SourceError, match=words):
        opened(tmp_path)


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    """The message says so."""
    with pytest.raises(SourceError, match="there is no such folder"):
        opened(tmp_path / "gone")
