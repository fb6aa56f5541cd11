"""What calibrations look at: stills, folders, recordings, pipeline files and cameras."""

from __future__ import annotations

import logging
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from servers import StartRtsp

from streamfuse.clock import SystemClock
from streamfuse.errors import SourceError, UsageError
from streamfuse.frames import Image, StreamName
from streamfuse.io.images import write_png
from streamfuse.jobs.calibrating.live_view import LiveView
from streamfuse.jobs.calibrating.pictures import (
    is_camera,
    read_pairs,
    read_pictures,
    source_of,
)

VISIBLE, INFRARED = StreamName.VISIBLE, StreamName.INFRARED


def stills(folder: Path, numbers: range, *, dtype: type = np.uint8) -> Path:
    """One grey level per picture."""
    folder.mkdir()
    for number in numbers:
        write_png(folder / f"{number}.png", Image.from_gray(np.full((8, 10), number, dtype)))
    return folder


def video(path: Path, *, frames: int, fps: int, level: Callable[[int], int]) -> Path:
    """A plain MP4, whose index of all frames comes first; each frame is of one grey level and grain."""
    grain = np.random.default_rng(1).integers(0, 12, (48, 64, 3))
    with av.open(path, "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, fps)
        for number in range(frames):
            pixels = (np.roll(grain, number, axis=1) + level(number)).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_a_folder_gives_its_pictures_in_order_as_they_are_stored(tmp_path: Path) -> None:
    """16-bit counts stay what they are, and file names name the pictures."""
    folder = stills(tmp_path / "raw", range(9, 12), dtype=np.uint16)
    pictures = list(read_pictures(str(folder), INFRARED))
    assert [picture.name for picture in pictures] == ["9.png", "10.png", "11.png"]
    assert [picture.counts.dtype for picture in pictures] == [np.uint16] * 3
    assert [int(picture.counts[0, 0]) for picture in pictures] == [9, 10, 11]
    assert pictures[0].gray.dtype == np.uint8


def test_of_many_pictures_some_are_taken_evenly_and_it_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is left out without a word."""
    folder = stills(tmp_path / "many", range(10))
    with caplog.at_level(logging.WARNING):
        names = [picture.name for picture in read_pictures(str(folder), VISIBLE, most=3)]
    assert names == ["0.png", "3.png", "6.png"]
    assert "10 pictures are there, 3 of them are used" in caplog.text


def test_a_video_is_looked_at_from_its_beginning_to_its_end(tmp_path: Path) -> None:
    """Its frames are named by their times."""
    path = video(tmp_path / "v.mp4", frames=40, fps=20, level=lambda number: 5 * number)
    pictures = list(read_pictures(str(path), VISIBLE, most=4))
    assert [picture.name for picture in pictures] == ["0.00 s", "0.50 s", "1.00 s", "1.50 s"]
    assert [round((float(picture.gray.mean()) - 6) / 50) for picture in pictures] == [0, 1, 2, 3]


def test_frames_of_two_videos_are_paired_by_time(tmp_path: Path) -> None:
    """Different rates, and both show one moment."""
    visible = video(tmp_path / "v.mp4", frames=40, fps=20, level=lambda number: 5 * number)
    infrared = video(tmp_path / "i.mp4", frames=20, fps=10, level=lambda number: 10 * number)
    pairs = list(read_pairs(str(visible), str(infrared), most=4))
    assert [pair.name for pair in pairs] == ["0.00 s", "0.50 s", "1.00 s", "1.50 s"]
    for pair in pairs:
        assert pair.visible.gray.mean() == pytest.approx(pair.infrared.gray.mean(), abs=3)


def test_a_video_that_is_cut_short_serves_up_to_its_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What can be read is used, with a warning."""
    path = video(tmp_path / "v.mp4", frames=40, fps=20, level=lambda number: 5 * number)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    with caplog.at_level(logging.WARNING):
        count = len(list(read_pictures(str(cut), VISIBLE, most=40)))
    assert 0 < count < 40
    assert "the frames before that are used" in caplog.text


def test_stills_are_paired_by_name_and_lonely_ones_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Folders need not be complete, but it is said."""
    visible, infrared = stills(tmp_path / "v", range(5)), stills(tmp_path / "i", range(2, 6))
    with caplog.at_level(logging.WARNING):
        pairs = list(read_pairs(str(visible), str(infrared)))
    assert [(pair.visible.name, pair.infrared.name) for pair in pairs] == [
        (f"{number}.png", f"{number}.png") for number in (2, 3, 4)
    ]
    assert "3 pictures have no partner" in caplog.text


def test_two_single_images_are_a_pair(tmp_path: Path) -> None:
    """Whatever their names."""
    folder = stills(tmp_path / "s", range(2))
    (pair,) = read_pairs(str(folder / "0.png"), str(folder / "1.png"))
    assert (pair.name, pair.infrared.name) == ("0.png", "1.png")


def test_locations_of_two_kinds_are_refused(tmp_path: Path) -> None:
    """A folder and an image make no pairs."""
    folder = stills(tmp_path / "s", range(2))
    with pytest.raises(UsageError, match="visible is a folder of images and infrared is an image"):
        next(read_pairs(str(folder), str(folder / "0.png")))


def test_a_pipeline_file_stands_for_its_sources(tmp_path: Path) -> None:
    """With all the options its cameras have there."""
    pipeline = tmp_path / "p.yaml"
    pipeline.write_text(
        "name: p\nsources:\n  visible: {uri: 'synthetic://street?seed=1'}\n"
        "  infrared: {uri: 'rtsp://10.0.0.1/live', transport: udp}\nrig: identity\n"
    )
    assert source_of(str(pipeline), VISIBLE).uri == "synthetic://street?seed=1"
    assert source_of(str(pipeline), INFRARED).transport == "udp"
    assert not is_camera(str(pipeline), VISIBLE)
    assert is_camera(str(pipeline), INFRARED)


@pytest.mark.timeout(60)
def test_two_cameras_give_pictures_of_one_moment(rtsp: StartRtsp) -> None:
    """A real server, two readers: captured within the bound, and never twice the same."""
    uri = rtsp().uri
    sources = {stream: source_of(uri, stream) for stream in StreamName}
    with LiveView(sources, clock=SystemClock(), max_skew_ms=60) as view:
        moments = [view.next(20.0) for _ in range(5)]
    seen = [moment for moment in moments if moment is not None]
    assert len(seen) == 5
    for moment in seen:
        assert abs(moment[VISIBLE].capture_ns - moment[INFRARED].capture_ns) <= 60e6
    times_ns = [moment[VISIBLE].capture_ns for moment in seen]
    assert times_ns == sorted(set(times_ns))


def test_a_scene_without_end_is_looked_at_once_a_second() -> None:
    """What lies between is not drawn; the infrared camera may be late, and have a rate of its own."""
    scene = "synthetic://board?size=320x240&skew_ms=130"
    pairs = list(read_pairs(scene, scene, most=4))
    assert [pair.name for pair in pairs] == ["1.00 s", "2.00 s", "3.00 s"]
    for pair in pairs:
        assert pair.visible.pts_ns is not None
        assert pair.infrared.pts_ns is not None
        assert abs(pair.visible.pts_ns - pair.infrared.pts_ns) < 25e6
    names = [picture.name for picture in read_pictures(scene, VISIBLE, most=3)]
    assert names == ["0.00 s", "1.00 s", "2.00 s"]


def test_stills_that_cannot_be_read_are_told_and_left_out(tmp_path: Path) -> None:
    """One that is cut and one with alpha; without a listener the first is an error."""
    visible, infrared = stills(tmp_path / "v", range(4)), stills(tmp_path / "i", range(4))
    (visible / "1.png").write_bytes((visible / "1.png").read_bytes()[:30])
    cv2.imwrite(str(infrared / "2.png"), np.zeros((8, 10, 4), np.uint8))
    told: dict[str, tuple[StreamName, str]] = {}

    def note(stream: StreamName, name: str, reason: str) -> None:
        told[name] = stream, reason

    pairs = list(read_pairs(str(visible), str(infrared), on_unreadable=note))
    assert [pair.name for pair in pairs] == ["0.png", "3.png"]
    assert told["1.png"][0] is VISIBLE
    assert told["1.png"][1].startswith("is no whole image")
    assert told["2.png"][0] is INFRARED
    assert "4 channels" in told["2.png"][1]
    assert [each.name for each in read_pictures(str(visible), VISIBLE, on_unreadable=note)] == [
        "0.png",
        "2.png",
        "3.png",
    ]
    with pytest.raises(SourceError, match="no whole image"):
        list(read_pictures(str(visible), VISIBLE))
