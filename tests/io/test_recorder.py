"""The recorder: segments, index, and what a crash leaves."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamfuse.clock import UtcLabel
from streamfuse.core.pair_record import pair_record
from streamfuse.errors import MachineError, OutputError
from streamfuse.frames import Detection, FusedFrame, Image, ImageSpec, PairState, PixelFormat, StreamName
from streamfuse.io.media import VideoSource
from streamfuse.io.recorder import INDEX_SCHEMA, Recorder

FPS = 30
NS_PER_FRAME = 1_000_000_000 // FPS
START_NS = 5_000_000_000
# 2026-03-04 05:06:07.250 UTC at START_NS.
UTC = UtcLabel(monotonic_ns=START_NS, utc_ns=1_772_600_767_250_000_000)
PERSON = Detection(
    box_xyxy=(10.0, 12.5, 30.004, 60.0),
    class_id=0,
    class_name="person",
    confidence=0.87654,
    track_id=4,
    mask_rle=(3, 2, 5),
)


def fused(
    index: int, *, size_wh: tuple[int, int] = (64, 48), capture_ns: int | None = None, **facts: Any
) -> FusedFrame:
    """Frame number ``index`` of a steady stream; its luma is its number."""
    spec = ImageSpec(format=PixelFormat.YUV420P, size_wh=size_wh)
    image = Image(spec, tuple(np.full(shape, 16 + index % 200, np.uint8) for shape in spec.plane_shapes))
    capture_ns = START_NS + index * NS_PER_FRAME if capture_ns is None else capture_ns
    story: dict[str, Any] = {
        "state": PairState.MATCHED,
        "skew_ms": 1.25,
        "infrared_age_ms": 0.0,
        "visible_seq": index,
        "infrared_seq": index + 7,
        **facts,
    }
    return FusedFrame(pair_id=index, image=image, capture_ns=capture_ns, fused_ns=capture_ns + 9, **story)


def record(folder: Path, count: int, **options: Any) -> Recorder:
    """Record ``count`` steady frames and close."""
    recorder = Recorder(folder, name="yard", fps=FPS, utc=UTC, **options)
    for index in range(count):
        recorder.write(fused(index))
    recorder.close()
    return recorder


def index_of(video: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Header and lines of the index beside a video."""
    header, *lines = (json.loads(line) for line in video.with_suffix(".jsonl").read_text().splitlines())
    return header, lines


def decode(video: Path) -> list[tuple[int, int]]:
    """(time in ns, luma) of every frame."""
    source = VideoSource(video, stream=StreamName.VISIBLE)
    try:
        return [
            (frame.pts_ns, int(frame.image.planes[0][0, 0])) for frame in iter(source.read, None) if frame
        ]
    finally:
        source.close()


def test_video_and_index_hold_the_same_frames(tmp_path: Path) -> None:
    """Frame by frame, the index has the time that the video has."""
    (path,) = record(tmp_path / "a/b", 40).paths
    _, lines = index_of(path)
    frames = decode(path)
    assert len(frames) == len(lines) == 40
    np.testing.assert_allclose(
        [pts / 1e6 for pts, _ in frames], [line["pts_ms"] for line in lines], atol=0.02
    )
    assert [line["pair_id"] for line in lines] == list(range(40))
    np.testing.assert_allclose([luma for _, luma in frames], 16 + np.arange(40), atol=3)


def test_names_and_header(tmp_path: Path) -> None:
    """A segment is named by pipeline, UTC of its first frame and number; the header tells what it is."""
    (path,) = record(tmp_path, 2).paths
    assert path == tmp_path / "yard-20260304T050607Z-0001.mp4"
    header, _ = index_of(path)
    assert header == {
        "streamfuse_index": INDEX_SCHEMA,
        "pipeline": "yard",
        "video": path.name,
        "size_wh": [64, 48],
        "fps": FPS,
        "codec": header["codec"],
        "start_utc": "2026-03-04T05:06:07.250Z",
        "start_capture_ns": START_NS,
    }


def test_a_line_is_the_event_of_its_frame(tmp_path: Path) -> None:
    """The index holds what the publishers send, with the place in the video."""
    frame = fused(
        3,
        state=PairState.VISIBLE_ONLY,
        skew_ms=None,
        infrared_age_ms=None,
        infrared_seq=None,
        detections=(PERSON,),
    )
    recorder = Recorder(tmp_path, name="yard", fps=FPS, utc=UTC)
    recorder.write(frame)
    recorder.close()
    _, (line,) = index_of(recorder.paths[0])
    assert line == {"pts_ms": 0.0, **pair_record(frame, UTC)}
    assert line["detections"][0]["class"] == "person"
    assert line["state"] == "visible_only"


