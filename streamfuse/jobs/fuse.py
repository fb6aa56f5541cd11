"""Offline fusion: two folders to a folder, two images to an image, two videos to a video."""

from __future__ import annotations

from pathlib import Path

from streamfuse.engine.fusion import FusionEngine
from streamfuse.errors import SourceError, UsageError
from streamfuse.io.files import check_writable
from streamfuse.io.images import SUFFIXES, write_png
from streamfuse.jobs.fusing.folder import fuse_folder, read_pair
from streamfuse.jobs.fusing.job import FuseJob, FuseReport, Progress
from streamfuse.jobs.fusing.video import fuse_videos

__all__ = ["FuseJob", "FuseReport", "Progress", "fuse"]


def fuse(
    job: FuseJob, engine: FusionEngine, *, on_progress: Progress = lambda _done, _total: None
) -> FuseReport:
    """Do a fusion job.

    - **Folders** are matched by stem in natural order; the result is a folder of PNG with these stems.
      Started again with the same settings, the job goes on where it was stopped. A pair that cannot be
      read or differs in size fails alone.
    - **Images** become one PNG.
    - **Videos** are matched by time: each visible frame is fused with the nearest infrared frame, at most
      half a frame of the slower video away; frames without one are not written. A video that is cut
      short is fused as far as it goes.

    Files appear whole or not at all, and no existing one is replaced unless ``overwrite`` says so.

    Args:
        job: what to fuse, how and whereto.
        engine: the network that does it.
        on_progress: called in this thread with what is done and what there is in all.

    Returns:
        What was written, skipped, unmatched or failed. Call :meth:`FuseReport.check` to have failures
        and truncated videos raised.

    Raises:
        UsageError: inputs that do not go together, or results that are in the way.
        SourceError: an input cannot be opened, or nothing has a partner.
        OutputError: the result cannot be written.
        MachineError: the device or the encoder failed.
    """
    kinds = [_kind(path) for path in (job.visible, job.infrared)]
    if kinds[0] != kinds[1]:
        raise UsageError(
            f"visible and infrared must both be folders, images or videos; {job.visible} is {kinds[0]} "
            f"and {job.infrared} {kinds[1]}"
        )
    if kinds[0] == "a folder":
        return fuse_folder(job, engine, on_progress=on_progress)
    if kinds[0] == "a video":
        return fuse_videos(job, engine, on_progress=on_progress)
    return _fuse_image(job, engine, on_progress)


def _fuse_image(job: FuseJob, engine: FusionEngine, on_progress: Progress) -> FuseReport:
    if job.out.suffix.lower() != ".png":
        raise UsageError(f"a pair of images becomes a PNG, so --out must end in .png; got {job.out}")
    if job.out.exists() and not job.overwrite:
        raise UsageError(f"{job.out} exists; add --overwrite to replace it, or choose another name")
    check_writable(job.out.parent)
    on_progress(0, 1)
    (image,) = engine.fuse_images([read_pair(job.visible, job.infrared)], job.mode)
    write_png(job.out, image)
    on_progress(1, 1)
    return FuseReport(out=job.out, written=1)


def _kind(path: Path) -> str:
    if path.is_dir():
        return "a folder"
    if not path.exists():
        raise SourceError(f"{path}: there is no such file or folder; check the path")
    return "an image" if path.suffix.lower() in SUFFIXES else "a video"
