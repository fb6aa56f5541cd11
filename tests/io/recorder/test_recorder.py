"""The recorder: segments, tracks and their index."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from recorded import FPS, START_NS, UTC, fused, index_of, pictures_of

from streamfuse.config.outputs import Record
from streamfuse.core.pair_record import pair_record
from streamfuse.errors import MachineError, OutputError
from streamfuse.frames import Detection, FusedFrame, Image, PairState
from streamfuse.io.index import INDEX_SCHEMA
from streamfuse.io.recorder.recorder import Recorder
from streamfuse.io.shelf import Track, segment_path, suffix_of

PERSON = Detection(
    box_xyxy=(10.0, 12.5, 30.004, 60.0),
    class_id=0,
    class_name="person",
    confidence=0.87654,
    track_id=4,
    mask_rle=(3, 2, 5),
)
ALL = {"visible": True, "infrared": True, "raw_infrared": True}


def made(folder: Path, **options: Any) -> Recorder:
    """A recorder; the options are those of ``record`` in a pipeline file."""
    codec = options.pop("codec", "libx264")
    return Recorder(Record(dir=folder, codec=codec, **options), name="yard", fps=FPS, utc=UTC)


def record(folder: Path, *frames: FusedFrame, **options: Any) -> list[Path]:
    """Record frames and close; the fused videos."""
    with made(folder, **options) as recorder:
        for frame in frames:
            recorder.turn(frame.capture_ns)
            assert recorder.write(frame, now_ns=frame.capture_ns)
        return list(recorder.paths)


def steady(count: int, **facts: Any) -> list[FusedFrame]:
    """Frames at the nominal rate."""
    return [fused(number, **facts) for number in range(count)]


def track_of(video: Path, track: Track) -> Path:
    """Another track of the segment of a fused video."""
    return segment_path(video.parent, video.stem, track)


def test_video_and_index_hold_the_same_frames(tmp_path: Path) -> None:
    """Frame by frame, the index has the time that the video has."""
    (path,) = record(tmp_path / "a/b", *steady(40))
    _, lines = index_of(path)
    pictures = pictures_of(path)
    assert len(pictures) == len(lines) == 40
    np.testing.assert_allclose([ms for ms, _ in pictures], [line["pts_ms"] for line in lines], atol=0.02)
    assert [line["pair_id"] for line in lines] == list(range(40))
    np.testing.assert_allclose([luma for _, luma in pictures], 16 + np.arange(40), atol=3)


def test_names_and_header(tmp_path: Path) -> None:
    """A segment is named by pipeline, UTC of its first frame and number; the header tells what it is."""
    (path,) = record(tmp_path, *steady(2), visible=True)
    assert path == tmp_path / "yard-20260304T050607Z-0001.mp4"
    header, _ = index_of(path)
    assert header == {
        "streamfuse_index": INDEX_SCHEMA,
        "pipeline": "yard",
        "video": path.name,
        "tracks": {"fused": path.name, "visible": "yard-20260304T050607Z-0001.visible.mp4"},
        "size_wh": [64, 48],
        "fps": FPS,
        "codec": "libx264",
        "start_utc": "2026-03-04T05:06:07.250Z",
        "start_capture_ns": START_NS,
    }


def test_a_line_is_the_record_of_its_frame(tmp_path: Path) -> None:
    """The index holds what the publishers send, with the place in the video."""
    frame = fused(3, state=PairState.VISIBLE_ONLY, skew_ms=None, infrared_age_ms=None, infrared_seq=None)
    found = fused(4, detections=(PERSON,))
    (path,) = record(tmp_path, frame, found)
    _, lines = index_of(path)
    assert lines[0] == {"pts_ms": 0.0, **pair_record(frame, UTC)}
    assert lines[0]["state"] == "visible_only"
    assert lines[1]["detections"][0]["class"] == "person"


@pytest.mark.parametrize("codec", ["libx264", "mpeg4", "libsvtav1"])
def test_segments_are_cut_on_time_without_a_lost_frame(tmp_path: Path, codec: str) -> None:
    """Every frame is in exactly one segment of every track, also where an encoder keeps some inside."""
    paths = record(tmp_path, *steady(100), segment_s=1.0, codec=codec, **ALL)
    assert [path.name for path in paths] == [
        f"yard-20260304T0506{second:02d}Z-{number:04d}.mp4"
        for number, second in enumerate((7, 8, 9, 10), start=1)
    ]
    indexes = [index_of(path)[1] for path in paths]
    assert [len(lines) for lines in indexes] == [31, 31, 31, 7]
    assert [line["pair_id"] for lines in indexes for line in lines] == list(range(100))
    for path, lines in zip(paths, indexes, strict=True):
        assert lines[0]["pts_ms"] == 0
        for track in Track:
            pictures = pictures_of(track_of(path, track))
            want_ms = [line["pts_ms"] for line in lines]
            np.testing.assert_allclose([ms for ms, _ in pictures], want_ms, atol=0.6, err_msg=track)
    assert not list(tmp_path.glob("*.part"))


def test_the_tracks_of_a_segment_tell_their_numbers(tmp_path: Path) -> None:
    """Visible and infrared are as they were, and the raw infrared keeps every bit of 16."""
    (path,) = record(tmp_path, *steady(5), **ALL)
    for track in (Track.FUSED, Track.VISIBLE):
        lumas = [luma for _, luma in pictures_of(track_of(path, track))]
        np.testing.assert_allclose(lumas, 16 + np.arange(5), atol=3, err_msg=track)
    with av.open(str(track_of(path, Track.RAW_INFRARED))) as container:
        raw = [frame.to_ndarray() for frame in container.decode(video=0)]
    for number, samples in enumerate(raw):
        np.testing.assert_array_equal(samples, fused(number).layers["raw_infrared"].planes[0])
    assert len(raw) == 5


def test_a_held_infrared_image_is_encoded_once(tmp_path: Path) -> None:
    """Its tracks have a picture for each new image, at the time of the first pair with it."""
    frames = [fused(number, infrared_seq=number // 4) for number in range(12)]
    (path,) = record(tmp_path, *frames, **ALL)
    for track in (Track.INFRARED, Track.RAW_INFRARED):
        times_ms = [ms for ms, _ in pictures_of(track_of(path, track))]
        np.testing.assert_allclose(times_ms, [0, 4_000 / FPS, 8_000 / FPS], atol=0.6)
    assert len(pictures_of(track_of(path, Track.VISIBLE))) == 12


def test_a_held_image_begins_the_next_segment(tmp_path: Path) -> None:
    """Each file stands on its own, even when the camera is silent across the cut."""
    paths = record(tmp_path, *(fused(number, infrared_seq=1) for number in range(40)), segment_s=1.0, **ALL)
    counts = [len(pictures_of(track_of(path, Track.INFRARED))) for path in paths]
    assert counts == [1, 1]


def test_a_camera_that_comes_later_joins_its_segment(tmp_path: Path) -> None:
    """Until then there is no file of it; afterwards its pictures have the times of their pairs."""
    absent = [fused(number, infrared_seq=None) for number in range(5)]
    (path,) = record(tmp_path, *absent, *(fused(number) for number in range(5, 8)), infrared=True)
    times_ms = [ms for ms, _ in pictures_of(track_of(path, Track.INFRARED))]
    np.testing.assert_allclose(times_ms, [5_000 / FPS, 6_000 / FPS, 7_000 / FPS], atol=1.0)


def test_a_track_without_a_picture_has_no_file(tmp_path: Path) -> None:
    """An infrared camera that never came leaves nothing."""
    record(tmp_path, *steady(3, infrared_seq=None), **ALL)
    suffixes = {suffix_of(Track.FUSED), suffix_of(Track.VISIBLE), ".jsonl"}
    assert {path.name[len("yard-20260304T050607Z-0001") :] for path in tmp_path.iterdir()} == suffixes


def test_another_size_begins_another_segment(tmp_path: Path) -> None:
    """A camera that changes its size does not stop the recording."""
    sizes = [(64, 48), (64, 48), (96, 48)]
    frames = [fused(number, size_wh=size_wh) for number, size_wh in enumerate(sizes)]
    paths = record(tmp_path, *frames)
    assert [index_of(path)[0]["size_wh"] for path in paths] == [[64, 48], [96, 48]]
    assert [len(pictures_of(path)) for path in paths] == [2, 1]


def test_capture_times_that_do_not_rise_are_shown_in_order(tmp_path: Path) -> None:
    """Two frames of one moment both stay; the index has their true times."""
    times = [START_NS, START_NS + 50_000_000, START_NS + 50_000_000, START_NS + 20_000_000]
    (path,) = record(tmp_path, *(fused(number, capture_ns=ns) for number, ns in enumerate(times)))
    _, lines = index_of(path)
    assert [line["pts_ms"] for line in lines] == [0, 50, 51, 52]
    assert [line["capture_ns"] for line in lines] == times
    assert len(pictures_of(path)) == 4


def test_time_that_goes_back_begins_another_segment(tmp_path: Path) -> None:
    """A camera whose clock was wrong for a moment does not squeeze an hour of video together."""
    times_s = [5.0, 5.1, 9_000.0, 5.3, 5.4]
    frames = [fused(number, capture_ns=round(at_s * 1e9)) for number, at_s in enumerate(times_s)]
    paths = record(tmp_path, *frames, **ALL)
    assert [[line["pts_ms"] for line in index_of(path)[1]] for path in paths] == [[0, 100], [0], [0, 100]]


def test_a_second_recorder_does_not_overwrite_the_first(tmp_path: Path) -> None:
    """A worker that is started again within the second takes the next number."""
    first, second = record(tmp_path, *steady(3)), record(tmp_path, *steady(5))
    assert second[0].name == "yard-20260304T050607Z-0002.mp4"
    assert [len(pictures_of(path)) for path in (*first, *second)] == [3, 5]


def test_a_recorder_without_frames_leaves_no_file(tmp_path: Path) -> None:
    """Closing is always allowed."""
    recorder = made(tmp_path)
    recorder.close()
    recorder.close()
    assert recorder.paths == ()
    assert list(tmp_path.iterdir()) == []


def test_problems_are_told_before_the_first_frame(tmp_path: Path) -> None:
    """A folder that is a file and a missing encoder are refused at once."""
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="is a file, and a folder is wanted"):
        made(tmp_path / "file")
    record = Record(dir=tmp_path).model_copy(update={"codec": "h266_dream"})
    with pytest.raises(MachineError, match="not in this FFmpeg"):
        Recorder(record, name="yard", fps=FPS, utc=UTC)


def test_an_image_that_no_encoder_takes_costs_the_video_and_not_the_index(tmp_path: Path) -> None:
    """RGB images of odd size cannot become video; that is told once."""
    said: list[str] = []
    odd = Image.from_rgb(np.zeros((47, 64, 3), np.uint8))
    with Recorder(
        Record(dir=tmp_path), name="yard", fps=FPS, utc=UTC, say=lambda *each: said.append(": ".join(each))
    ) as recorder:
        for number in range(3):
            frame = fused(number)
            facts = {name: getattr(frame, name) for name in FusedFrame.__slots__} | {"image": odd}
            assert not recorder.write(FusedFrame(**facts), now_ns=frame.capture_ns)
    (line,) = said
    assert line.startswith("warning: ")
    assert "even sides" in line
    assert line.endswith("not recorded: fused")


def test_the_objects_are_a_subtitle_track_when_asked_for(tmp_path: Path) -> None:
    """Each text is shown from its frame to the next; frames without objects have none."""
    found = [(), (PERSON,), (PERSON, PERSON), ()]
    frames = [fused(number, detections=detections) for number, detections in enumerate(found)]
    (path,) = record(tmp_path, *frames, subtitles=True)
    with av.open(str(path)) as container:
        texts = container.streams.subtitles[0]
        packets = [packet for packet in container.demux(texts) if packet.size > 2]
    shown = [(round(packet.pts * packet.time_base * FPS), bytes(packet)[2:].decode()) for packet in packets]
    assert [(at, text) for at, text in shown if text] == [
        (1, "person 0.88 #4"),
        (2, "person 0.88 #4\nperson 0.88 #4"),
    ]


def test_retention_makes_room_before_a_segment_begins(tmp_path: Path) -> None:
    """The oldest recordings go; the newest, what others write and clips of events stay."""
    (tmp_path / "events").mkdir()
    (tmp_path / "events" / "old.mp4").write_bytes(b"x" * 50_000)
    (tmp_path / "yard-20200101T000000Z-0001.mp4.part").write_bytes(b"x" * 5_000)
    held = (tmp_path / "yard-20200101T000000Z-0001.mp4.part").open("rb")
    with held:
        fcntl.flock(held, fcntl.LOCK_EX)
        retention = {"max_bytes": 20_000}
        paths = record(tmp_path, *steady(200), segment_s=1.0, retention=retention, codec="mpeg4")
    left = [path for path in paths if path.exists()]
    total = sum(path.stat().st_size for path in tmp_path.glob("yard*"))
    assert 0 < len(left) < len(paths)
    assert left == paths[-len(left) :]
    assert total < 20_000 + 12_000
    assert (tmp_path / "events" / "old.mp4").exists()
    assert (tmp_path / "yard-20200101T000000Z-0001.mp4.part").exists()