def test_segments_are_cut_on_time_without_a_lost_frame(tmp_path: Path) -> None:
    """Every frame is in exactly one segment, and each segment starts at 0."""
    recorder = record(tmp_path, 100, segment_s=1.0)
    assert [path.name for path in recorder.paths] == [
        f"yard-20260304T0506{second:02d}Z-{number:04d}.mp4"
        for number, second in enumerate((7, 8, 9, 10), start=1)
    ]
    indexes = [index_of(path)[1] for path in recorder.paths]
    assert [len(lines) for lines in indexes] == [31, 31, 31, 7]
    assert [line["pair_id"] for lines in indexes for line in lines] == list(range(100))
    for path, lines in zip(recorder.paths, indexes, strict=True):
        assert len(decode(path)) == len(lines)
        assert lines[0]["pts_ms"] == 0


def test_another_size_begins_another_segment(tmp_path: Path) -> None:
    """A camera that changes its size does not stop the recording."""
    recorder = Recorder(tmp_path, name="yard", fps=FPS, utc=UTC)
    for index, size_wh in enumerate([(64, 48), (64, 48), (96, 48)]):
        recorder.write(fused(index, size_wh=size_wh))
    recorder.close()
    assert [index_of(path)[0]["size_wh"] for path in recorder.paths] == [[64, 48], [96, 48]]


def test_capture_times_that_do_not_rise_are_shown_in_order(tmp_path: Path) -> None:
    """Two frames of one moment both stay; the index has their true times."""
    times = [START_NS, START_NS + 50_000_000, START_NS + 50_000_000, START_NS + 20_000_000]
    recorder = Recorder(tmp_path, name="yard", fps=FPS, utc=UTC)
    for index, capture_ns in enumerate(times):
        recorder.write(fused(index, capture_ns=capture_ns))
    recorder.close()
    _, lines = index_of(recorder.paths[0])
    assert [line["pts_ms"] for line in lines] == [0, 50, 51, 52]
    assert [line["capture_ns"] for line in lines] == times
    assert len(decode(recorder.paths[0])) == 4


def test_a_second_recorder_does_not_overwrite_the_first(tmp_path: Path) -> None:
    """A worker that is started again within the second takes the next number."""
    first, second = record(tmp_path, 3), record(tmp_path, 5)
    assert second.paths[0].name == "yard-20260304T050607Z-0002.mp4"
    assert [len(decode(path)) for path in (*first.paths, *second.paths)] == [3, 5]


def test_a_name_that_is_no_file_name_is_mended(tmp_path: Path) -> None:
    """Slashes and blanks of a pipeline name do not reach the file system."""
    recorder = Recorder(tmp_path, name="../my yard", fps=FPS, utc=UTC)
    recorder.write(fused(0))
    recorder.close()
    assert recorder.paths[0] == tmp_path / "..-my-yard-20260304T050607Z-0001.mp4"


def test_a_recorder_without_frames_leaves_no_file(tmp_path: Path) -> None:
    """Closing is always allowed."""
    recorder = Recorder(tmp_path, name="yard", fps=FPS, utc=UTC)
    recorder.close()
    recorder.close()
    assert recorder.paths == ()
    assert list(tmp_path.iterdir()) == []


def test_problems_are_told_before_the_first_frame(tmp_path: Path) -> None:
    """A folder that is a file, a missing encoder and a length of nothing are refused at once."""
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="is a file, and a folder is wanted"):
        Recorder(tmp_path / "file", name="yard", fps=FPS, utc=UTC)
    with pytest.raises(MachineError, match="not in this FFmpeg"):
        Recorder(tmp_path, name="yard", fps=FPS, utc=UTC, codec="h266_dream")
    with pytest.raises(ValueError, match="longer than 0 s"):
        Recorder(tmp_path, name="yard", fps=FPS, utc=UTC, segment_s=0)


