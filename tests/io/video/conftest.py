"""Pictures that move, what a file holds, and a disk that is soon full."""

from __future__ import annotations

import math
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest
from servers import need_server

from streamfuse.frames import ColorRange, Image, ImageSpec, PixelFormat
from streamfuse.io.video.encoder import VideoEncoder, VideoPacket

SIZE = (322, 242)
PERIOD_NS = 1_000_000_000 // 30


def moving(index: int = 0, format_: PixelFormat = PixelFormat.YUV420P, **spec: object) -> Image:
    """A smooth moving picture; 4:2:0 has colour."""
    width, height = SIZE
    y, x = np.mgrid[:height, :width]
    if format_ is PixelFormat.GRAY16:
        return Image.from_gray((20_000 + (257 * x + 3 * y + 64 * index) % 40_000).astype(np.uint16))
    luma = (40 + (x + y + 4 * index) % 160).astype(np.uint8)
    if format_ is PixelFormat.GRAY8:
        return Image.from_gray(luma)
    if format_ is PixelFormat.RGB24:
        return Image.from_rgb(np.stack([luma, luma[::-1], 255 - luma], axis=-1))
    u, v = np.full((2, height // 2, width // 2), [[[100]], [[170]]], np.uint8)
    return Image(
        ImageSpec(format=format_, size_wh=SIZE, range=ColorRange.LIMITED, **spec),  # type: ignore[arg-type]
        (luma, u, v),
    )


@pytest.fixture
def image() -> Callable[..., Image]:
    """Makes the ``index``-th picture of a moving scene."""
    return moving


@dataclass(frozen=True, kw_only=True)
class Held:
    """What can be decoded from a file."""

    times_s: list[float]
    key_times_s: list[float]
    pictures: list[av.VideoFrame]
    texts: list[tuple[float, str]]


def hold(path: Path) -> Held:
    """Decode all that decodes."""
    pictures: list[av.VideoFrame] = []
    keys_s: list[float] = []
    texts: list[tuple[float, str]] = []
    with av.open(path, format="matroska" if ".mkv" in path.name else "mp4") as container:
        try:
            for packet in container.demux(*container.streams.video, *container.streams.subtitles):
                time_s = math.nan if packet.pts is None else float(packet.pts * packet.time_base)
                if packet.stream.type == "subtitle":
                    if packet.size > 2:  # not a gap
                        texts.append((time_s, bytes(packet)[2:].decode()))
                    continue
                if packet.is_keyframe and packet.size:
                    keys_s.append(time_s)
                decoded = [one for one in packet.decode() if isinstance(one, av.VideoFrame)]
                pictures += [picture for picture in decoded if not picture.is_corrupt]
        except av.InvalidDataError:  # cut within a packet
            pass
    times_s = [picture.time for picture in pictures]
    return Held(times_s=times_s, key_times_s=keys_s, pictures=pictures, texts=texts)


@pytest.fixture
def held() -> Callable[[Path], Held]:
    """Decodes a file."""
    return hold


@pytest.fixture
def readable() -> Callable[[Path], int]:
    """Counts the pictures that decode; FFmpeg does not even open a Matroska file that has none yet."""

    def count(path: Path) -> int:
        try:
            return len(hold(path).pictures)
        except (av.EOFError, av.InvalidDataError):
            return 0

    return count


@pytest.fixture
def packets() -> Callable[..., tuple[VideoEncoder, list[VideoPacket]]]:
    """Encodes pictures, 30 a second; gives the encoder and its packets."""

    def encode(
        count: int, *, codec: str = "libx264", **more: object
    ) -> tuple[VideoEncoder, list[VideoPacket]]:
        begin_ns = int(more.pop("begin_ns", 0))  # type: ignore[call-overload]
        format_ = PixelFormat(str(more.pop("format_", PixelFormat.YUV420P)))
        with VideoEncoder(moving(0, format_).spec, fps=30, codec=codec) as encoder:
            coded = [
                packet
                for index in range(count)
                for packet in encoder.encode(moving(index, format_), begin_ns + index * PERIOD_NS)
            ]
            return encoder, coded + encoder.flush()

    return encode


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 512 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if not mounted or mounted.returncode:
        need_server("a small disk needs root, to mount a tmpfs")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)
