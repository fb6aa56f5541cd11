"""A recording of our own as a source: its capture times, and what a crash leaves."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from streamfuse.clock import UtcLabel
from streamfuse.config.sources import SourceConfig
from streamfuse.core.clockfit import TimeSource
from streamfuse.errors import SourceError, SourceTruncatedError, UsageError
from streamfuse.frames import FusedFrame, Image, ImageSpec, PairState, PixelFormat, StreamName
from streamfuse.io.recorder import Recorder
from streamfuse.io.source import Source
from streamfuse.io.sources import open_source

START_NS = 5_000_000_000
UTC = UtcLabel(monotonic_ns=START_NS, utc_ns=1_772_600_767_250_000_000)
# A camera of 25 fps that is late now and then, with one long gap.
TIMES_MS = [0, 40, 83, 120, 160, 199, 240, 900, 940, 981, 1020, 1060]


def fused(number: int, capture_ns: int, size_wh: tuple[int, int] = (64, 48)) -> FusedFrame:
    """A frame whose luma is 20 times its number."""
    spec = ImageSpec(format=PixelFormat.YUV420P, size_wh=size_wh)
    image = Image(spec, tuple(np.full(shape, 20 * number, np.uint8) for shape in spec.plane_shapes))
    return FusedFrame(
        pair_id=number,
        state=PairState.MATCHED,
        image=image,
        capture_ns=capture_ns,
        fused_ns=capture_ns + 9,
        skew_ms=1.0,
        infrared_age_ms=1.0,
        visible_seq=number,
        infrared_seq=number,
    )


def record(
    folder: Path,
    times_ms: Iterable[int] = TIMES_MS,
    *,
    name: str = "yard",
    utc: UtcLabel = UTC,
    size_wh: tuple[int, int] = (64, 48),
) -> tuple[Path, ...]:
    """Record one frame for each time after the start of ``utc``, in segments of 0.5 s."""
    recorder = Recorder(folder, name=name, fps=25, utc=utc, segment_s=0.5, codec="libx264")
    for number, time_ms in enumerate(times_ms):
        recorder.write(fused(number, utc.monotonic_ns + time_ms * 1_000_000, size_wh))
    recorder.close()
    return recorder.paths


def opened(folder: Path, query: str = "", *, loop: bool = False) -> closing[Source]:
    """The recording of a folder as a source, closed in the end."""
    config = SourceConfig(uri=f"recording://{folder}{query}", loop=loop)
    return closing(open_source(config, stream=StreamName.VISIBLE))


def taken(source: Source, limit: int = 100) -> list[tuple[int, int]]:
    """Number and milliseconds of the frames to the end."""
    seen: list[tuple[int, int]] = []
    while len(seen) < limit and (frame := source.read()) is not None:
        seen.append((round(float(frame.image.planes[0].mean()) / 20), round(frame.pts_ns / 1e6)))
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
    assert len(record(tmp_path)) == 2
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
    record(tmp_path)
    with opened(tmp_path) as source:
        source.skip(9)
        assert taken(source) == list(enumerate(TIMES_MS))[9:]
    with opened(tmp_path, loop=True) as source:
        source.skip(len(TIMES_MS) + 1)
        assert taken(source, 2) == [(1, 1060 + 40 + 40), (2, 1060 + 40 + 83)]


def test_a_recording_over_a_restart_of_the_machine(tmp_path: Path) -> None:
    """Monotonic time begins anew; the gap is that of the UTC, and times rise."""
    record(tmp_path, [0, 40])
    record(tmp_path, [0, 40], utc=UtcLabel(monotonic_ns=7, utc_ns=UTC.utc_ns + 60_000_000_000))
    with opened(tmp_path) as source:
        assert taken(source) == [(0, 0), (1, 40), (0, 60_000), (1, 60_040)]


def test_a_crash_is_told_at_the_end(tmp_path: Path) -> None:
    """Lines without a picture, a line cut short and a file alone: what is there plays, then one error."""
    paths = record(tmp_path)
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
    first, second = record(tmp_path, [0, 40, 80, 500, 550])
    second.write_bytes(first.read_bytes())
    with opened(tmp_path) as source, pytest.raises(SourceError, match="is not in its index"):
        taken(source)


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
    [("?stream=infrared", "infrared is not recorded"), ("?speed=2", "unknown key speed")],
)
def test_what_cannot_be_asked_for(tmp_path: Path, query: str, words: str) -> None:
    """The query knows two keys."""
    with pytest.raises(UsageError, match=words):
        opened(tmp_path, query)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "holds no whole segment"),
        ({"a.mp4.part": "x", "b.mp4": "x"}, "holds no whole segment"),
        ({"a.mp4": "x", "a.jsonl": "no\n"}, "a.jsonl is no index of version 1"),
        ({"a.mp4": "x", "a.jsonl": '{"streamfuse_index":99}\n'}, "its version is 99"),
        ({"a.mp4": "x", "a.jsonl": ""}, "a.jsonl is no index of version 1"),
    ],
)
def test_what_is_no_recording(tmp_path: Path, files: dict[str, str], words: str) -> None:
    """Nothing, parts, and files of somebody else are told in one sentence."""
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(SourceError, match=words):
        opened(tmp_path)


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    """The message says that it cannot be listed."""
    with pytest.raises(SourceError, match="cannot be listed"):
        opened(tmp_path / "gone")
