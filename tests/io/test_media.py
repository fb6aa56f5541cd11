"""Video files as sources: form, times, damage."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from av.video.reformatter import ColorRange as AvRange
from av.video.reformatter import Colorspace as AvMatrix

from streamfuse.errors import SourceError, SourceTruncatedError
from streamfuse.frames import ColorMatrix, ColorRange, PixelFormat, StreamName
from streamfuse.io.media import VideoSource
from streamfuse.io.source import SourceFrame

SIZE = (322, 242)  # neither side a multiple of 16 or 64, so that FFmpeg pads its rows


def rows_of(frame: av.VideoFrame, index: int) -> npt.NDArray[Any]:
    """One plane of a frame as a writable view without the padding; 16 bits for deep grey."""
    plane: Any = frame.planes[index]
    dtype = np.dtype(np.uint16 if frame.format.name in {"gray10le", "gray16le"} else np.uint8)
    padded = np.frombuffer(plane, dtype).reshape(-1, plane.line_size // dtype.itemsize)
    return padded[: plane.height, : plane.width]


def picture(index: int, size_wh: tuple[int, int] = SIZE, pix_fmt: str = "yuv420p") -> av.VideoFrame:
    """A moving gradient with noise, so that every frame has bytes worth losing."""
    rng = np.random.default_rng(index)
    frame = av.VideoFrame(*size_wh, pix_fmt)
    for number in range(len(frame.planes)):
        rows = rows_of(frame, number)
        span = 900 if rows.dtype == np.uint16 else 190
        x = np.arange(rows.shape[1]) + 3 * index + 50 * number
        rows[:] = 16 + x % span + rng.integers(0, 24, rows.shape)
    return frame


def make_video(
    path: Path,
    *,
    frames: int = 60,
    size_wh: tuple[int, int] = SIZE,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    options: Mapping[str, str] | None = None,
    faststart: bool = False,
    tags: tuple[int, int] | None = None,
    pts: list[int] | None = None,
) -> Path:
    """Write a 30 fps video; ``tags`` are FFmpeg's (range, matrix), ``pts`` are in 1/30 s."""
    with av.open(path, "w", options={"movflags": "faststart"} if faststart else {}) as container:
        fast = {"preset": "veryfast"} if codec == "libx264" else {}
        stream: Any = container.add_stream(codec, rate=30, options={**fast, **(options or {})})
        stream.width, stream.height = size_wh
        stream.pix_fmt = pix_fmt
        if tags is not None:
            stream.codec_context.color_range, stream.codec_context.colorspace = tags
        for index in range(frames):
            frame = picture(index, size_wh, pix_fmt)
            frame.pts, frame.time_base = (pts[index] if pts else index), Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def cut(path: Path) -> Path:
    """A copy of a file that has only its first 60 %."""
    copy, data = path.with_name(f"cut-{path.name}"), path.read_bytes()
    copy.write_bytes(data[: len(data) * 6 // 10])
    return copy


def spoil(path: Path) -> Path:
    """A copy of a file with some other bytes in the middle."""
    copy, data = path.with_name(f"spoilt-{path.name}"), bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 400] = b"\x55" * 400
    copy.write_bytes(data)
    return copy


def opened(path: Path, stream: StreamName = StreamName.VISIBLE) -> closing[VideoSource]:
    """A source that is closed in the end."""
    return closing(VideoSource(path, stream=stream))


def read_all(source: VideoSource) -> list[SourceFrame]:
    """Frames up to the end, which must be a clean one."""
    return list(iter(source.read, None))


def read_until_error(source: VideoSource) -> tuple[list[SourceFrame], SourceTruncatedError]:
    """Frames up to the error that the end must bring."""
    frames: list[SourceFrame] = []
    try:
        frames.extend(iter(source.read, None))
    except SourceTruncatedError as error:
        return frames, error
    pytest.fail(f"the source ended quietly after {len(frames)} frames")


def test_planes_of_padded_rows_arrive_exactly(tmp_path: Path) -> None:
    """A lossless 4:2:0 video comes back sample by sample, though FFmpeg pads its rows."""
    path = make_video(tmp_path / "v.mp4", frames=5, options={"qp": "0"})
    with opened(path) as source:
        frames = read_all(source)
    assert len(frames) == 5
    for index, frame in enumerate(frames):
        expected = picture(index)
        assert frame.image.spec.format is PixelFormat.YUV420P
        for number, plane in enumerate(frame.image.planes):
            np.testing.assert_array_equal(plane, rows_of(expected, number))
            assert plane.flags.c_contiguous


@pytest.mark.parametrize(
    ("tags", "size_wh", "expected"),
    [
        (None, (320, 240), (ColorRange.LIMITED, ColorMatrix.BT601)),
        (None, (320, 720), (ColorRange.LIMITED, ColorMatrix.BT709)),
        ((AvRange.MPEG, AvMatrix.ITU709), (320, 240), (ColorRange.LIMITED, ColorMatrix.BT709)),
        ((AvRange.JPEG, AvMatrix.ITU601), (320, 720), (ColorRange.FULL, ColorMatrix.BT601)),
        ((AvRange.JPEG, AvMatrix.BT2020), (320, 240), (ColorRange.FULL, ColorMatrix.BT601)),
    ],
)
def test_range_and_matrix_follow_the_tags(
    tmp_path: Path,
    tags: tuple[int, int] | None,
    size_wh: tuple[int, int],
    expected: tuple[ColorRange, ColorMatrix],
) -> None:
    """Tags win; without them video is limited, and BT.709 from 720 lines on."""
    with opened(make_video(tmp_path / "v.mp4", frames=1, size_wh=size_wh, tags=tags)) as source:
        assert (source.info.spec.range, source.info.spec.matrix) == expected


def test_full_range_of_the_yuvj_formats_is_seen(tmp_path: Path) -> None:
    """Motion JPEG is full range and its samples are not squeezed."""
    path = make_video(tmp_path / "v.avi", frames=1, codec="mjpeg", pix_fmt="yuvj420p", options={"qmin": "1"})
    with opened(path) as source:
        (frame,) = read_all(source)
    assert source.info.spec.range is ColorRange.FULL
    error = np.abs(frame.image.planes[0].astype(int) - rows_of(picture(0), 0).astype(int))
    assert error.mean() < 4


@pytest.mark.parametrize(
    ("pix_fmt", "form"),
    [("gray", PixelFormat.GRAY8), ("gray10le", PixelFormat.GRAY16), ("gray16le", PixelFormat.GRAY16)],
)
def test_gray_video_keeps_its_counts(tmp_path: Path, pix_fmt: str, form: PixelFormat) -> None:
    """Grey video of 8, 10 and 16 bits arrives with the numbers that were stored."""
    path = make_video(tmp_path / "v.mkv", frames=2, codec="ffv1", pix_fmt=pix_fmt)
    with opened(path, StreamName.INFRARED) as source:
        frames = read_all(source)
    assert source.info.spec.format is form
    np.testing.assert_array_equal(frames[1].image.planes[0], rows_of(picture(1, pix_fmt=pix_fmt), 0))


def test_4_4_4_video_becomes_4_2_0_with_the_same_luma(tmp_path: Path) -> None:
    """Only the chroma of richer formats is reduced."""
    path = make_video(tmp_path / "v.mkv", frames=1, codec="ffv1", pix_fmt="yuv444p")
    with opened(path) as source:
        (frame,) = read_all(source)
    assert frame.image.spec.format is PixelFormat.YUV420P
    np.testing.assert_array_equal(frame.image.planes[0], rows_of(picture(0, pix_fmt="yuv444p"), 0))


def test_rgb_video_becomes_limited_4_2_0(tmp_path: Path) -> None:
    """RGB white and black get the codes 235 and 16."""
    path = tmp_path / "v.mkv"
    with av.open(path, "w") as container:
        stream: Any = container.add_stream("ffv1", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "bgr0"
        rgb = np.zeros((48, 64, 3), np.uint8)
        rgb[:, 32:] = 255
        container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="bgr0")))
        container.mux(stream.encode(None))
    with opened(path) as source:
        (frame,) = read_all(source)
    assert source.info.spec.range is ColorRange.LIMITED
    assert set(np.unique(frame.image.planes[0])) == {16, 235}


