"""Offline fusion of videos: paired in time, whole files only, truncation told."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from streamfuse.engine.fusion import FusionEngine, Mode
from streamfuse.errors import SourceTruncatedError, UsageError
from streamfuse.jobs.fuse import FuseJob, fuse


@pytest.fixture(scope="module")
def engine() -> Iterator[FusionEngine]:
    """The shipped network in float32."""
    with FusionEngine.load(backend="openvino", precision="float32") as engine:
        yield engine


def picture(number: int, size_wh: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Grain of its own for each frame, so that all take the same room in a file."""
    width, height = size_wh
    return np.random.default_rng(number).integers(0, 256, (height, width, 3), np.uint8)


def write_video(
    path: Path, frames: int, *, fps: int = 25, size_wh: tuple[int, int] = (64, 48), raw_counts: bool = False
) -> Path:
    """A plain MP4, whose index of all frames comes first; or lossless 16-bit grey in Matroska."""
    codec, pixels = ("ffv1", "gray16le") if raw_counts else ("libx264", "yuv420p")
    options = {} if raw_counts else {"movflags": "faststart"}
    with av.open(path, "w", options=options) as container:
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height = size_wh
        stream.pix_fmt = pixels
        stream.codec_context.time_base = Fraction(1, fps)
        for number in range(frames):
            rgb = picture(number, size_wh)
            if raw_counts:
                frame = av.VideoFrame.from_ndarray(rgb[..., 0].astype(np.uint16) + 30_000, format="gray16le")
            else:
                frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def times_ms(path: Path) -> list[int]:
    """Presentation times of the frames of a video."""
    with av.open(path) as container:
        return [round(frame.pts * frame.time_base * 1000) for frame in container.decode(video=0)]


def job_in(folder: Path, *, mode: Mode = Mode.STREAM, overwrite: bool = False) -> FuseJob:
    """The videos v and i of a folder."""
    (infrared,) = folder.glob("i.*")
    return FuseJob(
        visible=folder / "v.mp4",
        infrared=infrared,
        out=folder / "fused.mp4",
        mode=mode,
        batch=3,
        overwrite=overwrite,
    )


@pytest.mark.parametrize("mode", Mode)
def test_one_video_of_two(tmp_path: Path, engine: FusionEngine, mode: Mode) -> None:
    """Every frame is fused and keeps its time; nothing half written is left beside the result."""
    write_video(tmp_path / "v.mp4", 7)
    write_video(tmp_path / "i.mp4", 7)
    told: list[tuple[int, int | None]] = []
    report = fuse(job_in(tmp_path, mode=mode), engine, on_progress=lambda *progress: told.append(progress))
    report.check()
    assert (report.written, report.unmatched) == (7, ())
    assert times_ms(report.out) == [0, 40, 80, 120, 160, 200, 240]
    assert told == [(0, 7), (3, 7), (6, 7), (7, 7)]
    assert {path.name for path in tmp_path.iterdir()} == {"v.mp4", "i.mp4", "fused.mp4"}


def test_a_slower_infrared_camera(tmp_path: Path, engine: FusionEngine) -> None:
    """A visible frame takes the nearest infrared frame, at most half an infrared period away."""
    write_video(tmp_path / "v.mp4", 12, fps=30)
    write_video(tmp_path / "i.mp4", 4, fps=10)
    report = fuse(job_in(tmp_path), engine)
    assert (report.written, report.unmatched) == (11, ("frame 11",))


def test_raw_thermal_video(tmp_path: Path, engine: FusionEngine) -> None:
    """Counts of 16 bits are brought to 8 on the way."""
    write_video(tmp_path / "v.mp4", 3)
    write_video(tmp_path / "i.mkv", 3, raw_counts=True)
    report = fuse(job_in(tmp_path), engine)
    report.check()
    assert report.written == 3


def test_visible_frames_without_infrared_are_named(tmp_path: Path, engine: FusionEngine) -> None:
    """Where infrared ends first, the rest is listed and not written: it would not be fused."""
    write_video(tmp_path / "v.mp4", 6)
    write_video(tmp_path / "i.mp4", 4)
    report = fuse(job_in(tmp_path), engine)
    report.check()
    assert report.written == 4
    assert report.unmatched == ("frame 4", "frame 5")


def test_a_video_that_is_cut_short(tmp_path: Path, engine: FusionEngine) -> None:
    """What is there is fused and kept, and the report does not pass."""
    write_video(tmp_path / "v.mp4", 12)
    whole = write_video(tmp_path / "whole.mp4", 12).read_bytes()
    (tmp_path / "i.mp4").write_bytes(whole[: len(whole) * 6 // 10])
    report = fuse(job_in(tmp_path), engine)
    assert 2 <= report.written < 12
    assert len(times_ms(report.out)) == report.written
    assert report.written + len(report.unmatched) == 12
    with pytest.raises(SourceTruncatedError, match="infrared"):
        report.check()


def test_results_are_not_replaced_unasked(tmp_path: Path, engine: FusionEngine) -> None:
    """An existing file stays, even when the job that may replace it fails."""
    write_video(tmp_path / "v.mp4", 2)
    write_video(tmp_path / "i.mp4", 2, size_wh=(32, 48))
    out = tmp_path / "fused.mp4"
    out.write_bytes(b"mine")
    with pytest.raises(UsageError, match=r"fused\.mp4 exists; add --overwrite"):
        fuse(job_in(tmp_path), engine)
    with pytest.raises(UsageError, match="visible video is 64x48 and the infrared one 32x48; register"):
        fuse(job_in(tmp_path, overwrite=True), engine)
    assert out.read_bytes() == b"mine"
    write_video(tmp_path / "i.mp4", 2)
    assert fuse(job_in(tmp_path, overwrite=True), engine).written == 2
    assert len(times_ms(out)) == 2


def test_the_result_is_an_mp4(tmp_path: Path, engine: FusionEngine) -> None:
    """Another suffix is refused before any work."""
    paths = (write_video(tmp_path / name, 2) for name in ("v.mp4", "i.mp4"))
    with pytest.raises(UsageError, match=r"must end in \.mp4"):
        fuse(FuseJob(visible=next(paths), infrared=next(paths), out=tmp_path / "out.avi"), engine)
