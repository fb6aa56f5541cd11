"""What a video really holds: every picture decoded, each with its time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import av
from av import Packet

from streamfuse.clock import NS_PER_S
from streamfuse.errors import SourceError
from streamfuse.io.av_decode import GoodPictures

__all__ = ["MENDED", "VideoFacts", "inspect_video", "time_of"]

MENDED: Final = "mended by streamfuse: what could not be read was left out"
"""The comment in a video that was mended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoFacts:
    """A video as it was decoded from its first picture to its last."""

    path: Path
    size_wh: tuple[int, int]
    """Of the first picture."""
    times_ns: tuple[int, ...]
    """When each good picture is shown, on the file's own timeline: the first need not be at 0."""
    damaged: int
    """Pictures that are damaged, or lean on one that is."""
    resized: int
    """Pictures of another size than the first."""
    promised: int | None
    """Pictures that the file's index says there are, where it has one."""
    was_mended: bool
    """Whether it is a copy of the sound pictures of another file, which was cut off or damaged."""
    broken_off: str | None
    """Why reading stopped before the end; None if it did not."""

    @property
    def duration_s(self) -> float:
        """From the first picture to the last, in seconds."""
        return (self.times_ns[-1] - self.times_ns[0]) / NS_PER_S if self.times_ns else 0.0


def inspect_video(path: Path) -> VideoFacts:
    """Decode all of a video.

    Raises:
        SourceError: it cannot be opened as a video, or not one picture of it can be decoded.
    """
    pictures = GoodPictures(path, str(path))
    try:
        return _decode(path, pictures)
    finally:
        pictures.close()


def time_of(piece: av.VideoFrame | Packet[Any]) -> int:
    """When a picture or packet is shown, in nanoseconds on the timeline of its file; -1 if it is not told."""
    if piece.pts is None or piece.time_base is None:
        return -1
    return round(piece.pts * piece.time_base * NS_PER_S)


def _decode(path: Path, pictures: GoodPictures) -> VideoFacts:
    times_ns: list[int] = []
    size_wh: tuple[int, int] | None = None
    resized = 0
    broken_off = None
    try:
        while (picture := pictures.next()) is not None:
            size_wh = size_wh or (picture.width, picture.height)
            resized += (picture.width, picture.height) != size_wh
            times_ns.append(time_of(picture))
    except SourceError as error:
        broken_off = str(error)
    if size_wh is None:
        raise SourceError(
            f"{path}: not one picture of it can be decoded; it is damaged from its start"
        ) from None
    return VideoFacts(
        path=path,
        size_wh=size_wh,
        times_ns=tuple(times_ns),
        damaged=pictures.damaged,
        resized=resized,
        promised=pictures.promised_count,
        was_mended=_is_marked(path),
        broken_off=broken_off,
    )


def _is_marked(path: Path) -> bool:
    try:
        with av.open(path) as container:
            return container.metadata.get("comment") == MENDED or container.metadata.get("COMMENT") == MENDED
    except (av.FFmpegError, OSError):
        return False
