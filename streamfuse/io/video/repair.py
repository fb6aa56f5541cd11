"""Mending what a crash leaves of a video: the sound pictures, copied into a file of their own.

Packets are copied as they are, nothing is encoded again, and the damaged file is only read.
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterator, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

import av
from av import Packet
from av.container import InputContainer, OutputContainer

from streamfuse.clock import NS_PER_S
from streamfuse.errors import OutputError, SourceError
from streamfuse.io.av_decode import DamageFilter
from streamfuse.io.video.inspect import MENDED, time_of

__all__ = ["copy_pictures", "sound_times"]

_TAIL_NS = 2 * NS_PER_S
"""So much of the end is decoded: twice what a crash may have left unfinished."""
_FORMATS = MappingProxyType({".mp4": "mp4", ".mkv": "matroska"})


def sound_times(path: Path) -> tuple[int, ...]:
    """When the pictures of a file whose writer died are shown, in nanoseconds, the damaged left out.

    What a crash damages is the end. So the last two seconds are decoded and the rest is taken as
    written: that costs little however long the file is.

    Raises:
        SourceError: it cannot be opened as a video.
    """
    times_ns: list[int] = []
    with _open(path) as container:
        stream = container.streams.video[0]
        tail: list[Packet[Any]] = []
        for packet in _readable(container, [stream]):
            tail.append(packet)
            if packet.is_keyframe and (cut := _tail_start(tail)):
                times_ns += [time_of(before) for before in tail[:cut] if _is_picture(before)]
                del tail[:cut]
        damage = DamageFilter()
        try:
            for packet in tail:
                times_ns += [time_of(picture) for picture in damage.good(packet)]
        except av.FFmpegError:  # the decoder gave up: what it gave before is sound
            pass
    return tuple(times_ns)


def copy_pictures(path: Path, target: Path, times_ns: Sequence[int]) -> None:
    """Copy the pictures of ``path`` at ``times_ns`` (and texts beside them) to a new file, and sync it.

    Args:
        path: A video that can be opened.
        target: The new file; it must not be there. Its container goes by its suffix, .mp4 or .mkv.
        times_ns: As :func:`sound_times` and :func:`streamfuse.io.video.inspect.inspect_video` give them.

    Raises:
        SourceError: ``path`` cannot be opened.
        OutputError: ``target`` cannot be written; nothing of it stays.
    """
    keep = frozenset(times_ns)
    last_ns = max(times_ns, default=-1)
    with _open(path) as source:
        try:
            with target.open("xb") as file:
                _copy(source, file, keep=keep, last_ns=last_ns, container=_FORMATS[target.suffix])
                file.flush()
                os.fsync(file.fileno())
        except FileExistsError as error:
            raise OutputError(f"{target}: is there already; move it away") from error
        except (av.FFmpegError, OSError) as error:
            target.unlink(missing_ok=True)
            raise OutputError(
                f"{target}: cannot be written ({error.strerror}); "
                "check the folder, its rights and the free space"
            ) from error


def _copy(
    source: InputContainer, file: IO[bytes], *, keep: Container[int], last_ns: int, container: str
) -> None:
    video, texts = source.streams.video[0], source.streams.subtitles
    with av.open(file, "w", format=container) as out:
        out.metadata["comment"] = MENDED
        copies = {each.index: out.add_stream_from_template(each) for each in (video, *texts)}
        for packet in _readable(source, [video, *texts]):
            if not _is_picture(packet):
                continue
            time_ns = time_of(packet)
            if time_ns in keep if packet.stream.index == video.index else time_ns <= last_ns:
                _mux(out, packet, copies[packet.stream.index])


def _mux(out: OutputContainer, packet: Packet[Any], stream: Any) -> None:
    packet.stream = stream
    out.mux_one(packet)


def _open(path: Path) -> InputContainer:
    try:
        container = av.open(path)
    except (av.FFmpegError, OSError) as error:
        raise SourceError(f"{path}: cannot be opened as a video ({error.strerror})") from error
    if not container.streams.video:
        container.close()
        raise SourceError(f"{path}: holds no video stream")
    return container


def _readable(container: InputContainer, streams: Sequence[Any]) -> Iterator[Packet[Any]]:
    """The packets up to the end, or to where the file cannot be read on."""
    try:
        yield from container.demux(*streams)
    except av.FFmpegError:
        return


def _tail_start(packets: Sequence[Packet[Any]]) -> int:
    """Number of the last key packet from which on there is enough to decode; 0 if all is needed."""
    end_ns = time_of(packets[-1])
    numbers = range(len(packets) - 1, 0, -1)
    early = (n for n in numbers if packets[n].is_keyframe and end_ns - time_of(packets[n]) >= _TAIL_NS)
    return next(early, 0)


def _is_picture(packet: Packet[Any]) -> bool:
    """Whether it holds a whole picture or text; the last one of a stream, which ends it, holds nothing."""
    return packet.size > 0 and packet.pts is not None and not packet.is_corrupt
