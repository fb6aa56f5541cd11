"""Decoding with PyAV, with an eye for damage.

A damaged picture is not delivered, nor are the pictures after it up to the next key frame, which
lean on it. All of them are counted, and what a file's header promises is there to compare.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from pathlib import Path

import av
from av import Packet
from av.container import InputContainer
from av.video.stream import VideoStream

from streamfuse.errors import SourceError

__all__ = ["DamageFilter", "GoodPictures"]

_THREADS = 4
_DEFAULT_FPS = 25


class DamageFilter:
    """Decodes packets, keeps back what is damaged or leans on damage, and counts it.

    Args:
        live: The stream may begin between two key frames, as a camera's does: what comes before the
            first key frame is kept back, too. And time stamps may be damaged, so they tell nothing.
    """

    def __init__(self, *, live: bool = False) -> None:
        self.damaged = 0
        """Pictures that were not delivered so far."""
        self.healed = False
        """Whether a good picture came after damage."""
        self._live = live
        self._damage_pts = -math.inf if live else math.inf

    def good(self, packet: Packet[VideoStream]) -> Iterator[av.VideoFrame]:
        """The good pictures that ``packet`` completes.

        Raises:
            av.FFmpegError: the decoder failed for another reason than bad data.
        """
        if packet.is_corrupt:  # cut off: half a picture is no picture
            self._note_damage(None if self._live else packet.pts)
            return
        try:
            pictures = packet.decode()
        except av.InvalidDataError:
            # With threads the error belongs to an earlier packet: nothing from here on is sure.
            self._note_damage()
            return
        for picture in pictures:
            if picture.is_corrupt or self._leans_on_damage(picture):
                self._note_damage()
            else:
                yield picture

    def _note_damage(self, pts: int | None = None) -> None:
        """Distrust what is shown from ``pts`` on (None: from here on) until a key frame."""
        self.damaged += 1
        self._damage_pts = min(self._damage_pts, -math.inf if pts is None else pts)

    def _leans_on_damage(self, picture: av.VideoFrame) -> bool:
        """Whether the picture comes after damage with no key frame between them."""
        if picture.pts is not None and picture.pts < self._damage_pts:
            return False
        if picture.key_frame and self._damage_pts < math.inf:
            self._damage_pts = math.inf
            self.healed = True
        return self._damage_pts < math.inf


class GoodPictures:
    """The undamaged pictures of a file's first video stream in order, and a tally of the damage.

    Args:
        path: The file.
        label: What error messages start with.

    Raises:
        SourceError: the file is missing, is no video, or cannot be read on.
    """

    def __init__(self, path: Path, label: str) -> None:
        self._container = _open(path, label)
        self._label = label
        stream = self._container.streams.video[0]
        # Not threads over slices alone: with those, FFmpeg's H.264 decoder does not flag damage.
        stream.thread_type = "AUTO"
        stream.thread_count = _THREADS
        self.fps = float(stream.average_rate or stream.guessed_rate or _DEFAULT_FPS)
        """Nominal frame rate; 25 where the container tells none, as FFmpeg has it."""
        self.start_pts = stream.start_time or 0
        """Time stamp of the first picture."""
        self.promised_count, self.promised_s = _promise(self._container, stream)
        self._filter = DamageFilter()
        self._good = 0
        self._iterator = self._run(stream)

    @property
    def damaged(self) -> int:
        """Pictures that were not delivered so far."""
        return self._filter.damaged

    @property
    def healed(self) -> bool:
        """Whether a good picture came after damage."""
        return self._filter.healed

    def next(self) -> av.VideoFrame | None:
        """The next good picture, or None at the end."""
        return next(self._iterator, None)

    def close(self) -> None:
        """Close the file; nothing more comes."""
        self._iterator.close()
        self._container.close()

    def _run(self, stream: VideoStream) -> Generator[av.VideoFrame, None, None]:
        try:
            for packet in self._container.demux(stream):
                for picture in self._filter.good(packet):
                    self._good += 1
                    yield picture
        except av.FFmpegError as error:
            raise SourceError(
                f"{self._label}: cannot be read past frame {self._good - 1} ({error.strerror}); "
                "copy the file again"
            ) from error


def _promise(container: InputContainer, stream: VideoStream) -> tuple[int | None, float | None]:
    """How many frames, or how many seconds, the header says there are.

    A fragmented MP4 and a stream promise nothing: what is there is what was written.
    """
    if stream.frames:
        entries = stream.index_entries
        if len(entries) == stream.frames:  # complete: leave out what an edit list hides
            return sum(not entry.is_discard for entry in entries), None
        return stream.frames, None
    if container.format.name.startswith("matroska") and len(container.streams) == 1 and container.duration:
        return None, container.duration / av.time_base
    return None, None


def _open(path: Path, label: str) -> InputContainer:
    if not path.is_file():
        raise SourceError(f"{label}: there is no such file; check the path")
    try:
        container = av.open(path)
    except (av.FFmpegError, OSError) as error:
        raise SourceError(
            f"{label}: cannot be opened as a video ({error.strerror}); "
            "if it was cut short its index is lost, copy it again"
        ) from error
    if not container.streams.video:
        container.close()
        raise SourceError(f"{label}: holds no video stream; give a file with pictures")
    return container
