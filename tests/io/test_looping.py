"""Files and folders that begin again at their end."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamfuse.config.sources import SourceConfig
from streamfuse.errors import UsageError
from streamfuse.frames import Image, ImageSpec, PixelFormat, StreamName
from streamfuse.io.images import write_png
from streamfuse.io.source import Source
from streamfuse.io.sources import open_source
from streamfuse.io.video.writer import VideoWriter

SPEC = ImageSpec(format=PixelFormat.YUV420P, size_wh=(64, 48))
ROUND = 6


def make(folder: Path, kind: str) -> str:
    """Six images whose grey is their number times 30, as a video of 10 fps or as a folder."""
    if kind == "folder":
        for index in range(ROUND):
            write_png(folder / f"{index}.png", Image.from_gray(np.full((48, 64), 30 * index, np.uint8)))
        return str(folder)
    path = folder / "v.mp4"
    with VideoWriter(path, SPEC, fps=10) as writer:
        for index in range(ROUND):
            planes = tuple(np.full(shape, 30 * index, np.uint8) for shape in SPEC.plane_shapes)
            writer.write(Image(SPEC, planes), index * 100_000_000)
    return str(path)


def opened(uri: str, **keys: Any) -> closing[Source]:
    """A looping source at 10 fps, closed in the end."""
    if not uri.endswith(".mp4"):
        keys["fps"] = 10.0
    config = SourceConfig.model_validate({"uri": uri, "loop": True, **keys})
    return closing(open_source(config, stream=StreamName.VISIBLE))


def taken(source: Source, count: int) -> list[tuple[int, int]]:
    """Number and milliseconds of the next frames."""
    frames = [source.read() for _ in range(count)]
    return [
        (round(float(frame.image.planes[0].mean()) / 30), round(frame.pts_ns / 1e6))
        for frame in frames
        if frame is not None
    ]


@pytest.mark.parametrize("kind", ["folder", "video"])
def test_it_begins_again_with_rising_times(tmp_path: Path, kind: str) -> None:
    """After the last frame comes the first, one period later, round after round."""
    with opened(make(tmp_path, kind)) as source:
        assert source.info.frame_count is None
        assert source.info.fps == 10
        assert taken(source, 20) == [(index % ROUND, index * 100) for index in range(20)]


@pytest.mark.parametrize("kind", ["folder", "video"])
@pytest.mark.parametrize(
    ("read_before", "count"), [(0, 0), (0, 6), (0, 13), (4, 4), (4, 13), (0, 6_000_003), (8, 6_000_003)]
)
def test_a_restarted_worker_goes_on_in_the_right_round(
    tmp_path: Path, kind: str, count: int, read_before: int
) -> None:
    """However many rounds lie behind, skipping is quick and lands on the right frame and time."""
    with opened(make(tmp_path, kind)) as source:
        taken(source, read_before)
        source.skip(count)
        expected = [(index % ROUND, index * 100) for index in range(count, count + 9)]
        assert taken(source, 9) == expected


def test_going_back_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    """A stream has no way back, in the second round either."""
    with opened(make(tmp_path, "folder")) as source:
        taken(source, 8)
        with pytest.raises(ValueError, match="cannot go back to frame 7, 8 were read"):
            source.skip(7)


@pytest.mark.parametrize(
    ("uri", "keys", "words"),
    [
        ("rtsp://127.0.0.1/live", {"loop": True}, "an RTSP camera cannot use loop"),
        ("udp://127.0.0.1:5000", {"transport": "udp"}, "a network stream cannot use transport"),
        ("synthetic://street?seed=7", {"loop": True}, "a synthetic scene cannot use loop"),
        ("v.mp4", {"transport": "udp", "size": (640, 480)}, "a video file cannot use size, transport"),
        ("recording://r", {"fps": 5.0}, "a recording cannot use fps"),
    ],
)
def test_keys_that_a_kind_cannot_use_are_refused(uri: str, keys: dict[str, object], words: str) -> None:
    """A key that would be ignored is refused before anything is opened."""
    with pytest.raises(UsageError, match=words):
        open_source(SourceConfig.model_validate({"uri": uri, **keys}), stream=StreamName.VISIBLE)


def test_a_key_with_its_default_is_no_mistake(tmp_path: Path) -> None:
    """What says nothing new is allowed."""
    config = SourceConfig(uri=make(tmp_path, "folder"), transport="tcp", loop=False)
    with closing(open_source(config, stream=StreamName.VISIBLE)) as source:
        assert source.info.frame_count == ROUND