def test_odd_sides_are_told_and_leave_no_file(tmp_path: Path) -> None:
    """RGB images of odd size cannot become video."""
    recorder = Recorder(tmp_path, name="yard", fps=FPS, utc=UTC)
    frame = fused(0)
    odd = FusedFrame(
        **{name: getattr(frame, name) for name in ("pair_id", "state", "capture_ns", "fused_ns", "skew_ms")},
        image=Image.from_rgb(np.zeros((47, 64, 3), np.uint8)),
        infrared_age_ms=None,
        visible_seq=0,
        infrared_seq=0,
    )
    with pytest.raises(OutputError, match="even sides"):
        recorder.write(odd)
    recorder.close()
    assert list(tmp_path.iterdir()) == []


def test_a_lost_folder_costs_frames_but_not_the_recorder(tmp_path: Path) -> None:
    """While the folder is away every write raises; once it is back the next frame begins a segment."""
    folder = tmp_path / "usb"
    recorder = Recorder(folder, name="yard", fps=FPS, utc=UTC)
    folder.rmdir()
    with pytest.raises(OutputError, match="No such file"):
        recorder.write(fused(0))
    folder.mkdir()
    recorder.write(fused(1))
    recorder.close()
    assert [line["pair_id"] for line in index_of(recorder.paths[0])[1]] == [1]


CHILD = """
    import sys
    from pathlib import Path
    import numpy as np
    from streamfuse.clock import UtcLabel
    from streamfuse.frames import FusedFrame, Image, ImageSpec, PairState, PixelFormat
    from streamfuse.io.recorder import Recorder

    spec = ImageSpec(format=PixelFormat.YUV420P, size_wh=(320, 240))
    ramp = np.add.outer(np.arange(240), np.arange(320))
    gray = [np.full(shape, 128, np.uint8) for shape in spec.plane_shapes[1:]]
    limit = int(sys.argv[2])
    if limit:
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    recorder = Recorder(Path(sys.argv[1]), name="yard", fps=30, utc=UtcLabel(monotonic_ns=0, utc_ns=0))
    for index in range(10_000):
        luma = (40 + (ramp + index) % 160).astype(np.uint8)  # moves smoothly: key frames are rare
        image = Image(spec, (luma, *gray))
        recorder.write(FusedFrame(
            pair_id=index, state=PairState.MATCHED, image=image, capture_ns=index * 33_333_333, fused_ns=0,
            skew_ms=0.0, infrared_age_ms=0.0, visible_seq=index, infrared_seq=index,
        ))
        sys.stdout.write(f"{index}\\n")
        sys.stdout.flush()
"""


def start_child(folder: Path, limit_bytes: int = 0) -> subprocess.Popen[str]:
    """A process that records at full speed and tells the number of each frame that was taken."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(CHILD), str(folder), str(limit_bytes)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("last", [47, 100])
def test_kill_9_costs_at_most_a_second(tmp_path: Path, last: int) -> None:
    """After SIGKILL the video decodes, lacks no more than its last second, and every index line is whole."""
    with start_child(tmp_path) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if int(line) >= last:
                child.send_signal(signal.SIGKILL)
                break
        told = [int(line) for line in child.stdout.readlines() if line.endswith("\n")]
    taken = (told[-1] if told else last) + 1
    (path,) = tmp_path.glob("*.mp4")
    frames = decode(path)
    _, lines = index_of(path)
    assert child.returncode == -signal.SIGKILL
    assert taken - len(frames) <= 31  # a second, and one frame that the kill may have met
    assert taken <= len(lines) <= taken + 1
    assert [line["pair_id"] for line in lines] == list(range(len(lines)))
    np.testing.assert_allclose(
        [pts / 1e6 for pts, _ in frames], [line["pts_ms"] for line in lines[: len(frames)]], atol=0.02
    )


def test_a_full_disk_is_an_output_error(tmp_path: Path) -> None:
    """The frame that finds no room raises; what was recorded before stays readable."""
    with start_child(tmp_path, limit_bytes=40_000) as child:
        out, err = child.communicate(timeout=60)
    taken = len(out.splitlines())
    assert "OutputError" in err.splitlines()[-1]
    assert "cannot be written (File too large)" in err.splitlines()[-1]
    (path,) = tmp_path.glob("*.mp4")
    source = VideoSource(path, stream=StreamName.VISIBLE)
    source.skip(taken - 31)
    assert source.read() is not None
    source.close()


def test_a_disk_without_any_room_leaves_no_empty_files(tmp_path: Path) -> None:
    """A segment that cannot even be begun is removed, lest every frame leave one."""
    with start_child(tmp_path, limit_bytes=500) as child:
        _, err = child.communicate(timeout=60)
    assert "cannot be written (File too large)" in err
    assert list(tmp_path.iterdir()) == []
