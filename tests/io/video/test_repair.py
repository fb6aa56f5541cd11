"""Videos that were cut off or damaged: what is sound is found, and copied without a change."""

from __future__ import annotations

import os
from pathlib import Path

import av
import pytest
from made_recordings import record

from streamfuse.errors import OutputError, SourceError
from streamfuse.io.shelf import Track, list_segments
from streamfuse.io.video.inspect import inspect_video
from streamfuse.io.video.repair import copy_pictures, sound_times

TIMES_MS = [40 * number for number in range(100)]


@pytest.fixture
def tracks(tmp_path: Path) -> dict[Track, Path]:
    """Four seconds of all tracks; the infrared ones begin late, and the times are not even."""
    times_ms = [each + (each % 3) for each in TIMES_MS]
    record(tmp_path, times_ms, segment_s=60, visible=True, infrared=True, raw_infrared=True, subtitles=True)
    (segment,) = list_segments(tmp_path)
    return dict(segment.tracks)


def pixels(path: Path) -> list[tuple[int, bytes]]:
    """Time and samples of each picture."""
    with av.open(path) as container:
        return [
            (round(picture.pts * picture.time_base * 1e6), bytes(picture.planes[0]))
            for picture in container.decode(video=0)
            if picture.pts is not None and picture.time_base is not None
        ]


@pytest.mark.parametrize("track", list(Track))
def test_a_copy_is_the_same_video(tracks: dict[Track, Path], tmp_path: Path, track: Track) -> None:
    """Pictures, times and form stay; the copy says that it is one."""
    source = tracks[track]
    target = tmp_path / f"copy{source.suffix}"
    copy_pictures(source, target, sound_times(source))
    assert pixels(target) == pixels(source)
    facts = inspect_video(target)
    assert facts.was_mended
    assert not inspect_video(source).was_mended
    assert len(facts.times_ns) == 100
    with av.open(source) as before, av.open(target) as after:
        assert after.streams.video[0].codec_context.pix_fmt == before.streams.video[0].codec_context.pix_fmt
        assert after.streams.video[0].codec_context.name == before.streams.video[0].codec_context.name


def test_only_what_is_asked_for_is_copied(tracks: dict[Track, Path], tmp_path: Path) -> None:
    """Pictures that are left out leave no trace, and the others keep their times."""
    source = tracks[Track.RAW_INFRARED]
    times_ns = sound_times(source)
    kept = (*times_ns[:10], *times_ns[20:30])
    copy_pictures(source, tmp_path / "copy.mkv", kept)
    assert inspect_video(tmp_path / "copy.mkv").times_ns == kept
    assert pixels(tmp_path / "copy.mkv") == [*pixels(source)[:10], *pixels(source)[20:30]]


@pytest.mark.parametrize("share", [0.2, 0.5, 0.7])
def test_the_sound_pictures_of_a_cut_file_are_found(
    tracks: dict[Track, Path], tmp_path: Path, share: float
) -> None:
    """The quick look at the end finds what decoding everything finds."""
    path = tracks[Track.RAW_INFRARED]
    os.truncate(path, round(path.stat().st_size * share))
    times_ns = sound_times(path)
    facts = inspect_video(path)
    assert times_ns == facts.times_ns
    assert 0 < len(times_ns) < 100
    copy_pictures(path, tmp_path / "copy.mkv", times_ns)
    mended = inspect_video(tmp_path / "copy.mkv")
    assert (mended.times_ns, mended.damaged, mended.broken_off) == (times_ns, 0, None)


def test_zeros_at_the_end_are_not_taken_for_pictures(tracks: dict[Track, Path]) -> None:
    """A power cut leaves a file as long as it was, with zeros where the disk had not come to."""
    path = tracks[Track.RAW_INFRARED]
    data = path.read_bytes()
    end = round(len(data) * 0.6)
    path.write_bytes(data[:end] + bytes(len(data) - end))
    assert 0 < len(sound_times(path)) < 100
    assert set(sound_times(path)) <= set(inspect_video(path).times_ns)


def test_nothing_of_a_failed_copy_stays(tracks: dict[Track, Path], tmp_path: Path) -> None:
    """A copy that cannot be written is told with its place, and what is there already stays."""
    source = tracks[Track.FUSED]
    with pytest.raises(OutputError, match="cannot be written"):
        copy_pictures(source, tmp_path / "gone" / "copy.mp4", (0,))
    target = tmp_path / "there.mp4"
    target.write_bytes(b"mine")
    with pytest.raises(OutputError, match="is there already"):
        copy_pictures(source, target, (0,))
    assert target.read_bytes() == b"mine"


def test_what_is_no_video_is_told(tmp_path: Path) -> None:
    """Neither a strange file nor a missing one is a video."""
    strange = tmp_path / "strange.mp4"
    strange.write_bytes(b"not a video" * 100)
    for path in (strange, tmp_path / "gone.mp4"):
        with pytest.raises(SourceError, match=r"\.mp4: "):
            sound_times(path)
        with pytest.raises(SourceError, match=r"\.mp4: "):
            inspect_video(path)
