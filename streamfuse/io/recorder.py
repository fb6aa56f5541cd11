"""The recorder: fused video in segments, each with an index that tells the story of every frame.

A segment is ``NAME-YYYYMMDDThhmmssZ-0001.mp4``, named by the UTC of its first frame, with
``NAME-YYYYMMDDThhmmssZ-0001.jsonl`` beside it. The first line of an index is a header; then comes
one line per frame: its event (:func:`streamfuse.core.pair_record.pair_record`) and its ``pts_ms`` in the
video. A line is written once the encoder took the frame. So after a clean end both files hold the
same frames, and after a crash the index may hold up to a second more than the video.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from streamfuse.clock import NS_PER_MS, NS_PER_S, Utc
from streamfuse.core.pair_record import pair_record
from streamfuse.errors import OutputError
from streamfuse.frames import FusedFrame
from streamfuse.io.encode import VideoWriter, pick_encoder
from streamfuse.io.files import check_writable

__all__ = ["INDEX_SCHEMA", "Recorder"]

INDEX_SCHEMA = 1
"""Version of the header, in its ``streamfuse_index``; the other lines are events with a ``pts_ms``."""

_NOT_IN_NAMES = re.compile(r"[^\w.-]+")


class Recorder:
    """Records fused frames into segments that are readable at any moment.

    A new segment begins when ``segment_s`` has passed in capture time, when the image changes its
    size or form, and after an error; no frame is lost in between.

    Args:
        folder: Where the segments go; created if need be.
        name: Of the pipeline; the first part of every file name.
        fps: Nominal frames per second.
        utc: Gives frames their UTC.
        segment_s: Length of a segment in seconds.
        codec: As for :func:`streamfuse.io.encode.pick_encoder`.

    Raises:
        OutputError: the folder cannot be written.
        MachineError: no encoder works.
    """

    def __init__(
        self,
        folder: Path | str,
        *,
        name: str,
        fps: float,
        utc: Utc,
        segment_s: float = 60.0,
        codec: str = "auto",
    ) -> None:
        if segment_s <= 0:
            raise ValueError(f"a segment must be longer than 0 s, got {segment_s}")
        self._folder = Path(folder)
        self._name = name
        self._fps = fps
        self._utc = utc
        self._segment_ns = round(segment_s * NS_PER_S)
        self._codec = codec
        self._segment: _Segment | None = None
        self._paths: list[Path] = []
        check_writable(self._folder)
        pick_encoder(codec)

    @property
    def paths(self) -> tuple[Path, ...]:
        """The videos begun so far, in order."""
        return tuple(self._paths)

    def write(self, frame: FusedFrame) -> None:
        """Record one frame.

        A frame that was not captured after the one before it is shown a millisecond after it; its
        line in the index has the true time.

        Raises:
            OutputError: the segment cannot be begun or written on; the next frame begins another.
        """
        if self._segment is not None and self._segment.is_over(frame, self._segment_ns):
            self.close()
        try:
            if self._segment is None:
                self._segment = self._begin(frame)
                self._segment.write_header(pipeline=self._name)
            self._segment.write(frame)
        except OutputError:
            with contextlib.suppress(OutputError):
                self.close()
            raise

    def close(self) -> None:
        """Finish the segment at hand; may be called twice.

        Raises:
            OutputError: its end cannot be written.
        """
        segment, self._segment = self._segment, None
        if segment is not None:
            segment.close()

    def _begin(self, frame: FusedFrame) -> _Segment:
        number = len(self._paths) + 1
        start = datetime.fromtimestamp(self._utc.utc_of(frame.capture_ns) // NS_PER_S, UTC)
        prefix = f"{_NOT_IN_NAMES.sub('-', self._name)}-{start:%Y%m%dT%H%M%SZ}"
        # A recorder that was started again within the second must not overwrite its forerunner.
        while (path := self._folder / f"{prefix}-{number:04d}.mp4").exists():
            number += 1
        try:
            segment = _Segment(path, frame, fps=self._fps, codec=self._codec, utc=self._utc)
        except OutputError:
            path.unlink(missing_ok=True)  # on a full disk every frame would leave an empty file
            raise
        self._paths.append(path)
        return segment


class _Segment:
    """One video and its index."""

    def __init__(self, path: Path, first: FusedFrame, *, fps: float, codec: str, utc: Utc) -> None:
        self._path = path
        self._spec = first.image.spec
        self._fps = fps
        self._utc = utc
        self._start_ns = first.capture_ns
        self._start_utc = pair_record(first, utc)["capture_utc"]
        self._last_pts_ns = -NS_PER_MS
        self._writer = VideoWriter(path, self._spec, fps=fps, codec=codec)
        try:
            self._index = path.with_suffix(".jsonl").open("wb")
        except OSError as error:
            self._writer.close()
            raise self._failed(error) from error

    def is_over(self, frame: FusedFrame, length_ns: int) -> bool:
        """Whether ``frame`` belongs to the next segment."""
        return frame.capture_ns - self._start_ns >= length_ns or frame.image.spec != self._spec

    def write_header(self, *, pipeline: str) -> None:
        """Write the first line of the index."""
        self._write_line(
            {
                "streamfuse_index": INDEX_SCHEMA,
                "pipeline": pipeline,
                "video": self._path.name,
                "size_wh": self._spec.size_wh,
                "fps": self._fps,
                "codec": self._writer.encoder.name,
                "start_utc": self._start_utc,
                "start_capture_ns": self._start_ns,
            }
        )

    def write(self, frame: FusedFrame) -> None:
        """Hand the image to the encoder, then note the frame."""
        pts_ns = max(frame.capture_ns - self._start_ns, self._last_pts_ns + NS_PER_MS)
        self._writer.write(frame.image, pts_ns)
        self._last_pts_ns = pts_ns
        self._write_line({"pts_ms": round(pts_ns / NS_PER_MS, 3), **pair_record(frame, self._utc)})

    def close(self) -> None:
        """Finish both files, the index even if the video cannot be."""
        try:
            self._writer.close()
        finally:
            try:
                self._index.close()
            except OSError as error:
                raise self._failed(error) from error

    def _write_line(self, line: Mapping[str, Any]) -> None:
        try:
            self._index.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
            self._index.flush()
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> OutputError:
        return OutputError(
            f"{self._path.with_suffix('.jsonl')}: cannot be written ({error.strerror}); "
            "check the folder, its rights and the free space"
        )
