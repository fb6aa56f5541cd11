"""Writing a video from one stream of images."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from streamfuse.errors import OutputError
from streamfuse.frames import ColorMatrix, ColorRange, Image, ImageSpec, PixelFormat, StreamName
from streamfuse.io.media import VideoSource
from streamfuse.io.source import SourceFrame
from streamfuse.io.video.writer import VideoWriter

NS_PER_FRAME = 1_000_000_000 // 30
SIZE = (322, 242)
MakeImage = Callable[..., Image]


def read_back(path: Path) -> tuple[VideoSource, list[SourceFrame]]:
    """All frames of a whole file; the source is closed."""
    source = VideoSource(path, stream=StreamName.VISIBLE)
    try:
        return source, list(iter(source.read, None))
    finally:
        source.close()


@pytest.mark.parametrize("codec", ["libx264", "libsvtav1", "mpeg4"])
def test_frames_come_back_at_their_times(image: MakeImage, tmp_path: Path, codec: str) -> None:
    """Irregular times are kept to 1/60000 s, the images to encoding loss, and the file is a whole MP4."""
    path = tmp_path / "v.mp4"
    times_ns = [0, 33_366_667, 66_733_333, 500_000_000, 533_000_000, 2_700_000_000]
    with VideoWriter(path, image().spec, fps=30, codec=codec) as writer:
        assert writer.encoder.name == codec
        for index, pts_ns in enumerate(times_ns):
            writer.write(image(index), pts_ns)
    source, frames = read_back(path)
    assert source.info.frame_count == len(times_ns)
    np.testing.assert_allclose([frame.pts_ns for frame in frames], times_ns, atol=1e9 / 60000)
    for index, frame in enumerate(frames):
        for plane, original in zip(frame.image.planes, image(index).planes, strict=True):
            assert np.abs(plane.astype(int) - original.astype(int)).mean() < 2


@pytest.mark.parametrize("matrix", list(ColorMatrix))
@pytest.mark.parametrize("range_", list(ColorRange))
def test_range_and_matrix_are_tagged(
    image: MakeImage, tmp_path: Path, range_: ColorRange, matrix: ColorMatrix
) -> None:
    """A player learns what the numbers mean."""
    spec = ImageSpec(format=PixelFormat.YUV420P, size_wh=SIZE, range=range_, matrix=matrix)
    path = tmp_path / "v.mp4"
    with VideoWriter(path, spec, fps=30, codec="libx264") as writer:
        writer.write(Image(spec, image().planes), 0)
    source, _ = read_back(path)
    assert source.info.spec == spec


def test_rgb_is_converted_with_its_matrix(tmp_path: Path) -> None:
    """Pure colours get the luma of BT.601 in limited range: red 82, green 145, blue 41."""
    rgb = np.zeros((48, 96, 3), np.uint8)
    for channel in range(3):
        rgb[:, 32 * channel : 32 * channel + 32, channel] = 255
    path = tmp_path / "v.mp4"
    with VideoWriter(path, Image.from_rgb(rgb).spec, fps=30, codec="libx264") as writer:
        writer.write(Image.from_rgb(rgb), 0)
    source, (frame,) = read_back(path)
    assert source.info.spec.range is ColorRange.LIMITED
    luma = frame.image.planes[0][24, [16, 48, 80]].astype(int)
    np.testing.assert_allclose(luma, [82, 145, 41], atol=3)


def test_gray_becomes_luma_with_neutral_chroma(tmp_path: Path) -> None:
    """Grey keeps its full range and gets no tint."""
    gray = Image.from_gray(np.tile(np.arange(0, 256, 2, dtype=np.uint8), (64, 1)))
    path = tmp_path / "v.mp4"
    with VideoWriter(path, gray.spec, fps=30, codec="libx264") as writer:
        writer.write(gray, 0)
    source, (frame,) = read_back(path)
    assert source.info.spec.range is ColorRange.FULL
    assert np.abs(frame.image.planes[0].astype(int) - gray.planes[0]).mean() < 2
    assert int(np.ptp(frame.image.planes[1])) <= 2
    assert abs(int(frame.image.planes[1][0, 0]) - 128) <= 1


def test_the_last_frame_lasts_one_period(image: MakeImage, tmp_path: Path) -> None:
    """The file is as long as its frames, so that players show the last one too."""
    path = tmp_path / "v.mp4"
    with VideoWriter(path, image().spec, fps=25, codec="libx264") as writer:
        for index in range(10):
            writer.write(image(index), index * 40_000_000)
    with av.open(path) as container:
        assert container.duration == pytest.approx(400_000, abs=1000)


@pytest.mark.parametrize("speed", [0, 1])
def test_the_file_is_readable_while_it_is_written(image: MakeImage, tmp_path: Path, speed: int) -> None:
    """All but the last second of frames can be decoded at any time, also of a still scene with few bytes."""
    path, copy = tmp_path / "v.mp4", tmp_path / "copy.mp4"
    with VideoWriter(path, image().spec, fps=30, codec="libx264") as writer:
        for index in range(100):
            writer.write(image(speed * index), index * NS_PER_FRAME)
            if index in {45, 60, 99}:
                copy.write_bytes(path.read_bytes())
                _, frames = read_back(copy)
                assert index + 1 - len(frames) <= 30
    assert len(read_back(path)[1]) == 100


def test_a_place_that_cannot_be_written_is_told_at_once(image: MakeImage, tmp_path: Path) -> None:
    """A missing folder and a folder in place of the file are told before the first frame."""
    (tmp_path / "v.mp4").mkdir()
    for path in (tmp_path / "gone" / "v.mp4", tmp_path / "v.mp4"):
        with pytest.raises(OutputError, match="cannot be written"):
            VideoWriter(path, image().spec, fps=30)


def test_a_full_disk_is_told_and_leaves_nothing_open(image: MakeImage, tmp_path: Path) -> None:
    """A device without space refuses the header; no descriptor stays behind."""
    path = tmp_path / "v.mp4"
    path.symlink_to("/dev/full")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        with pytest.raises(OutputError, match="No space left on device"):
            VideoWriter(path, image().spec, fps=30)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_disk_that_fills_up_keeps_what_was_written(tmp_path: Path) -> None:
    """The write that finds no room raises, close does not, and the whole fragments stay readable."""
    path = tmp_path / "v.mp4"
    script = f"""
        import resource, sys
        from pathlib import Path
        import numpy as np
        from streamfuse.errors import OutputError
        from streamfuse.frames import Image
        from streamfuse.io.video.writer import VideoWriter

        resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, resource.RLIM_INFINITY))
        rng = np.random.default_rng(0)
        noise = [Image.from_gray(rng.integers(0, 256, (240, 320), dtype=np.uint8)) for _ in range(4)]
        writer = VideoWriter(Path({str(path)!r}), noise[0].spec, fps=4, codec="libx264")
        try:
            for index in range(200):
                writer.write(noise[index % 4], index * 250_000_000)
        except OutputError as error:
            writer.close()
            sys.stdout.write(f"{{index}} {{error}}")
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    written, _, message = run.stdout.partition(" ")
    assert f"{path}: cannot be written (File too large)" in message
    source = VideoSource(path, stream=StreamName.VISIBLE)
    source.skip(int(written) - 8)
    assert source.read() is not None
    source.close()


def test_times_closer_than_the_clock_of_the_file_stay_apart(image: MakeImage, tmp_path: Path) -> None:
    """Frames within 1/60000 s are all kept, each a tick after the other."""
    path = tmp_path / "v.mp4"
    with VideoWriter(path, image().spec, fps=30, codec="libx264") as writer:
        for pts_ns in (0, 1, 2, 1_000_000):
            writer.write(image(), pts_ns)
    np.testing.assert_allclose([f.pts_ns for f in read_back(path)[1]], [0, 16_667, 33_333, 1_000_000], atol=1)


def test_misuse_is_told(image: MakeImage, tmp_path: Path) -> None:
    """Another spec, times that do not rise and a closed writer are mistakes of the caller."""
    with VideoWriter(tmp_path / "v.mp4", image().spec, fps=30) as writer:
        writer.write(image(), 1000)
        with pytest.raises(ValueError, match="frame times must rise"):
            writer.write(image(), 1000)
        with pytest.raises(ValueError, match="images of this encoder are"):
            writer.write(image(matrix=ColorMatrix.BT709), 2_000_000)
        writer.close()
        with pytest.raises(ValueError, match="is closed"):
            writer.write(image(), 3_000_000)
