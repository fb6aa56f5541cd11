"""One video file, readable at any moment while it is written and after whatever ends it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import MappingProxyType
from typing import Final

import av
from av.stream import Stream
from av.video.stream import VideoStream

from streamfuse.errors import OutputError
from streamfuse.io.closing import Closing
from streamfuse.io.shelf import part_of
from streamfuse.io.video.durable import DurableFile
from streamfuse.io.video.encoder import VideoPacket, ticks_of
from streamfuse.io.video.encoders import TICK

__all__ = ["FRAGMENT_S", "VideoFile"]

FRAGMENT_S: Final = 0.5
"""Seconds of video that go to the file at a time: half of what may be lost, the rest is for a slow disk."""

# MP4 while it is written: a head, then fragments that each stand on their own. Closing turns it into a
# common MP4 with one index. Fragments tell a start after 0 by themselves (frag_discont), the index by an
# edit list. The muxer must not wait for texts: packets come in order.
_MP4 = MappingProxyType(
    {
        "movflags": "hybrid_fragmented+empty_moov+default_base_moof+frag_discont",
        "use_editlist": "1",
        "frag_duration": str(round(FRAGMENT_S * 1e6)),
        "max_interleave_delta": "1",
        "flush_packets": "1",
        "movie_timescale": str(TICK.denominator),  # of edit lists: in milliseconds they round
    }
)
# With texts a fragment begins with a key frame. By time it could begin with a text, and the muxer would then
# not know for how long the last picture before it is shown: all that follow would be at wrong times.
_MP4_WITH_TEXTS = MappingProxyType(
    {**_MP4, "movflags": f"{_MP4['movflags']}+frag_keyframe", "frag_duration": "0"}
)
_MATROSKA = MappingProxyType({"cluster_time_limit": str(round(FRAGMENT_S * 1e3)), "flush_packets": "1"})
_FORMATS = MappingProxyType({".mp4": ("mp4", _MP4), ".mkv": ("matroska", _MATROSKA)})
# What FFmpeg makes the description of an MP4 text track of, in the words of SubStation Alpha.
_TEXT_STYLE = (
    b"[V4+ Styles]\r\nFormat: Name, Fontname, Fontsize, PrimaryColour, Alignment\r\n"
    b"Style: Default,Sans,12,&Hffffff,2\r\n\r\n[Events]\r\nFormat: Text\r\n"
)
_TEXT_MAX = 65_535


class VideoFile(Closing):
    """Holds packets of one encoder, each at its own time, in MP4 or Matroska by its suffix.

    While it is written it is called ``PATH.part``, and it is held by an exclusive ``flock``. Half a
    second of video goes to it at a time (with texts: what lies between two key packets) and is brought to
    the disk at once, by a thread. So a killed
    process or a power cut costs its last second at most, also while the file is being closed. Times
    are kept to 1/60000 s in MP4 and to 1 ms in Matroska.

    Args:
        path: The file, ``.mp4`` or ``.mkv``; its ``.part`` must not be there.
        template: Of the encoder.
        start_ns: The time that is 0 in the file.
        texts: Whether there is a track of texts, too (MP4 only).
        in_place: Whether to write to ``path`` itself, over an older file.

    Raises:
        ValueError: another suffix, or texts in Matroska.
        OutputError: the file cannot be made; the cause has its errno.
    """

    def __init__(
        self,
        path: Path,
        template: VideoStream,
        *,
        start_ns: int = 0,
        texts: bool = False,
        in_place: bool = False,
    ) -> None:
        suffix = path.suffix.lower()
        if suffix not in _FORMATS or (texts and suffix != ".mp4"):
            raise ValueError(f"a video is .mp4, or .mkv without texts; got {path.name}")
        self._path = path
        self._part = path if in_place else part_of(path)
        self._start_ns = start_ns
        self._last_tick = -1
        self._last_text_tick = -1
        try:
            self._file = DurableFile(self._part, fresh=not in_place)
        except OSError as error:
            raise self._problem(error) from error
        format_, options = ("mp4", _MP4_WITH_TEXTS) if texts else _FORMATS[suffix]
        self._container = av.open(self._file, "w", format=format_, options=dict(options))
        try:
            self._video = self._container.add_stream_from_template(template, opaque=True, time_base=TICK)
            self._texts = self._add_texts() if texts else None
            self._container.start_encoding()
        except (av.FFmpegError, OSError) as error:
            self._discard()
            raise self._problem(error) from error
        self._file.settle()

    @property
    def path(self) -> Path:
        """The file, once it is closed."""
        return self._path

    @property
    def nbytes(self) -> int:
        """Bytes in the file so far."""
        return self._file.nbytes

    def write(self, packet: VideoPacket) -> None:
        """Add a packet; the first one must be a key, and times rise.

        Two packets within a tick of the file are kept a tick apart.

        Raises:
            ValueError: the first packet is no key, it is from before the start, or the file is closed.
            OutputError: the file cannot be written on; what is in it stays, as ``.part``.
        """
        if self._last_tick < 0 and not packet.is_key:
            raise ValueError(f"{self._path} must begin with a key packet")
        self._last_tick = max(self._tick(packet.pts_ns), self._last_tick + 1)
        self._mux(self._video, packet, self._last_tick)

    def write_text(self, text: str, *, pts_ns: int, duration_ns: int) -> None:
        """Add a text that is shown for some time; it is cut off at 65535 bytes.

        Raises:
            ValueError: the file has no texts, the text is from before the start, or the file is closed.
            OutputError: as in :meth:`write`.
        """
        if self._texts is None:
            raise ValueError(f"{self._path} was begun without texts")
        self._last_text_tick = max(self._tick(pts_ns), self._last_text_tick + 1)
        coded = text.encode()[:_TEXT_MAX].decode(errors="ignore").encode()
        packet = VideoPacket(
            data=len(coded).to_bytes(2) + coded, pts_ns=pts_ns, duration_ns=duration_ns, is_key=True
        )
        self._mux(self._texts, packet, self._last_text_tick)

    def close(self) -> None:
        """Finish the file and give it its name; a file without a picture vanishes. May be called twice.

        Raises:
            OutputError: the rest cannot be written; what is in the file stays, as ``.part``.
        """
        if self._file.closed:
            return
        if self._last_tick < 0:
            self._discard()
            return
        self._file.finishing()
        try:
            self._container.close()
            self._file.finish(rename_to=self._path)
        except (av.FFmpegError, OSError) as error:
            self._give_up()
            raise self._problem(error) from error

    def abandon(self) -> None:
        """Let go of the file as it is: readable, and still called ``.part``."""
        self._give_up()

    def _tick(self, pts_ns: int) -> int:
        if self._file.closed:
            raise ValueError(f"{self._path} is closed")
        if pts_ns < self._start_ns:
            raise ValueError(f"{self._path} begins at {self._start_ns} ns, got a packet of {pts_ns} ns")
        return ticks_of(pts_ns - self._start_ns)

    def _mux(self, stream: Stream, packet: VideoPacket, tick: int) -> None:
        muxed = av.Packet(packet.data)
        muxed.stream, muxed.time_base = stream, TICK
        muxed.pts = muxed.dts = tick
        muxed.duration = max(1, ticks_of(packet.duration_ns))
        muxed.is_keyframe = packet.is_key
        try:
            self._container.mux_one(muxed)
        except (av.FFmpegError, OSError) as error:
            self._give_up()
            raise self._problem(error) from error
        self._file.settle()

    def _add_texts(self) -> Stream:
        stream = self._container.add_stream("mov_text", time_base=TICK)
        stream.codec_context.subtitle_header = _TEXT_STYLE
        return stream

    def _give_up(self) -> None:
        """Keep what is sound. A container whose file is closed writes no more."""
        self._file.close()
        with contextlib.suppress(av.FFmpegError, OSError):
            self._container.close()

    def _discard(self) -> None:
        self._give_up()
        if self._part != self._path:  # in place it may be a device
            self._part.unlink(missing_ok=True)

    def _problem(self, error: av.FFmpegError | OSError) -> OutputError:
        return OutputError(
            f"{self._path}: cannot be written ({error.strerror}); "
            "check the folder, its rights and the free space"
        )