@pytest.mark.parametrize("name", ["v.mp4", "v.mkv", "v.avi"])
def test_info_and_times(tmp_path: Path, name: str) -> None:
    """Rate, count and times are those that were written, whatever the container and its B-frames."""
    path = make_video(tmp_path / name, frames=30, codec="mpeg4" if name.endswith("avi") else "libx264")
    with opened(path) as source:
        assert source.info.fps == 30
        assert not source.info.live
        assert source.info.frame_count == (None if name.endswith("mkv") else 30)
        times_ms = [frame.pts_ns / 1e6 for frame in read_all(source)]
    np.testing.assert_allclose(times_ms, np.arange(30) * 1000 / 30, atol=0.6)


def test_variable_rate_keeps_its_times(tmp_path: Path) -> None:
    """A gap between frames is not evened out."""
    pts = [0, 1, 2, 12, 13, 40]
    with opened(make_video(tmp_path / "v.mp4", frames=6, pts=pts)) as source:
        times_s = [frame.pts_ns / 1e9 for frame in read_all(source)]
    np.testing.assert_allclose(times_s, np.array(pts) / 30, atol=1e-6)


def test_times_start_at_zero_when_the_container_does_not(tmp_path: Path) -> None:
    """A transport stream begins at 1.4 s by custom; its first frame has the time 0."""
    with opened(make_video(tmp_path / "v.ts", frames=5)) as source:
        assert read_all(source)[0].pts_ns == 0


