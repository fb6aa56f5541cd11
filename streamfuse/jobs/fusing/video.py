"""A pair of videos, matched in time, to one video."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from streamfuse.clock import NS_PER_S
from streamfuse.config.sources import Agc
from streamfuse.core.thermal.agc import make_agc
from streamfuse.engine.fusion import FusionEngine
from streamfuse.engine.video import VideoFusion
from streamfuse.errors import OutputError, SourceError, SourceTruncatedError, UsageError
from streamfuse.frames import Image, PixelFormat, StreamName
from streamfuse.io.by_time import pair_by_time
from streamfuse.io.files import check_writable
from streamfuse.io.media import VideoSource
from streamfuse.io.source import SourceFrame, SourceInfo
from streamfuse.io.video.writer import VideoWriter
from streamfuse.jobs.fusing.job import FuseJob, FuseReport, Progress
from streamfuse.jobs.fusing.overlap import WriteBehind, read_ahead

__all__ = ["fuse_videos"]

VideoPair = tuple[SourceFrame, SourceFrame | None]


def fuse_videos(job: FuseJob, engine: FusionEngine, *, on_progress: Progress) -> FuseReport:
    """Fuse two videos frame by frame; see :func:`streamfuse.jobs.fuse.fuse`."""
    _check_out(job)
    part = job.out.with_name(f".{job.out.stem}.part.mp4")
    with contextlib.ExitStack() as stack:
        stack.callback(part.unlink, missing_ok=True)
        visible = stack.enter_context(contextlib.closing(_Video(job.visible, StreamName.VISIBLE)))
        infrared = stack.enter_context(contextlib.closing(_Video(job.infrared, StreamName.INFRARED)))
        slower_fps = _check_match(visible.info, infrared.info)
        pairs = pair_by_time(visible, infrared, max_skew_ns=round(NS_PER_S / slower_fps / 2))
        target = stack.enter_context(contextlib.closing(_Target(part, fps=visible.info.fps)))
        count = _Count(on_progress, visible.info.frame_count)
        _fuse_all(job, engine, pairs, target, count)
        if not count.written:
            raise SourceError(
                f"no frame of {job.visible} has a partner in {job.infrared} at its time; "
                "are they of one recording?"
            )
        target.finish(job.out)
    return FuseReport(
        out=job.out,
        written=count.written,
        unmatched=tuple(count.unmatched),
        truncated=visible.cut or infrared.cut,
    )


def _fuse_all(
    job: FuseJob, engine: FusionEngine, pairs: Iterator[VideoPair], target: _Target, count: _Count
) -> None:
    video = VideoFusion(engine, job.mode)
    with ThreadPoolExecutor(1) as readers, ThreadPoolExecutor(1) as writers:
        sink = WriteBehind(writers, target.write, waiting=2 * job.batch)
        for batch in read_ahead(readers, _batches(pairs, job.batch)):
            matched = [(visible, infrared) for visible, infrared in batch if infrared is not None]
            images = video.fuse([(v.image, i.image) for v, i in matched], [v.pts_ns for v, _ in matched])
            for (visible, _), image in zip(matched, images, strict=True):
                sink.put(SourceFrame(image=image, pts_ns=visible.pts_ns))
            count.add(batch)
        sink.finish()


def _batches(pairs: Iterator[VideoPair], size: int) -> Iterator[list[VideoPair]]:
    while batch := list(itertools.islice(pairs, size)):
        yield batch


class _Count:
    """Numbers the visible frames and tells them to the caller's callback."""

    def __init__(self, on_progress: Progress, total: int | None) -> None:
        self._on_progress = on_progress
        self._total = total
        self.written = 0
        self.unmatched: list[str] = []
        on_progress(0, total)

    def add(self, batch: list[VideoPair]) -> None:
        for _, infrared in batch:
            if infrared is None:
                self.unmatched.append(f"frame {self.written + len(self.unmatched)}")
            else:
                self.written += 1
        self._on_progress(self.written + len(self.unmatched), self._total)


class _Video:
    """A video to its end, or to where it is cut; 16-bit counts come out in 8 bits that do not pump."""

    def __init__(self, path: Path, stream: StreamName) -> None:
        self._source = VideoSource(path, stream=stream)
        self._agc = make_agc(Agc())
        self.cut: SourceTruncatedError | None = None
        """Set at the end, if the file was cut or damaged."""

    @property
    def info(self) -> SourceInfo:
        return self._source.info

    def read(self) -> SourceFrame | None:
        try:
            frame = self._source.read()
        except SourceTruncatedError as error:
            self.cut = error
            return None
        if frame is None or frame.image.spec.format is not PixelFormat.GRAY16:
            return frame
        gray = self._agc.apply(frame.image.planes[0].astype("uint16", copy=False), frame.pts_ns)
        return SourceFrame(image=Image.from_gray(gray), pts_ns=frame.pts_ns)

    def close(self) -> None:
        self._source.close()


class _Target:
    """The video being written, opened by its first frame, which knows the form of all."""

    def __init__(self, part: Path, *, fps: float) -> None:
        self._part = part
        self._fps = fps
        self._writer: VideoWriter | None = None

    def write(self, frame: SourceFrame) -> None:
        if self._writer is None:
            self._writer = VideoWriter(self._part, frame.image.spec, fps=self._fps)
        self._writer.write(frame.image, frame.pts_ns)

    def finish(self, out: Path) -> None:
        """Complete the file and move it to its place."""
        self.close()
        try:
            self._part.replace(out)
        except OSError as error:
            raise OutputError(f"{out}: cannot be written ({error.strerror})") from error

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


def _check_out(job: FuseJob) -> None:
    if job.out.suffix.lower() != ".mp4":
        raise UsageError(f"a pair of videos becomes an MP4, so --out must end in .mp4; got {job.out}")
    if job.out.exists() and not job.overwrite:
        raise UsageError(f"{job.out} exists; add --overwrite to replace it, or choose another name")
    check_writable(job.out.parent)


def _check_match(visible: SourceInfo, infrared: SourceInfo) -> float:
    """The lower of the two frame rates, if they can be fused."""
    if visible.spec.format is PixelFormat.GRAY16:
        raise UsageError("the visible video has 16-bit samples; are visible and infrared exchanged?")
    (width, height), (other_width, other_height) = visible.spec.size_wh, infrared.spec.size_wh
    if (width, height) != (other_width, other_height):
        raise UsageError(
            f"the visible video is {width}x{height} and the infrared one {other_width}x{other_height}; "
            "register one to the other first, or run a pipeline, which takes a rig"
        )
    return min(visible.fps, infrared.fps)
