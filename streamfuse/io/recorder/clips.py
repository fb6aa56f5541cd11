"""Clips of events: videos from packets that are encoded anyway, a thumbnail, and what they are about."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from streamfuse.clock import NS_PER_S, Utc, utc_text
from streamfuse.config.outputs import Clips
from streamfuse.core.clips import ClipBook, ClipCause, ClipState
from streamfuse.errors import OutputError
from streamfuse.frames import Detection, FusedFrame, Image
from streamfuse.io.closing import Closing
from streamfuse.io.recorder.finisher import Finisher
from streamfuse.io.recorder.tracks import TrackEncoder
from streamfuse.io.shelf import CLIP_SUFFIXES, clip_path, part_of
from streamfuse.io.video.encoder import VideoPacket
from streamfuse.io.video.file import VideoFile
from streamfuse.io.video.rolling import Rolling

__all__ = ["CLIP_SCHEMA", "ClipPlace", "ClipWriter"]

CLIP_SCHEMA: Final = 1
"""Version of what a clip is about, in its ``streamfuse_clip``."""
_THUMBNAIL_WIDTH: Final = 640
"""Pixels of a thumbnail's width at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipPlace:
    """Where clips go, and of which pipeline they are."""

    folder: Path
    """Of the recordings."""
    pipeline: str
    fps: float


@dataclass(slots=True, kw_only=True)
class _Clip:
    """A clip at hand."""

    id: str
    about: dict[str, Any]
    began_ns: int
    file: VideoFile | None = None
    start_ns: int = 0
    last_ns: int = 0
    is_lost: bool = False