def test_frames_hidden_by_an_edit_list_are_not_missed(tmp_path: Path) -> None:
    """A clip cut without re-encoding hides its first frames; that is no damage."""
    whole, clip = make_video(tmp_path / "whole.mp4"), tmp_path / "clip.mp4"
    with av.open(whole) as source, av.open(clip, "w", options={"avoid_negative_ts": "disabled"}) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.pts is None or packet.dts is None:
                continue
            shift = round(20 / 30 / packet.time_base)
            packet.stream, packet.pts, packet.dts = stream, packet.pts - shift, packet.dts - shift
            target.mux(packet)
    with opened(clip) as source:
        frames = read_all(source)
        assert source.info.frame_count == len(frames) == 40


def test_skip_goes_on_with_the_same_frame(tmp_path: Path) -> None:
    """After skip(n) comes frame n, with the image and time it has in an unbroken read."""
    path = make_video(tmp_path / "v.mp4", frames=30)
    with opened(path) as source:
        whole = read_all(source)
    for count in (0, 1, 17, 29):
        with opened(path) as source:
            source.skip(count)
            rest = read_all(source)
        assert [frame.pts_ns for frame in rest] == [frame.pts_ns for frame in whole[count:]]
        np.testing.assert_array_equal(rest[0].image.planes[0], whole[count].image.planes[0])


def test_skip_past_the_end_tells_the_end_and_never_goes_back(tmp_path: Path) -> None:
    """Skipping too far ends the stream; skipping back is a mistake of the caller."""
    with opened(make_video(tmp_path / "v.mp4", frames=5)) as source:
        source.skip(9)
        assert source.read() is None
        with pytest.raises(ValueError, match="cannot go back to frame 2"):
            source.skip(2)


@pytest.mark.parametrize(
    ("codec", "pix_fmt"), [("libx264", "yuv420p"), ("mpeg4", "yuv420p"), ("mjpeg", "yuvj420p")]
)
def test_a_cut_file_ends_with_one_clear_error(tmp_path: Path, codec: str, pix_fmt: str) -> None:
    """All whole frames come; then one error says how many of how many; then the source is at its end."""
    whole = make_video(tmp_path / "v.mp4", codec=codec, pix_fmt=pix_fmt, faststart=True)
    path = cut(whole)
    with opened(whole) as source:
        expected = read_all(source)
    with opened(path) as source:
        assert source.info.frame_count == 60
        frames, error = read_until_error(source)
        assert source.read() is None
    assert 0 < len(frames) < 60
    assert f"visible: {path}: ends after {len(frames)} of 60 frames" in str(error)
    assert error.exit_code == 3
    for frame, original in zip(frames, expected, strict=False):
        assert frame.pts_ns == original.pts_ns
        np.testing.assert_array_equal(frame.image.planes[0], original.image.planes[0])


def test_a_cut_matroska_file_is_told_by_its_duration(tmp_path: Path) -> None:
    """Matroska has no count of frames, but a duration that a cut file does not reach."""
    with opened(cut(make_video(tmp_path / "v.mkv"))) as source:
        _, error = read_until_error(source)
    assert "of 2.00 s, the file is cut short" in str(error)


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_damage_in_the_middle_is_left_out_and_told(tmp_path: Path, codec: str) -> None:
    """A damaged group of frames is left out, the groups before and after it are exact, and the end tells."""
    options = {"g": "10", "bf": "0", "sc_threshold": "0"}
    whole = make_video(tmp_path / "whole.mp4", codec=codec, options=options)
    path = spoil(whole)
    with opened(whole) as source:
        originals = {frame.pts_ns: frame for frame in read_all(source)}
    with opened(path) as source:
        frames, error = read_until_error(source)
    assert 40 <= len(frames) < 60
    assert frames[-1].pts_ns == max(originals)
    assert f"only {len(frames)} of 60 frames are good, {60 - len(frames)} are damaged" in str(error)
    for frame in frames:
        np.testing.assert_array_equal(frame.image.planes[0], originals[frame.pts_ns].image.planes[0])


