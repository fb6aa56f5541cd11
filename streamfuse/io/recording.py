"""A recording of our own, played again with the capture times of its index.

``recording://FOLDER`` names a folder that :class:`~streamfuse.io.recorder.Recorder` wrote; with
``?pipeline=NAME`` only the segments of that pipeline, where the folder holds several. What a crash
left is played as far as it goes, and told at the end.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

from streamfuse.clock import NS_PER_MS, NS_PER_S
from streamfuse.config.sources import SourceConfig
from streamfuse.core.clockfit import Stamp, TimeSource
from streamfuse.errors import SourceError, SourceTruncatedError, UsageError
from streamfuse.frames import StreamName
from streamfuse.io.media import VideoSource
from streamfuse.io.recorder import INDEX_SCHEMA
from streamfuse.io.source import SourceFrame, SourceInfo

__all__ = ["RecordingSource"]

_US = timedelta(microseconds=1)
_SAME_NS = NS_PER_MS // 2
"""A picture and a line whose times in the video are closer belong together; lines are a millisecond apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Segment:
    """One video with the lines of its index."""

    video: Path
    pipeline: str
    fps: float
    start_utc: datetime
    lines: tuple[tuple[int, int], ...]
    """Time in the video and capture time, in nanoseconds."""


class RecordingSource:
    """The fused video of a recording, segment after segment, each frame with its own capture time.

    Args:
        config: Its ``uri`` names the folder.
        stream: Which stream of the pair it stands for.

    Raises:
        SourceError: no such folder, no segment in it, or one that cannot be read.
        UsageError: several pipelines without a choice, or a stream that is not recorded.
    """

    def __init__(self, config: SourceConfig, *, stream: StreamName) -> None:
        self._stream = stream
        self._label = f"{stream}: {config.uri}"
        folder, wanted = self._parse(config.uri)
        self._flaws: list[str] = []
        self._segments = self._choose(self._find(folder), wanted)
        self._ended = False
        self._taken = 0
        self._video = self._open(self._segments[0])
        self._frames = self._run()
        count = sum(len(segment.lines) for segment in self._segments)
        fps = self._segments[0].fps
        self._info = SourceInfo(spec=self._video.info.spec, fps=fps, frame_count=count, live=False)

    @property
    def info(self) -> SourceInfo:
        """Spec of the first segment, which is that of all, and the number of frames in the indexes."""
        return self._info

    def read(self) -> SourceFrame | None:
        """The next frame, stamped with its capture time, or None at the end.

        Raises:
            SourceTruncatedError: once, at the end, if something of the recording is missing.
            SourceError: a segment cannot be read, does not fit its index, or has another size.
        """
        frame = next(self._frames, None)
        if frame is not None:
            self._taken += 1
        elif self._flaws and not self._ended:
            self._ended = True
            raise SourceTruncatedError(f"{self._label}: {'; '.join(self._flaws)}")
        return frame

    def skip(self, count: int) -> None:
        """Decode and drop up to frame ``count``.

        Raises:
            ValueError: the source is past that frame already.
        """
        if count < self._taken:
            raise ValueError(f"cannot go back to frame {count}, {self._taken} were read")
        while self._taken < count and next(self._frames, None) is not None:
            self._taken += 1

    def close(self) -> None:
        """Close the video at hand; may be called twice."""
        self._frames.close()
        self._video.close()
        self._ended = True

    def _parse(self, uri: str) -> tuple[Path, str | None]:
        place, _, query = uri.partition("://")[2].partition("?")
        asked = {key: values[-1] for key, values in parse_qs(query, keep_blank_values=True).items()}
        recorded, wanted = asked.pop("stream", "fused"), asked.pop("pipeline", None)
        if asked:
            raise UsageError(f"{self._label}: unknown key {min(asked)}; there are stream and pipeline")
        if recorded != "fused":
            raise UsageError(f"{self._label}: {recorded} is not recorded; take stream=fused")
        return Path(unquote(place)), wanted

    def _find(self, folder: Path) -> list[_Segment]:
        """The segments of a folder, oldest first; a video or an index alone is a flaw."""
        try:
            names = sorted(path.name for path in folder.iterdir() if path.suffix in {".mp4", ".jsonl"})
        except OSError as error:
            raise SourceError(
                f"{self._label}: cannot be listed ({error.strerror}); check the path"
            ) from error
        stems = sorted({Path(name).stem for name in names})
        segments = []
        for stem in stems:
            alone = {f"{stem}.mp4", f"{stem}.jsonl"}.difference(names)
            if alone:
                self._flaws.append(f"{alone.pop()} is missing")
            else:
                segments.append(_load(folder / f"{stem}.jsonl", self._label))
        if not segments:
            raise SourceError(
                f"{self._label}: holds no whole segment (an .mp4 with its .jsonl); "
                "give the folder that a pipeline recorded into"
            )
        return sorted(segments, key=lambda segment: (segment.start_utc, segment.video.name))

    def _choose(self, segments: list[_Segment], wanted: str | None) -> list[_Segment]:
        pipelines = sorted({segment.pipeline for segment in segments})
        if wanted is None and len(pipelines) > 1:
            raise UsageError(f"{self._label}: add ?pipeline= one of {', '.join(pipelines)}")
        chosen = [segment for segment in segments if wanted in {None, segment.pipeline}]
        if not chosen:
            raise UsageError(f"{self._label}: no pipeline {wanted}; there are {', '.join(pipelines)}")
        return chosen

    def _open(self, segment: _Segment) -> VideoSource:
        return VideoSource(segment.video, stream=self._stream)

    def _run(self) -> Generator[SourceFrame, None, None]:
        origin_ns, last_ns, before = None, -1, None
        for segment in self._segments:
            if before is not None:
                self._video.close()
                self._video = self._open(segment)
            self._check_spec(segment)
            first_capture_ns = segment.lines[0][1]
            # The origin moves where the monotonic clock began anew: at a restart of the machine.
            if origin_ns is None or before is None:
                origin_ns = first_capture_ns
            elif first_capture_ns - origin_ns <= last_ns:
                gap_ns = (segment.start_utc - before.start_utc) // _US * 1_000
                start_ns = before.lines[0][1] - origin_ns + gap_ns
                origin_ns = first_capture_ns - max(start_ns, last_ns + NS_PER_MS)
            for frame, capture_ns in self._pictures(segment):
                last_ns = max(last_ns + 1, capture_ns - origin_ns)
                stamp = Stamp(source=TimeSource.FILE, time_ns=capture_ns)
                yield SourceFrame(image=frame.image, pts_ns=last_ns, stamp=stamp)
            before = segment

    def _pictures(self, segment: _Segment) -> Iterator[tuple[SourceFrame, int]]:
        """The pictures of a segment with their capture times; lines without a picture are a flaw."""
        lines, shown = iter(segment.lines), 0
        while (frame := self._next()) is not None:
            line = next((line for line in lines if line[0] > frame.pts_ns - _SAME_NS), None)
            if line is None or line[0] > frame.pts_ns + _SAME_NS:
                raise SourceError(
                    f"{self._label}: the picture at {frame.pts_ns / NS_PER_S:.3f} s of "
                    f"{segment.video.name} is not in its index; the two files are not of one recording"
                )
            shown += 1
            yield frame, line[1]
        if shown < len(segment.lines):
            missing = len(segment.lines) - shown
            self._flaws.append(f"{segment.video.name} lacks {missing} of {len(segment.lines)} pictures")

    def _next(self) -> SourceFrame | None:
        try:
            return self._video.read()
        except SourceTruncatedError:  # counted by the index
            return None

    def _check_spec(self, segment: _Segment) -> None:
        spec, first = self._video.info.spec, self._info.spec
        if spec != first:
            sizes = " after ".join("{}x{} {}".format(*each.size_wh, each.format) for each in (spec, first))
            raise SourceError(
                f"{self._label}: {segment.video.name} is {sizes}, and a stream has one size and form; "
                "move it to a folder of its own"
            )


