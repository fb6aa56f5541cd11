"""Measuring fused videos against their sources."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from streamfuse.errors import SourceError, SourceTruncatedError, UsageError
from streamfuse.frames import Image
from streamfuse.io.images import write_png
from streamfuse.jobs.evaluating.video import VideoEvaluation, evaluate_videos
from streamfuse.metrics.temporal import TemporalMeter

Gray = npt.NDArray[np.uint8]

SIZE_WH = (64, 48)


def grain(frames: int, seed: int) -> Gray:
    """Noise, NxHxW."""
    width, height = SIZE_WH
    return np.random.default_rng(seed).integers(0, 256, (frames, height, width)).astype(np.uint8)


def folder(path: Path, frames: Iterable[npt.NDArray[np.uint8] | npt.NDArray[np.uint16]]) -> Path:
    """Frames as grey PNG files, which change nothing."""
    path.mkdir(parents=True)
    for number, frame in enumerate(frames):
        write_png(path / f"{number}.png", Image.from_gray(frame))
    return path


def video(path: Path, frames: int, *, size_wh: tuple[int, int] = SIZE_WH, index_at_end: bool = True) -> Path:
    """A small MP4 of noise, or a Matroska file, which does not say how many frames it has."""
    with av.open(path, "w", options={} if index_at_end else {"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height = size_wh
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, 25)
        for number in range(frames):
            pixels = np.random.default_rng(number).integers(0, 256, (size_wh[1], size_wh[0], 3), np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def job(visible: Path, infrared: Path, *fused: Path) -> VideoEvaluation:
    """What to compare."""
    return VideoEvaluation(visible=visible, infrared=infrared, fused=fused)


def test_each_fused_video_is_measured_against_the_same_sources(tmp_path: Path) -> None:
    """What comes out is what the meter says of the same frames; the account tells the progress."""
    visible, infrared, other = (grain(5, seed) for seed in range(3))
    sets = {"max": np.maximum(visible, infrared), "noise": other}
    fused = [folder(tmp_path / name, frames) for name, frames in sets.items()]
    seen = []
    report = evaluate_videos(
        job(folder(tmp_path / "v", visible), folder(tmp_path / "i", infrared), *fused),
        on_progress=lambda *step: seen.append(step),
    )
    assert report.frame_count == 5
    assert seen == [(done, 5) for done in range(6)]
    for name, frames in sets.items():
        meter = TemporalMeter()
        for v, i, f in zip(visible, infrared, frames, strict=True):
            meter.add(visible=v, infrared=i, fused=f)
        assert report.sets[name].mean() == meter.report().mean()
    assert report.sets["max"].mean()["flicker"] == 0 < report.sets["noise"].mean()["flicker"]


def test_the_report_has_the_promised_keys(tmp_path: Path) -> None:
    """Sets by file name with means, worst frames and all frames."""
    paths = [video(tmp_path / name, 4) for name in ("v.mp4", "i.mp4", "f.mp4")]
    values = evaluate_videos(job(*paths)).as_dict()
    assert values["frame_count"] == 4
    sets = values["sets"]
    assert isinstance(sets, dict)
    assert list(sets) == ["f.mp4"]
    assert list(sets["f.mp4"]) == ["mean", "worst", "frames"]
    assert sets["f.mp4"]["mean"]["flicker"] == 0, "it is the visible video"
    assert {name: len(series) for name, series in sets["f.mp4"]["frames"].items()} == {
        "flicker": 3,
        "jitter": 2,
        "SD": 4,
    }


def test_fewer_fused_frames_are_refused_at_once(tmp_path: Path) -> None:
    """A fused video that left out frames without a partner cannot be compared frame by frame."""
    paths = [video(tmp_path / name, count) for name, count in [("v.mp4", 9), ("i.mp4", 9), ("f.mp4", 7)]]
    with pytest.raises(
        UsageError, match=r"numbers of frames differ: .*v.mp4 9, .*i.mp4 9, .*f.mp4 7; .* have a partner"
    ):
        evaluate_videos(job(*paths))


def test_unequal_lengths_are_found_where_no_header_tells_them(tmp_path: Path) -> None:
    """Matroska has no count of frames; the end tells."""
    paths = [video(tmp_path / name, count) for name, count in [("v.mkv", 6), ("i.mkv", 6), ("f.mkv", 4)]]
    with pytest.raises(UsageError, match=r"f.mkv ends after 4 frames and others go on; .* have a partner"):
        evaluate_videos(job(*paths))


def test_other_sizes_are_refused(tmp_path: Path) -> None:
    """Both sizes are named."""
    paths = [video(tmp_path / "v.mp4", 3), video(tmp_path / "i.mp4", 3, size_wh=(32, 48))]
    with pytest.raises(UsageError, match=r"i.mp4 is 32x48 and .*v.mp4 64x48"):
        evaluate_videos(job(*paths, paths[0]))


def test_a_video_that_is_cut_short_is_no_short_video(tmp_path: Path) -> None:
    """A broken download is not measured as if it were whole, and too short a video is refused."""
    paths = [video(tmp_path / name, 30, index_at_end=False) for name in ("v.mp4", "i.mp4", "f.mp4")]
    whole = paths[2].read_bytes()
    paths[2].write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceTruncatedError, match=r"f.mp4: ends after \d+ of 30 frames"):
        evaluate_videos(job(*paths))
    with pytest.raises(UsageError, match="needs 3 frames"):
        evaluate_videos(job(*[video(tmp_path / f"short-{name}.mp4", 2) for name in "vif"]))


def test_only_infrared_may_have_16_bits(tmp_path: Path) -> None:
    """Thermal counts are brought to 8 bits without pumping; a fused video of counts is a mistake."""
    counts = folder(tmp_path / "counts", grain(4, 1).astype(np.uint16) * 8 + 30_000)
    plain = folder(tmp_path / "plain", grain(4, 2))
    assert evaluate_videos(job(plain, counts, plain)).sets["plain"].mean()["flicker"] == 0
    with pytest.raises(UsageError, match=r"counts has 16-bit samples, which only the infrared"):
        evaluate_videos(job(plain, plain, counts))


def test_jobs_that_cannot_be_done_are_refused(tmp_path: Path) -> None:
    """No fused video, one twice, one that is not there."""
    with pytest.raises(UsageError, match="at least one fused video"):
        job(tmp_path, tmp_path)
    with pytest.raises(UsageError, match="given twice"):
        job(tmp_path, tmp_path, tmp_path / "f.mp4", tmp_path / "f.mp4")
    with pytest.raises(SourceError, match=r"none.mp4"):
        evaluate_videos(job(tmp_path / "none.mp4", tmp_path, tmp_path))


def test_real_sources_do_not_flicker_against_themselves(data_dir: Path) -> None:
    """The clips are synchronous: either source passes for a fused video without flicker and jitter."""
    sources = [data_dir / "m3svd" / "video" / side / "0111_1716.mp4" for side in ("visible", "infrared")]
    report = evaluate_videos(job(*sources, *sources))
    assert list(report.sets) == ["visible/0111_1716.mp4", "infrared/0111_1716.mp4"]
    for measured in report.sets.values():
        means = measured.mean()
        assert (means["flicker"], means["jitter"]) == (0, 0)
        assert means["SD"] > 10
