"""Folders of images, matched by stem, to a folder of PNG files."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from streamfuse.engine.fusion import FusionEngine
from streamfuse.errors import SourceError
from streamfuse.frames import Image
from streamfuse.io.files import check_writable
from streamfuse.io.images import match_stems, read_gray, read_image, write_png
from streamfuse.jobs.fusing.job import FuseJob, FuseReport, Progress
from streamfuse.jobs.fusing.manifest import FuseSettings, begin
from streamfuse.jobs.fusing.overlap import WriteBehind, read_ahead

__all__ = ["fuse_folder", "read_pair"]

_WRITERS = 4
"""Threads that encode PNG; one takes some 15 ms for a picture of 640x480."""


def fuse_folder(job: FuseJob, engine: FusionEngine, *, on_progress: Progress) -> FuseReport:
    """Fuse the images that both folders have; see :func:`streamfuse.jobs.fuse.fuse`."""
    match = match_stems(job.visible, job.infrared)
    check_writable(job.out)
    tasks = [_Task(visible, infrared, job.out / f"{visible.stem}.png") for visible, infrared in match.pairs]
    exist = any(task.out.exists() for task in tasks)
    started_ns = begin(job, FuseSettings.of(job, engine), results_exist=exist)
    todo = [task for task in tasks if not task.is_done(started_ns)]
    skipped = len(tasks) - len(todo)
    failed: dict[str, str] = {}
    done = skipped
    on_progress(done, len(tasks))
    with ThreadPoolExecutor(1) as readers, ThreadPoolExecutor(_WRITERS) as writers:
        sink = WriteBehind[tuple[Path, Image]](writers, _write, waiting=_WRITERS + job.batch)
        for batch in read_ahead(readers, _read_batches(todo, job.batch)):
            failed |= batch.failed
            for stem in batch.failed:  # an older result must not pass for one of this job
                (job.out / f"{stem}.png").unlink(missing_ok=True)
            for item in zip(batch.outs, engine.fuse_images(batch.pairs, job.mode), strict=True):
                sink.put(item)
            done += len(batch.outs) + len(batch.failed)
            on_progress(done, len(tasks))
        sink.finish()
    return FuseReport(
        out=job.out,
        written=len(todo) - len(failed),
        skipped=skipped,
        unmatched=(*match.only_visible, *match.only_infrared),
        failed=failed,
    )


def read_pair(visible: Path, infrared: Path) -> tuple[Image, Image]:
    """Read two images that are to be fused.

    Raises:
        SourceError: one cannot be read, the visible one has 16 bits, or their sizes differ.
    """
    pair = read_image(visible), read_gray(infrared)
    (width, height), (other_width, other_height) = (image.spec.size_wh for image in pair)
    if pair[0].planes[0].dtype != "uint8":
        raise SourceError(f"{visible} has 16-bit samples; are visible and infrared exchanged?")
    if (width, height) != (other_width, other_height):
        raise SourceError(
            f"{visible} is {width}x{height} and {infrared} {other_width}x{other_height}; "
            "register one to the other first"
        )
    return pair


@dataclass(frozen=True, slots=True)
class _Task:
    """A pair of files and the file it becomes."""

    visible: Path
    infrared: Path
    out: Path

    def is_done(self, started_ns: int) -> bool:
        """Whether the result is there, made by this job and from these files."""
        if not self.out.exists():
            return False
        inputs_ns = max(path.stat().st_mtime_ns for path in (self.visible, self.infrared))
        return self.out.stat().st_mtime_ns >= max(started_ns, inputs_ns)


@dataclass(frozen=True, slots=True)
class _Batch:
    """Pairs that were read with the files they become, and stems of those that could not be, with reasons."""

    pairs: list[tuple[Image, Image]] = field(default_factory=list)
    outs: list[Path] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def _read_batches(tasks: Sequence[_Task], size: int) -> Iterator[_Batch]:
    iterator = iter(tasks)
    while chunk := list(itertools.islice(iterator, size)):
        batch = _Batch()
        for task in chunk:
            try:
                batch.pairs.append(read_pair(task.visible, task.infrared))
            except SourceError as error:
                batch.failed[task.out.stem] = str(error)
            else:
                batch.outs.append(task.out)
        yield batch


def _write(item: tuple[Path, Image]) -> None:
    write_png(*item)
