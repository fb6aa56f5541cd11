"""A recording of our own, played again with the capture times of its index.

``recording://FOLDER`` names a folder that a pipeline recorded into. ``?stream=`` chooses what is played
(fused, visible, infrared or raw_infrared), ``?pipeline=NAME`` whose, where the folder holds several.
All streams of a recording start at its first pair and come with the capture times of their pairs, so a
recorded visible and infrared stream make the same pairs again. What is still being written is left out;
what a crash left is played as far as it goes, and told at the end.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, unquote

from streamfuse.clock import NS_PER_MS, NS_PER_S
from streamfuse.config.sources import SourceConfig
from streamfuse.core.clockfit import Stamp, TimeSource
from streamfuse.errors import SourceError, SourceTruncatedError, UsageError
from streamfuse.frames import StreamName
from streamfuse.io.index import SAME_NS, Index, lines_with, read_index
from streamfuse.io.media import VideoSource
from streamfuse.io.shelf import SegmentFiles, Track, list_segments, segment_path
from streamfuse.io.source import SourceFrame, SourceInfo

__all__ = ["RecordingSource"]

_US = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Segment:
    """One video with the index of its segment."""

    video: Path
    track: Track
    index: Index

    @property
    def first_capture_ns(self) -> int:
        """Capture time of its first pair."""
        return self.index.lines[0].capture_ns

    @property
    def count(self) -> int:
        """Pictures that the video should have at least."""
        return sum(1 for _ in lines_with(self.track, self.index.lines))


class RecordingSource:
    """One stream of a recording, segment after segment, each frame with the capture time of its pair.

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
        folder, self._track, wanted = self._parse(config.uri)
        self._flaws: list[str] = []
        self._segments = self._choose(self._find(folder), wanted)
        self._ended = False
        self._taken = 0
        self._video = self._open(self._segments[0])
        self._frames = self._run()
        held = self._track in {Track.INFRARED, Track.RAW_INFRARED}
        count = None if held else sum(segment.count for segment in self._segments)
        fps = self._segments[0].index.fps
        self._info = SourceInfo(spec=self._video.info.spec, fps=fps, frame_count=count, live=False)

    @property
    def info(self) -> SourceInfo:
        """Spec of the first segment, which is that of all; the number of frames, where no one is held."""
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

    def _parse(self, uri: str) -> tuple[Path, Track, str | None]:
        place, _, query = uri.partition("://")[2].partition("?")
        asked = {key: values[-1] for key, values in parse_qs(query, keep_blank_values=True).items()}
        recorded, wanted = asked.pop("stream", Track.FUSED.value), asked.pop("pipeline", None)
        if asked:
            raise UsageError(f"{self._label}: unknown key {min(asked)}; there are stream and pipeline")
        if recorded not in [track.value for track in Track]:
            raise UsageError(f"{self._label}: no stream {recorded}; there are {', '.join(Track)}")
        return Path(unquote(place)), Track(recorded), wanted

    def _find(self, folder: Path) -> list[_Segment]:
        """The closed segments of a folder, oldest first; a video or an index alone is a flaw."""
        if not folder.is_dir():
            raise SourceError(f"{self._label}: there is no such folder; check the path")
        listed = list_segments(folder)
        loaded = [self._load(files) for files in listed if not files.is_open]
        segments = [segment for segment in loaded if segment is not None]
        if not segments:
            what = f"{self._track} stream" if listed else "whole segment (an .mp4 with its .jsonl)"
            raise SourceError(
                f"{self._label}: holds no {what}; give the folder that a pipeline recorded into"
            )
        return sorted(segments, key=lambda segment: (segment.index.start_utc, segment.video.name))

    def _load(self, files: SegmentFiles) -> _Segment | None:
        """The track of a segment, if it is there.

        Raises:
            SourceError: its index cannot be read.
        """
        video = files.tracks.get(self._track)
        if files.index is None:
            self._flaws.append(f"{files.stem}.jsonl is missing")
        elif video is None:
            self._note_missing(files, files.index)
        else:
            index = read_index(files.index)
            if index.bad_lines:
                self._flaws.append(f"{index.path.name} has {len(index.bad_lines)} lines that cannot be read")
            if index.lines:
                return _Segment(video=video, track=self._track, index=index)
            self._flaws.append(f"{index.path.name} holds no pair")
        return None

    def _note_missing(self, files: SegmentFiles, path: Path) -> None:
        """Note that a video is not there, unless it was not recorded or had no picture."""
        name = segment_path(Path(), files.stem, self._track).name
        try:
            index = read_index(path)
        except SourceError:
            self._flaws.append(f"{name} is missing")
            return
        if self._track in index.tracks and [*lines_with(self._track, index.lines)]:
            self._flaws.append(f"{name} is missing")

    def _choose(self, segments: list[_Segment], wanted: str | None) -> list[_Segment]:
        pipelines = sorted({segment.index.pipeline for segment in segments})
        if wanted is None and len(pipelines) > 1:
            raise UsageError(f"{self._label}: add ?pipeline= one of {', '.join(pipelines)}")
        chosen = [segment for segment in segments if wanted in {None, segment.index.pipeline}]
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
            first_capture_ns = segment.first_capture_ns
            # The origin moves where the monotonic clock began anew: at a restart of the machine.
            if origin_ns is None or before is None:
                origin_ns = first_capture_ns
            elif first_capture_ns - origin_ns <= last_ns:
                gap_ns = (segment.index.start_utc - before.index.start_utc) // _US * 1_000
                start_ns = before.first_capture_ns - origin_ns + gap_ns
                origin_ns = first_capture_ns - max(start_ns, last_ns + NS_PER_MS)
            for frame, capture_ns in self._pictures(segment):
                last_ns = max(last_ns + 1, capture_ns - origin_ns)
                stamp = Stamp(source=TimeSource.FILE, time_ns=capture_ns)
                yield SourceFrame(image=frame.image, pts_ns=last_ns, stamp=stamp)
            before = segment

    def _pictures(self, segment: _Segment) -> Iterator[tuple[SourceFrame, int]]:
        """The pictures of a segment with their capture times; lines without a picture are a flaw."""
        lines, shown = iter(segment.index.lines), 0
        while (frame := self._next()) is not None:
            shown_ns = self._video.start_ns + frame.pts_ns
            line = next((line for line in lines if line.pts_ns >= shown_ns - SAME_NS), None)
            if line is None or line.pts_ns > shown_ns + SAME_NS:
                raise SourceError(
                    f"{self._label}: the picture at {shown_ns / NS_PER_S:.3f} s of {segment.video.name} "
                    "is not in its index; the two files are not of one recording"
                )
            shown += 1
            yield frame, line.capture_ns
        if shown < segment.count:
            missing = segment.count - shown
            self._flaws.append(f"{segment.video.name} lacks {missing} of {segment.count} pictures")

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
