"""The files of one segment: a video for each track, and the index of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from av.video.stream import VideoStream

from streamfuse.clock import NS_PER_MS, NS_PER_S, Utc
from streamfuse.core.pair_record import pair_record
from streamfuse.errors import OutputError
from streamfuse.frames import Detection, FusedFrame
from streamfuse.io.closing import Closing
from streamfuse.io.index import INDEX_SCHEMA
from streamfuse.io.recorder.index import IndexFile
from streamfuse.io.recorder.tracks import INDEX
from streamfuse.io.shelf import Track, index_path, segment_path
from streamfuse.io.video.encoder import VideoPacket
from streamfuse.io.video.file import VideoFile

__all__ = ["Segment", "SegmentPlan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentPlan:
    """What a segment is to be.

    Raises:
        ValueError: a rate that is not above 0.
    """

    folder: Path
    stem: str
    pipeline: str
    tracks: frozenset[Track]
    fps: float
    codec: str
    texts: bool
    """Whether the fused video carries the objects as a text track."""

    def __post_init__(self) -> None:
        if not self.fps > 0:
            raise ValueError(f"fps must be above 0, got {self.fps}")

    @property
    def video(self) -> Path:
        """Where the fused video will lie."""
        return segment_path(self.folder, self.stem, Track.FUSED)


class Segment(Closing):
    """One segment while it is written. A video begins with its first packet, so one without any has no file.

    Args:
        plan: What it is to be.
        first: The frame it begins with.
        start_ns: The time at which that is shown; 0 in all files.
        utc: Gives frames their UTC.

    Raises:
        OutputError: the index cannot be made.
    """

    def __init__(self, plan: SegmentPlan, first: FusedFrame, *, start_ns: int, utc: Utc) -> None:
        self.plan = plan
        self.start_ns = start_ns
        self._utc = utc
        self._files: dict[Track, VideoFile] = {}
        self._lost: set[Track] = set()
        self._caption: tuple[str, int] | None = None
        self._last_ns = start_ns
        self._index = IndexFile(index_path(plan.folder, plan.stem))
        self._index.write(_header(plan, first, utc), pts_ns=0)

    @property
    def length_s(self) -> float:
        """Seconds from its first frame to its last."""
        return (self._last_ns - self.start_ns) / NS_PER_S

    @property
    def nbytes(self) -> Mapping[str, int]:
        """Bytes by track, and of the index."""
        return {
            INDEX: self._index.nbytes,
            **{track.value: each.nbytes for track, each in self._files.items()},
        }

    @property
    def is_there(self) -> bool:
        """Whether its index can still be found on the disk: nobody has removed it."""
        return self._index.is_there

    def has(self, track: Track) -> bool:
        """Whether a track has begun, and was not given up."""
        return track in self._files

    def wants(self, track: Track) -> bool:
        """Whether packets of a track belong in here."""
        return track in self.plan.tracks and track not in self._lost

    def write(self, track: Track, packets: Sequence[VideoPacket], template: VideoStream) -> None:
        """Add packets to a video; the first one of all is a key.

        Raises:
            OutputError: they cannot be written; the video is given up as it is, the others go on.
        """
        if not packets or not self.wants(track):
            return
        try:
            if track not in self._files:
                path = segment_path(self.plan.folder, self.plan.stem, track)
                texts = self.plan.texts and track is Track.FUSED
                self._files[track] = VideoFile(path, template, start_ns=self.start_ns, texts=texts)
            for packet in packets:
                self._files[track].write(packet)
        except OutputError:
            self._lost.add(track)
            self._files.pop(track, None)
            raise

    def note(self, frame: FusedFrame, shown_ns: int) -> None:
        """Add the frame's line to the index, and its objects to the texts.

        Raises:
            OutputError: that cannot be done.
        """
        pts_ns = shown_ns - self.start_ns
        line = {"pts_ms": round(pts_ns / NS_PER_MS, 3), **pair_record(frame, self._utc)}
        self._index.write(line, pts_ns=pts_ns)
        self._last_ns = shown_ns
        if self.plan.texts:
            self._write_caption(until_ns=shown_ns)
            caption = caption_of(frame.detections)
            self._caption = (caption, shown_ns) if caption else None

    def close(self) -> None:
        """Finish all files, each even if another cannot be.

        Raises:
            OutputError: of the first one that cannot be finished; it stays as ``.part``.
        """
        problems = []
        try:
            self._write_caption(until_ns=self._last_ns + round(NS_PER_S / self.plan.fps))
        except OutputError as problem:
            problems.append(problem)
        for each in (*self._files.values(), self._index):
            try:
                each.close()
            except OutputError as problem:
                problems.append(problem)
        if problems:
            raise problems[0]

    def abandon(self) -> None:
        """Let go of all files as they are: readable, and still called ``.part``."""
        for video in self._files.values():
            video.abandon()
        self._index.abandon()

    def _write_caption(self, *, until_ns: int) -> None:
        """The text of the frame before, now that it is known for how long it is shown."""
        caption, self._caption = self._caption, None
        file = self._files.get(Track.FUSED)
        if caption is not None and file is not None:
            text, pts_ns = caption
            file.write_text(text, pts_ns=pts_ns, duration_ns=until_ns - pts_ns)


def caption_of(detections: Sequence[Detection]) -> str:
    """The objects of a frame as a text, a line each: ``person 0.88 #4``."""
    return "\n".join(
        f"{each.class_name} {each.confidence:.2f}{'' if each.track_id is None else f' #{each.track_id}'}"
        for each in detections
    )


def _header(plan: SegmentPlan, first: FusedFrame, utc: Utc) -> dict[str, Any]:
    """The first line of the index."""
    files = {
        track.value: segment_path(plan.folder, plan.stem, track).name
        for track in Track
        if track in plan.tracks
    }
    return {
        "streamfuse_index": INDEX_SCHEMA,
        "pipeline": plan.pipeline,
        "video": files.get(Track.FUSED),
        "tracks": files,
        "size_wh": first.image.spec.size_wh,
        "fps": plan.fps,
        "codec": plan.codec,
        "start_utc": pair_record(first, utc)["capture_utc"],
        "start_capture_ns": first.capture_ns,
    }
