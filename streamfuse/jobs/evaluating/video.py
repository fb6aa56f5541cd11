"""How steady fused videos are: every frame against the frames of the two sources it was made of."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from streamfuse.config.sources import Agc
from streamfuse.core.thermal.agc import make_agc
from streamfuse.errors import UsageError
from streamfuse.frames import PixelFormat, StreamName
from streamfuse.geometry.gray import gray8
from streamfuse.io.source import SourceInfo
from streamfuse.io.sources import open_source
from streamfuse.jobs.evaluating.matching import set_names
from streamfuse.metrics.temporal import TemporalMeter, TemporalReport

__all__ = ["VideoEvaluation", "VideoReport", "evaluate_videos"]

Gray = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoEvaluation:
    """Two sources and what was fused of them: video files, or folders of images in the order of time.

    Raises:
        UsageError: no fused video, or one given twice.
    """

    visible: Path
    infrared: Path
    fused: tuple[Path, ...]

    def __post_init__(self) -> None:
        if not self.fused:
            raise UsageError("give at least one fused video")
        set_names(self.fused)


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoReport:
    """The measures of each fused video, by its file name."""

    sets: Mapping[str, TemporalReport]
    frame_count: int

    def as_dict(self) -> dict[str, object]:
        """Means, worst frames and all frames of each set in grey levels, in plain values, for JSON."""
        return {
            "frame_count": self.frame_count,
            "sets": {
                name: {
                    "mean": report.mean(),
                    "worst": report.worst(),
                    "frames": {key: values.tolist() for key, values in report.series.items()},
                }
                for name, report in self.sets.items()
            },
        }


def evaluate_videos(
    job: VideoEvaluation, *, on_progress: Callable[[int, int | None], None] = lambda _done, _total: None
) -> VideoReport:
    """Measure flicker, jitter and contrast of fused videos; see :mod:`streamfuse.metrics.temporal`.

    All are decoded side by side, one frame at a time, and compared as full-range 8-bit luma. Frame n of a
    fused video must be that of frame n of both sources.

    Args:
        job: what to compare.
        on_progress: called in this thread with the frames that are done and, where known, those there are.

    Raises:
        UsageError: sizes or numbers of frames that differ, 16-bit samples anywhere but in the infrared
            video, or fewer than three frames.
        SourceError: a video cannot be opened, or read to its end.
    """
    names = set_names(job.fused)
    meters = [TemporalMeter() for _ in names]
    with contextlib.ExitStack() as stack:
        videos = [
            stack.enter_context(contextlib.closing(_Video(path, stream)))
            for path, stream in [
                (job.visible, StreamName.VISIBLE),
                (job.infrared, StreamName.INFRARED),
                *((path, StreamName.VISIBLE) for path in job.fused),
            ]
        ]
        total = _check_match(videos)
        done = 0
        on_progress(done, total)
        while (planes := _read_all(videos, done)) is not None:
            for meter, fused in zip(meters, planes[2:], strict=True):
                meter.add(visible=planes[0], infrared=planes[1], fused=fused)
            done += 1
            on_progress(done, total)
    reports = {name: meter.report() for name, meter in zip(names, meters, strict=True)}
    return VideoReport(sets=reports, frame_count=done)


class _Video:
    """A source as a run of luma planes; 16-bit counts come out in 8 bits that do not pump, as in ``fuse``."""

    def __init__(self, path: Path, stream: StreamName) -> None:
        self.path = path
        self._source = open_source(str(path), stream=stream)
        self._agc = make_agc(Agc())

    @property
    def info(self) -> SourceInfo:
        return self._source.info

    def read(self) -> Gray | None:
        frame = self._source.read()
        if frame is None:
            return None
        if frame.image.spec.format is not PixelFormat.GRAY16:
            return gray8(frame.image)
        return self._agc.apply(frame.image.planes[0].astype(np.uint16, copy=False), frame.pts_ns)

    def close(self) -> None:
        self._source.close()


def _check_match(videos: Sequence[_Video]) -> int | None:
    """The number of frames of all, where known, if the videos can be compared."""
    first, infrared, *_ = videos
    for video in videos:
        (width, height), wanted = video.info.spec.size_wh, first.info.spec.size_wh
        if (width, height) != wanted:
            raise UsageError(
                f"{video.path} is {width}x{height} and {first.path} {wanted[0]}x{wanted[1]}; "
                "register the sources and fuse them at one size first"
            )
        if video is not infrared and video.info.spec.format is PixelFormat.GRAY16:
            raise UsageError(f"{video.path} has 16-bit samples, which only the infrared video may have")
    counts = {video.path: video.info.frame_count for video in videos}
    known = {count for count in counts.values() if count is not None}
    if len(known) > 1:
        held = ", ".join(f"{path} {count}" for path, count in counts.items() if count is not None)
        raise _unequal(f"the numbers of frames differ: {held}")
    return known.pop() if known else None


def _read_all(videos: Sequence[_Video], done: int) -> list[Gray] | None:
    """The next frame of every video, or None when all have ended together."""
    planes = [video.read() for video in videos]
    ended = [video.path for video, plane in zip(videos, planes, strict=True) if plane is None]
    if 0 < len(ended) < len(videos):
        raise _unequal(f"{ended[0]} ends after {done} frames and others go on")
    return [plane for plane in planes if plane is not None] or None


def _unequal(what: str) -> UsageError:
    return UsageError(
        f"{what}; frame n is compared with frame n, so fuse sources whose frames all have a partner "
        "(fuse leaves out those without), or cut all to the same frames"
    )