def _load(index: Path, label: str) -> _Segment:
    """Read an index; a last line that a crash cut off is left out.

    Raises:
        SourceError: it cannot be read or is no index of this version.
    """
    try:
        text, _, _ = index.read_text(encoding="utf-8").rpartition("\n")
        head, *records = [json.loads(line) for line in text.splitlines()]
        return _segment_of(index, head, records)
    except OSError as error:
        raise SourceError(f"{label}: {index.name} cannot be read ({error.strerror})") from error
    except (KeyError, TypeError, ValueError) as error:
        raise SourceError(
            f"{label}: {index.name} is no index of version {INDEX_SCHEMA} with a frame ({error}); "
            "move it and its video away"
        ) from error


def _segment_of(index: Path, head: dict[str, Any], records: list[dict[str, Any]]) -> _Segment:
    if head["streamfuse_index"] != INDEX_SCHEMA:
        raise ValueError(f"its version is {head['streamfuse_index']}")
    lines = tuple((round(line["pts_ms"] * NS_PER_MS), int(line["capture_ns"])) for line in records)
    if not lines:
        raise ValueError("it holds no frame")
    return _Segment(
        video=index.with_suffix(".mp4"),
        pipeline=str(head["pipeline"]),
        fps=float(head["fps"]),
        start_utc=datetime.fromisoformat(head["start_utc"]),
        lines=lines,
    )