class ClipWriter(Closing):
    """Writes the clips of the events that frames show.

    Args:
        place: Where they go.
        settings: How much they show before and after the event.
        utc: Gives frames their UTC.
        finisher: Closes the files beside the stream.
        warn: Told of a clip that is lost, in one sentence.
    """

    def __init__(
        self, place: ClipPlace, settings: Clips, *, utc: Utc, finisher: Finisher, warn: Callable[[str], None]
    ) -> None:
        self._place = place
        self._utc = utc
        self._finisher = finisher
        self._warn = warn
        self._book = ClipBook(settings)
        self._rolling = Rolling(settings.pre_s)
        self._clips: dict[str, _Clip] = {}

    def reload(self, settings: Clips) -> None:
        """Go by other lengths; the memory of the last seconds begins anew."""
        self._book.reload(settings)
        self._rolling = Rolling(settings.pre_s)

    def see(
        self, frame: FusedFrame, shown_ns: int, *, packets: Sequence[VideoPacket], encoder: TrackEncoder
    ) -> None:
        """Begin, continue and end clips by one frame.

        Args:
            frame: As it was encoded.
            shown_ns: Its time in the packets.
            packets: What came out of the fused video's encoder for it.
            encoder: That encoder.
        """
        turn = self._book.see(frame.events, shown_ns)
        self._end(turn.over)
        for packet in packets:
            self._rolling.add(packet)
        for state in turn.begun:
            self._begin(state, frame)
        for clip in self._clips.values():
            self._feed(clip, packets, encoder)

    def restart(self) -> None:
        """Another encoder goes on: the clips at hand end here."""
        self._end(self._book.stop())
        self._rolling.clear()

    def close(self) -> None:
        """End the clips at hand; may be called twice."""
        self.restart()

    def _begin(self, state: ClipState, frame: FusedFrame) -> None:
        event = state.event
        clip_id = _free_id(self._place.folder, event.id)
        about: dict[str, Any] = {
            "streamfuse_clip": CLIP_SCHEMA,
            "id": clip_id,
            "event": event.id,
            "rule": event.rule,
            "pipeline": self._place.pipeline,
            "began_utc": self._text_of(event.began_ns),
            "ended_utc": None,
            "objects": event.objects,
            "classes": dict(Counter(each.class_name for each in frame.detections)),
            "size_wh": frame.image.spec.size_wh,
            "fps": self._place.fps,
        }
        self._clips[event.id] = _Clip(id=clip_id, about=about, began_ns=event.began_ns)
        # In memory of its own: the frame's is used again before the thumbnail is drawn.
        image = frame.image.copy()
        self._finisher.do(partial(_write_thumbnail, self._path(clip_id, ".jpg"), image, frame.detections))

    def _feed(self, clip: _Clip, packets: Sequence[VideoPacket], encoder: TrackEncoder) -> None:
        if clip.is_lost:
            return
        try:
            if clip.file is None:
                packets = self._rolling.packets()
                if not packets:
                    return
                self._open(clip, packets[0].pts_ns, encoder)
            assert clip.file is not None
            for packet in packets:
                clip.file.write(packet)
                clip.last_ns = packet.pts_ns + packet.duration_ns
        except OutputError as error:
            clip.is_lost = True
            self._warn(f"the clip of {clip.about['rule']} is cut off: {error}")

    def _open(self, clip: _Clip, start_ns: int, encoder: TrackEncoder) -> None:
        path = self._path(clip.id, ".mp4")
        try:
            path.parent.mkdir(exist_ok=True)
        except OSError as error:
            raise OutputError(f"{path.parent}: cannot be made ({error.strerror})") from error
        clip.file = VideoFile(path, encoder.template, start_ns=start_ns)
        clip.start_ns = clip.last_ns = start_ns
        clip.about |= {
            "codec": encoder.codec,
            "start_utc": self._text_of(start_ns),
            "start_capture_ns": start_ns,
            "event_at_s": round(max(0, clip.began_ns - start_ns) / NS_PER_S, 3),
        }
        self._finisher.do(partial(_write_about, self._path(clip.id, ".json"), dict(clip.about)))

    def _end(self, over: Sequence[tuple[ClipState, ClipCause]]) -> None:
        for state, cause in over:
            clip = self._clips.pop(state.event.id)
            if clip.file is not None and not clip.is_lost:
                self._finisher.do(clip.file.close)
            ended_ns = state.ended_ns
            clip.about |= {
                "ended_utc": None if ended_ns is None else self._text_of(ended_ns),
                "objects": state.objects_max,
                "duration_s": round((clip.last_ns - clip.start_ns) / NS_PER_S, 3),
                "cut_by": "disk" if clip.is_lost else cause,
            }
            self._finisher.do(partial(_write_about, self._path(clip.id, ".json"), dict(clip.about)))

    def _path(self, clip_id: str, suffix: str) -> Path:
        return clip_path(self._place.folder, clip_id, suffix)

    def _text_of(self, time_ns: int) -> str:
        return utc_text(self._utc.utc_of(time_ns))


def _free_id(folder: Path, event_id: str) -> str:
    """The event's id, or one like it: a recorder that was killed has left the first part of the clip."""
    clip_id, number = event_id, 1
    while any(
        path.exists() or part_of(path).exists()
        for path in (clip_path(folder, clip_id, suffix) for suffix in CLIP_SUFFIXES)
    ):
        number += 1
        clip_id = f"{event_id}-{number}"
    return clip_id


def _write_about(path: Path, about: dict[str, Any]) -> None:
    _write_whole(path, f"{json.dumps(about, indent=2)}\n".encode())


def _write_thumbnail(path: Path, image: Image, detections: Sequence[Detection]) -> None:
    # Events are few, and these load OpenCV and numba.
    from streamfuse.core.convert import image_to_rgb  # noqa: PLC0415 - see above
    from streamfuse.io.overlay import draw_overlay, encode_jpeg  # noqa: PLC0415

    picture = draw_overlay(image_to_rgb(image), detections)
    step = -(-picture.shape[1] // _THUMBNAIL_WIDTH)
    _write_whole(path, encode_jpeg(picture[::step, ::step].copy()))


def _write_whole(path: Path, data: bytes) -> None:
    part = part_of(path)
    try:
        path.parent.mkdir(exist_ok=True)
        part.write_bytes(data)
        part.rename(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror})") from error
