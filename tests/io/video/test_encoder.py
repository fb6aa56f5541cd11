"""A running encoder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamfuse.errors import OutputError
from streamfuse.frames import ColorMatrix, Image, ImageSpec, PixelFormat
from streamfuse.io.av_pixels import from_av, spec_of
from streamfuse.io.video.encoder import VideoEncoder, VideoPacket
from streamfuse.io.video.writer import VideoWriter

UPTIME_NS = 40 * 24 * 3600 * 1_000_000_000
PERIOD_NS = 1_000_000_000 // 30


@pytest.mark.parametrize("codec", ["libx264", "libsvtav1", "mpeg4", "ffv1"])
def test_a_packet_leaves_with_its_image(image: Callable[..., Image], codec: str) -> None:
    """No image waits inside, and each packet has the time of its image, also weeks after the start."""
    with VideoEncoder(image().spec, fps=30, codec=codec) as encoder:
        for index in range(40):
            pts_ns = UPTIME_NS + index * PERIOD_NS + index % 3
            (packet,) = encoder.encode(image(index), pts_ns)
            assert packet.pts_ns == pts_ns
            assert packet.duration_ns == pytest.approx(PERIOD_NS, abs=1)
        assert encoder.flush() == []


@pytest.mark.parametrize("codec", ["libx264", "libsvtav1", "mpeg4"])
def test_a_key_comes_every_second_and_on_request(image: Callable[..., Image], codec: str) -> None:
    """The second after a key that was asked for begins there."""
    with VideoEncoder(image().spec, fps=30, codec=codec) as encoder:
        keys = [
            index
            for index in range(100)
            for packet in encoder.encode(image(index), index * PERIOD_NS, key=index == 50)
            if packet.is_key
        ]
    assert {0, 50} <= set(keys)
    assert np.diff([*keys, 99]).max() <= 30


@pytest.mark.parametrize("fps", [30.0, 9.0, 60.0])
def test_a_key_at_least_every_second_whatever_the_camera_does(
    image: Callable[..., Image], fps: float
) -> None:
    """Even when the camera is slower or faster than announced, no second goes without a key."""
    with VideoEncoder(image().spec, fps=30, codec="libx264") as encoder:
        keys_s = [
            packet.pts_ns / 1e9
            for index in range(round(3 * fps))
            for packet in encoder.encode(image(index), round(index / fps * 1e9))
            if packet.is_key
        ]
    assert np.diff([*keys_s, 3.0]).max() <= 1 + 1 / fps - 1 / 30 + 1e-6


@pytest.mark.parametrize(
    "format_", [PixelFormat.GRAY8, PixelFormat.GRAY16, PixelFormat.YUV420P, PixelFormat.RGB24]
)
def test_ffv1_keeps_every_bit(
    tmp_path: Path, image: Callable[..., Image], held: Callable[[Path], Any], format_: PixelFormat
) -> None:
    """What is read back is what was written, of 8 and of 16 bits; each picture is a key."""
    path = tmp_path / "raw.mkv"
    originals = [image(index, format_) for index in range(3)]
    with VideoWriter(path, originals[0].spec, fps=30, codec="ffv1") as writer:
        for index, original in enumerate(originals):
            writer.write(original, index * PERIOD_NS)
    found = held(path)
    assert len(found.pictures) == len(found.key_times_s) == 3
    for picture, original in zip(found.pictures, originals, strict=True):
        if format_ is PixelFormat.RGB24:
            np.testing.assert_array_equal(picture.to_ndarray(format="rgb24"), original.planes[0])
            continue
        assert spec_of(picture) == original.spec
        for plane, expected in zip(from_av(picture, original.spec).planes, original.planes, strict=True):
            np.testing.assert_array_equal(plane, expected)


def test_ffv1_takes_odd_sides() -> None:
    """Only 4:2:0 needs even ones."""
    gray = Image.from_gray(np.arange(15 * 21, dtype=np.uint16).reshape(15, 21))
    with VideoEncoder(gray.spec, fps=9, codec="ffv1") as encoder:
        (packet,) = encoder.encode(gray, 0)
    assert packet.is_key


@pytest.mark.parametrize("size_wh", [(321, 240), (320, 241)])
def test_odd_sides_are_refused(size_wh: tuple[int, int]) -> None:
    """RGB images may be odd, 4:2:0 video may not; the message has the size to crop to."""
    with pytest.raises(OutputError, match="even sides; crop the source to 320x240"):
        VideoEncoder(ImageSpec(format=PixelFormat.RGB24, size_wh=size_wh), fps=30)


def test_deep_gray_is_refused_but_by_ffv1() -> None:
    """Thermal counts must not lose half their bits in silence."""
    with pytest.raises(OutputError, match="16-bit grey; record it with codec ffv1"):
        VideoEncoder(ImageSpec(format=PixelFormat.GRAY16, size_wh=(320, 240)), fps=30, codec="libx264")


def test_an_encoder_that_refuses_the_picture_is_told() -> None:
    """What was tried with a small picture may still not take a huge one."""
    with pytest.raises(OutputError, match=r"mpeg4 failed on a picture of 16400x16 \(.+\); set codec"):
        VideoEncoder(ImageSpec(format=PixelFormat.GRAY8, size_wh=(16_400, 16)), fps=30, codec="mpeg4")


def test_misuse_of_an_encoder_is_told(image: Callable[..., Image]) -> None:
    """Another spec, times that do not rise, no rate and a closed encoder are mistakes of the caller."""
    with pytest.raises(ValueError, match="fps must be above 0, got 0"):
        VideoEncoder(image().spec, fps=0)
    encoder = VideoEncoder(image().spec, fps=30)
    encoder.encode(image(), 1000)
    with pytest.raises(ValueError, match="frame times must rise, got 1000 ns after 1000 ns"):
        encoder.encode(image(), 1000)
    with pytest.raises(ValueError, match="images of this encoder are"):
        encoder.encode(image(matrix=ColorMatrix.BT709), 2_000_000)
    encoder.close()
    encoder.close()
    with pytest.raises(ValueError, match="is closed"):
        encoder.encode(image(), 3_000_000)
    assert encoder.flush() == []


def test_a_packet_checks_itself() -> None:
    """Nothing and no time are no packet."""
    with pytest.raises(ValueError, match="got 0 bytes for 1 ns"):
        VideoPacket(data=b"", pts_ns=0, duration_ns=1, is_key=True)