@pytest.mark.parametrize("content", [None, b"", b"not a video\n" * 50])
def test_a_file_that_is_no_video_is_refused_at_once(tmp_path: Path, content: bytes | None) -> None:
    """Text, nothing, and an MP4 that lost its index (None) are told when they are opened."""
    path = tmp_path / "v.mp4"
    if content is None:
        path = cut(make_video(path))
    else:
        path.write_bytes(content)
    with pytest.raises(SourceError, match=rf"visible: {path}: cannot be opened as a video \("):
        VideoSource(path, stream=StreamName.VISIBLE)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """The message has stream and path."""
    with pytest.raises(SourceError, match=rf"infrared: {tmp_path}/gone.mp4: there is no such file"):
        VideoSource(tmp_path / "gone.mp4", stream=StreamName.INFRARED)


def test_a_file_with_sound_only_is_refused(tmp_path: Path) -> None:
    """A sound file opens in PyAV, but is no source."""
    path = tmp_path / "v.wav"
    with av.open(path, "w") as container:
        stream: Any = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(SourceError, match="holds no video stream"):
        VideoSource(path, stream=StreamName.VISIBLE)


def test_odd_sides_are_refused_with_the_way_out(tmp_path: Path) -> None:
    """4:2:0 needs even sides; the message has the command that mends the file."""
    path = make_video(tmp_path / "v.mp4", frames=1, size_wh=(641, 479), pix_fmt="yuv444p")
    with pytest.raises(SourceError) as caught:
        VideoSource(path, stream=StreamName.VISIBLE)
    assert str(caught.value) == (
        f"visible: {path}: the picture is 641x479 and 4:2:0 video needs even sides; "
        f"crop it to 640x478 (ffmpeg -i v.mp4 -vf crop=640:478 out.mp4)"
    )


def test_a_turned_picture_is_refused(tmp_path: Path) -> None:
    """A telephone's rotation mark would pair a lying image with a standing one."""
    path = tmp_path / "v.mp4"
    with av.open(path, "w") as container:
        stream: Any = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.set_display_rotation(90)
        container.mux([*stream.encode(picture(0)), *stream.encode(None)])
    with pytest.raises(SourceError, match=r"stored turned by -?90 degrees"):
        VideoSource(path, stream=StreamName.VISIBLE)


def test_a_picture_that_changes_its_size_is_told(tmp_path: Path) -> None:
    """Frames of another size in the middle of a stream stop it with the frame number."""
    path = tmp_path / "v.ts"
    parts = [
        make_video(tmp_path / f"{side}.ts", frames=5, size_wh=(side, 240), options={"bf": "0"})
        for side in (320, 352)
    ]
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    with opened(path) as source:
        source.skip(5)
        with pytest.raises(SourceError, match="changes at frame 5 from 320x240 yuv420p to 352x240 yuv420p"):
            source.read()


def test_closing_gives_the_file_back(tmp_path: Path) -> None:
    """No descriptor and no decoder thread stays, also when opening fails; closing twice is fine."""
    good = make_video(tmp_path / "v.mp4", frames=1)
    odd = make_video(tmp_path / "odd.mkv", frames=1, size_wh=(33, 33), codec="ffv1", pix_fmt="yuv444p")

    def held() -> list[int]:
        return [len(list(Path(f"/proc/self/{kind}").iterdir())) for kind in ("fd", "task")]

    before = held()
    source = VideoSource(good, stream=StreamName.VISIBLE)
    source.read()
    source.close()
    source.close()
    assert source.read() is None
    with pytest.raises(SourceError):
        VideoSource(odd, stream=StreamName.VISIBLE)
    assert held() == before


def test_the_real_pair_has_equal_times(data_dir: Path) -> None:
    """Both videos of a real clip give the same number of frames at the same times."""
    times = []
    for stream in StreamName:
        with opened(data_dir / f"m3svd/video/{stream}/0111_1716.mp4", stream) as source:
            assert source.info.spec.size_wh == (640, 480)
            frames = read_all(source)
            assert source.info.frame_count == len(frames)
            times.append([frame.pts_ns for frame in frames])
    assert times[0] == times[1]
    assert all(np.diff(times[0]) > 0)
