"""What becomes of the ``.part`` files of a recorder that died: finished, and given their names.

A recorder that lives holds a lock on its files, and they are left alone.
"""

from __future__ import annotations

import enum
import fcntl
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from streamfuse.clock import NS_PER_S
from streamfuse.errors import OutputError, SourceError
from streamfuse.io.index import SAME_NS, cut_index, read_index
from streamfuse.io.shelf import ClipFiles, SegmentFiles, list_clips, list_segments, whole_of
from streamfuse.io.video.repair import copy_pictures, sound_times

__all__ = [
    "DAMAGED",
    "Fate",
    "Recovered",
    "counted",
    "hidden",
    "is_held",
    "is_loss",
    "recover",
    "recover_clip",
    "recover_segment",
]

DAMAGED: Final = ".damaged"
"""Appended to the name of a file that was set aside; nobody lists, plays or deletes it."""
_EMPTY_BYTES: Final = 4096
"""A video without a picture is not longer than this: it has a head at most."""
_VIDEOS: Final = frozenset({".mp4", ".mkv"})
_LOSS_NS: Final = 2 * NS_PER_S
_LOSS_PICTURES: Final = 3
"""At slow rates a fragment that was not finished is longer than that, and of few pictures."""


class Fate(enum.StrEnum):
    """What became of a file."""

    FINISHED = "finished"
    REMOVED = "removed"
    """There was nothing in it."""
    SET_ASIDE = "set aside"
    """Renamed to ``.damaged``: nothing of it can be read."""
    LEFT = "left"
    """Left as it is; the next scan tries again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """A ``.part`` that a dead recorder left, and what became of it."""

    path: Path
    """Where it is now; where it was, if it was removed."""
    fate: Fate
    note: str
    """For people, such as "312 pictures"."""


def recover(folder: Path) -> list[Recovered]:
    """Finish what dead recorders left in a folder of recordings, and in its clips.

    Videos are copied up to their last sound picture, without encoding, and only their last seconds are
    decoded; where there is no room for a copy they get their names as they are, since they can be
    read. Indexes are cut where the videos end. A file that cannot be mended hinders no other.

    Raises:
        SourceError: the folder cannot be listed.
    """
    segments = [recover_segment(segment) for segment in list_segments(folder)]
    clips = [recover_clip(clip) for clip in list_clips(folder)]
    return [each for results in (*segments, *clips) for each in results]


def recover_segment(segment: SegmentFiles) -> list[Recovered]:
    """Finish the parts of one segment; none if it is whole, or its recorder lives."""
    return _recover(tuple(segment.tracks.values()), segment.index) if segment.is_open else []


def recover_clip(clip: ClipFiles) -> list[Recovered]:
    """Finish the parts of one clip; none if it is whole, or its recorder lives."""
    return _recover(clip.paths, None) if clip.is_open else []


def is_loss(lost_ns: int, pictures: int) -> bool:
    """Whether a crash explains what a video lacks at its end; more than that is a story of its own.

    Args:
        lost_ns: How much earlier it ends than it should.
        pictures: How many it lacks.
    """
    return lost_ns <= _LOSS_NS or pictures <= _LOSS_PICTURES


def counted(count: int, what: str) -> str:
    """A number and a noun that agree: ``1 picture``, ``2 pictures``."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def is_held(path: Path) -> bool:
    """Whether a living recorder holds a file."""
    with _claimed([path]) as ours:
        return not ours and path.exists()


def hidden(path: Path) -> Path:
    """A name beside ``path`` for its mended copy until that is whole; no listing has it."""
    return path.with_name(f".mending-{whole_of(path).name}")


def _recover(videos: Sequence[Path], index: Path | None) -> list[Recovered]:
    """Finish the parts among the files of one segment or clip, the index last."""
    files = [*videos, *(() if index is None else (index,))]
    parts = [path for path in files if _is_part(path)]
    with _claimed(parts) as ours:
        if not ours:
            return []
        results = [_tried(_finish_video, part) for part in parts if whole_of(part).suffix in _VIDEOS]
        results += [_tried(_rename, part) for part in parts if whole_of(part).suffix == ".jpg"]
        if index is not None and _is_part(index):
            nothing = len(results) == len(videos) and all(each.fate is Fate.REMOVED for each in results)
            results.append(_tried(_finish_index, index, _last_ns(videos), nothing))
    return results


def _tried(finish: Callable[..., Recovered], part: Path, *more: int) -> Recovered:
    try:
        return finish(part, *more)
    except (OSError, OutputError) as error:
        return Recovered(path=part, fate=Fate.LEFT, note=f"cannot be finished ({error})")


def _finish_video(part: Path) -> Recovered:
    try:
        times_ns = sound_times(part)
    except SourceError:
        times_ns = ()
    if not times_ns:
        return _give_up(part)
    whole, copy = whole_of(part), hidden(part)
    copy.unlink(missing_ok=True)  # of a scan that was itself cut off
    note = counted(len(times_ns), "picture")
    try:
        copy_pictures(part, copy, times_ns)
        copy.replace(part)
    except OutputError:
        note += ", as it was: no room for a mended copy"
    return Recovered(path=part.rename(whole), fate=Fate.FINISHED, note=note)


def _rename(part: Path) -> Recovered:
    """A thumbnail: written in one piece, it was about to get its name."""
    return Recovered(path=part.rename(whole_of(part)), fate=Fate.FINISHED, note="a picture")


def _give_up(part: Path) -> Recovered:
    """What to do with a video that shows nothing."""
    if part.stat().st_size <= _EMPTY_BYTES:
        part.unlink()
        return Recovered(path=part, fate=Fate.REMOVED, note="it held no picture")
    aside = part.rename(whole_of(part).with_name(f"{whole_of(part).name}{DAMAGED}"))
    return Recovered(path=aside, fate=Fate.SET_ASIDE, note="no picture of it can be read")


def _finish_index(part: Path, last_ns: int, nothing: bool) -> Recovered:
    """Cut the index after ``last_ns``; it goes with the videos if there was nothing in them."""
    try:
        index = read_index(part)
    except SourceError:
        index = None
    lines = () if index is None else index.lines
    ahead_ns = frozenset(line.pts_ns for line in lines if last_ns < line.pts_ns - SAME_NS or last_ns < 0)
    is_cost = not ahead_ns or is_loss(max(ahead_ns) - last_ns, len(ahead_ns))
    if index is None or not lines or (nothing and is_cost and index.tracks):
        part.unlink()
        return Recovered(path=part, fate=Fate.REMOVED, note="it held no pair with a picture")
    count = cut_index(part, gone_ns=ahead_ns if is_cost and last_ns >= 0 else frozenset())
    return Recovered(path=part.rename(whole_of(part)), fate=Fate.FINISHED, note=counted(count, "pair"))


def _last_ns(videos: Sequence[Path]) -> int:
    """The time of the last picture of all videos of a segment, finished by now; -1 without one."""
    last_ns = -1
    for video in videos:
        try:
            last_ns = max((last_ns, *sound_times(whole_of(video))))
        except SourceError:
            continue
    return last_ns


def _is_part(path: Path) -> bool:
    return whole_of(path) != path


@contextmanager
def _claimed(paths: Sequence[Path]) -> Iterator[bool]:
    """Hold the locks of files while the block runs; False if somebody has one, or a file is gone."""
    with ExitStack() as stack:
        try:
            for path in paths:
                fcntl.flock(stack.enter_context(path.open("rb")), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            ours = False
        else:
            ours = True
        yield ours
